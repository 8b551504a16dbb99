"""Live sources: cameras and pipes behind one source that stamps, watches and reconnects."""
