"""The arithmetic of docs/scale.md: what many cameras take."""
