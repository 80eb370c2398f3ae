"""What happened, what was dropped and why, and what the set is worth: facts, figures, one page, one summary."""
