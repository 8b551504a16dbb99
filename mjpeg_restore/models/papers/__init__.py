"""The networks of the five papers and their shared parts."""
