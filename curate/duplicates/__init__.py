"""Images that are the same: by bytes, by perceptual hash, by embedding; and images that evaluation sets hold."""
