"""(image, Segments, ClassSet) to a picture."""
