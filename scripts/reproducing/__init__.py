"""What `scripts/reproduce.py` is made of: one module a paper, and what they share."""
