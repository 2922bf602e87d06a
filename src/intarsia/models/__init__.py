"""Images to Output: one file per architecture."""
