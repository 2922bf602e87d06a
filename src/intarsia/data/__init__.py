"""Files to Samples: data sets, formats, splits, synthetic scenes."""
