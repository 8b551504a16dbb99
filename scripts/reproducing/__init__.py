"""Modules of `scripts/reproduce.py`: one per paper, and what they share."""
