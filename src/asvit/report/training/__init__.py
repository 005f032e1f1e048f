"""Pages and pictures of a training."""
