"""(Output, Targets) to weighted scalars by name."""
