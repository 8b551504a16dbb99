"""The networks in PyTorch, one file a paper, and the catalogue of those that are shipped.

Only `catalogue` is needed to restore; the definitions need PyTorch, which only training and export do.
"""
