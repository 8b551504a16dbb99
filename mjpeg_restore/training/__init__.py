"""Degradation, data, losses, optimiser and loop: what `scripts/train.py` is made of. Needs the extra `train`."""
