"""Training with progressive elastic re-tokenization (Section 4)."""
