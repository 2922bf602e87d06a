"""Encoders: pixels -> features, finest first. Each states its `channels` and `strides`, so that decoders ask and never guess."""
