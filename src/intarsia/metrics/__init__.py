"""(Segments, Segments) to numbers."""
