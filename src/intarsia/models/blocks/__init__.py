"""What networks are built of, each block in its own file."""
