"""WebDataset shards: writing, indexing, and the files that loaders look for beside them."""
