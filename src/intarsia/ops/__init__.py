"""Pure functions on arrays: runs, packing, overlaps, matching, average precision, resampling, colour, cells, bootstrap."""
