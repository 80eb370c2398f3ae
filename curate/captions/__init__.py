"""Texts beside the alt text, never over it: rewritten, seen, fused, grounded, translated. One captioner a file."""
