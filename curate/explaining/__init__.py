"""Explaining: one pair, and everything that the stages found out and decided about it."""
