"""Readers of pools: files of a crawl in, candidate rows of image address and text out, with an account of the rest."""
