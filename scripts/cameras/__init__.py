"""Cameras for tests and measurements: servers that play numbered pictures, with the faults of real cameras."""
