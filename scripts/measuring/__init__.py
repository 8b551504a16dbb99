"""What `scripts/benchmark.py` is made of: one module a part."""
