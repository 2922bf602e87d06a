"""Intarsia: image segmentation with deep learning, from a folder to a measured model."""

__version__ = "0.1.0"
