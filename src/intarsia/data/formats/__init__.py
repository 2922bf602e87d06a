"""One file per format; each reads and writes."""
