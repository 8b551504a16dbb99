"""The networks of the five papers, one file a paper, and what they share (`planes.py`)."""
