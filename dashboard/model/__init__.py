"""The model: the card of the one in production, what was in production before, the candidate, and all runs."""
