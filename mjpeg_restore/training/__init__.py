"""Degradation, data, losses, optimisers and the training loop, for `scripts/train.py`. Needs the extra `train`."""
