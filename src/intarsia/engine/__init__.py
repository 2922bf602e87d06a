"""Where data, transforms, models, losses, decode, metrics and draw meet, and nowhere else."""
