"""The networks in PyTorch: our own here, the papers' in `papers`. Restoring imports none of them.

They are needed for training, export and measurement, which need PyTorch.
"""
