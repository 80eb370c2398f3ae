"""Concepts: metadata entries, their building, the language of a text, matching, counting and balancing."""
