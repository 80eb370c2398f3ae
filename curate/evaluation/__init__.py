"""What a trained model is worth: zero-shot classification and retrieval on images that no training saw."""
