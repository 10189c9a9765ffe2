"""Choose the best trials of each machine type and fuse them into systems S1-S4."""
