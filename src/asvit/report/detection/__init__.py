"""Page and picture of a detector in training."""
