"""Where data, transforms, models, losses, decode, metrics and draw meet, and nowhere else."""

import os

# Torch reads this when it allocates first. Batches and activations are tens of megabytes, and every page of 4 KiB costs a fault
# each time they are allocated anew: with pages of 2 MiB the input of a batch of 1024x2048 images is made in three quarters of the
# time (benchmarks/pipeline.py).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
