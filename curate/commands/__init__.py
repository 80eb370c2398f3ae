"""Commands of `curate` that are more than a line: each a module with what it asks and what it prints."""
