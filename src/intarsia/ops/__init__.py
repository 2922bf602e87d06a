"""Pure functions on arrays: runs, packing, resampling, colour, cells, bootstrap."""
