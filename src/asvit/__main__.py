"""``python -m asvit``, which torchrun can start: ``torchrun --nproc-per-node 8 -m asvit train ...``."""

from asvit.commands.app import main

main()
