"""The data doctor: one file for each thing that can be wrong with a folder of images and labels."""
