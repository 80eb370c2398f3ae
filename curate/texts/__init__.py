"""What can be said of a text by looking at nothing but it; the ground that stages share."""
