"""Training of CLIP models on shards: loading, the loop, checkpoints that open_clip reads."""
