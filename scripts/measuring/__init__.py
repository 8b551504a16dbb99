"""Modules of the scripts that measure."""
