"""From waveform to log-mel: front end, median filter, augmentation, the on-disk cache."""
