"""Pyramids of features: timm's encoders, and those it does not expose."""
