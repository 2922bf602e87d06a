"""(Sample, rng, donor) to Sample."""
