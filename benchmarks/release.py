"""Does a faithful implementation land where the authors' released code does?

Measures random topologies with the release's settings (circle of radius 1, norms taken out, a kernel of 8 images of
noise) in two repeats and prints the ranges and rank correlations beside those seen on the released code:

    uv run python benchmarks/release.py --json benchmarks/results/release.json
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from machine import provenance
from scipy.stats import kendalltau

from asvit.measure.measurer import Measurer
from asvit.measure.photos import Photographs
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1

SEEN = {
    "mean speed, smallest": 1.1e-4,
    "mean speed, largest": 8.4e-4,
    "κ_Θ, smallest": 2.7,
    "κ_Θ, largest": 12.0,
    "τ of length between two repeats": 0.84,
    "τ of κ_Θ between two repeats": 0.60,
    "τ of length with #params": 0.32,
    "τ of length with the product of the kernels": 0.72,
}
"""With the released code's own settings, 60 random topologies at 224x224."""


class Noise(Photographs):
    """Images of independent normal values."""

    def __init__(self) -> None:
        super().__init__([], "noise")

    def read(self, path: Path, channels: int) -> torch.Tensor:
        raise NotImplementedError("noise is drawn, not read")

    def draw(self, n: int, task: Task, seed: int) -> torch.Tensor:
        return torch.randn(n, task.in_chans, *task.image_size, generator=torch.Generator().manual_seed(seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topologies", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    topologies = [TABLE_1.sample(rng) for _ in range(options.topologies)]
    settings = Settings(repeats=2, angles=10, kernel_images=8, radius="one")
    measure = Measurer(settings, photographs=Noise())
    length, kappa = [], []
    for topology in topologies:
        found = measure(ArchitectureSubject(Architecture(topology), Task()))
        if not found.valid:
            print(f"{topology} is invalid: {found.invalid}")
            continue
        length.append(found.estimates["length"].values)
        kappa.append(found.estimates["ntk"].values)
    speed, kappa = np.array(length) / (2 * math.pi), np.array(kappa)
    params = [Architecture(topology).params() for topology in topologies]
    kernels = [math.prod(topology.kernels) for topology in topologies]
    ours = {
        "mean speed, smallest": speed.min(),
        "mean speed, largest": speed.max(),
        "κ_Θ, smallest": kappa.min(),
        "κ_Θ, largest": kappa.max(),
        "τ of length between two repeats": kendalltau(*speed.T)[0],
        "τ of κ_Θ between two repeats": kendalltau(*kappa.T)[0],
        "τ of length with #params": kendalltau(speed.mean(1), params)[0],
        "τ of length with the product of the kernels": kendalltau(speed.mean(1), kernels)[0],
    }
    for name, value in ours.items():
        print(f"{name:46s} {value:10.3g}   released code {SEEN[name]:10.3g}")
    if options.json:
        figures = {name: float(value) for name, value in ours.items()}
        record = {**provenance(), "topologies": len(topologies), "asvit": figures, "released code": SEEN}
        options.json.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
