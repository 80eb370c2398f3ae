"""Fetching, safe decoding, hashing and storing of images."""
