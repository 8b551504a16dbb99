"""`python -m mjpeg_restore`: the command, where its script is not on the path."""

from mjpeg_restore.cli import entry

entry()
