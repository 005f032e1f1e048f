"""What holds for every test."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # of torch, here and in what tests start: more would wait for other tests' threads
