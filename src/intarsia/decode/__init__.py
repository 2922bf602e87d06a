"""Output to Segments."""
