"""Facts about pairs, one scorer a file; thresholds are chosen elsewhere."""
