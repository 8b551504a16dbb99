"""What the scripts that measure are made of."""
