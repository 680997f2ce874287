"""What is revenue's own in sealing: which streams; the rest is `runtime.segments`."""
