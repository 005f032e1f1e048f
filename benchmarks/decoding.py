"""Does decoding keep up with a card? Images a second of the loader alone, of steps alone, and of both together.

    python benchmarks/decoding.py --data imagenette128.tar --device cuda --workers 4 8 15 \
        --json benchmarks/results/gpu/decoding.json

JPEG files of ImageNet's usual size, 500x375 pixels and about 110 KB, are made of the images of a data set, enlarged and
with fine noise, and lie in the page cache. They are augmented as the recipe says. Steps alone see one batch again and
again; together they are asvit's own training loop, with the last number of workers.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import provenance, timed
from PIL import Image
from torch.utils.data import Sampler

from asvit.networks.named import parse_network
from asvit.runs.devices import usable_cores
from asvit.training.augment import training_transform
from asvit.training.classifier import ClassifierTraining
from asvit.training.data import Batch, EpochAndIndex, Examples, Labelled, batch_of, batches
from asvit.training.recipe import RECIPES, TrainRecipe
from asvit.training.schedule import named_schedule
from asvit.training.settings import ImageData, Running, usual_precision
from asvit.training.sources import Source, open_data

SIZE = (500, 375)
NOISE, QUALITY = 9.0, 95
"""Standard deviation of the noise, of 255, and quality of the JPEG files: together they make about 110 KB."""
VALIDATION = 64
"""Files beside those to train on, since training evaluates."""


class Repeated(Source):
    """The images of a source again and again, so that an epoch of few files lasts."""

    def __init__(self, source: Source, length: int) -> None:
        super().__init__(source.name, source.classes, source.contents)
        self.source, self.length = source, length

    def __len__(self) -> int:
        return self.length

    def read(self, index: int) -> tuple[Any, int]:
        return self.source.read(index % len(self.source))

    def file(self, index: int) -> str:
        return self.source.file(index % len(self.source))


class Endless(Sampler[list[EpochAndIndex]]):
    """Batches of one epoch after the other."""

    def __init__(self, images: int, batch_size: int) -> None:
        self.images, self.batch_size = images, batch_size

    def __iter__(self) -> Iterator[list[EpochAndIndex]]:
        for start in count(step=self.batch_size):
            yield [divmod(i, self.images) for i in range(start, start + self.batch_size)]


@dataclass(frozen=True)
class Bench:
    """What is trained, on which files and how."""

    train: Source
    val: Source
    network: str
    recipe: TrainRecipe
    device: torch.device

    def training(self, source: Source, workers: int) -> ClassifierTraining:
        """A new one."""
        precision = usual_precision(self.device.type)
        running = Running(workers=workers, precision=precision, keep=1)
        schedule = named_schedule("none", self.recipe.epochs)
        return ClassifierTraining(
            parse_network(self.network),
            source,
            self.val,
            self.recipe,
            schedule,
            seed=0,
            device=self.device,
            running=running,
        )


def make_files(data: str, folder: Path, files: int) -> float:
    """Make the files once, on all cores; returns their mean size in KB."""
    jobs = [(data, folder, split, i, n) for split, n in (("train", files), ("val", VALIDATION)) for i in range(n)]
    if not (folder / "whole").exists():
        with ProcessPoolExecutor(usable_cores(), multiprocessing.get_context("forkserver")) as pool:
            list(pool.map(make_file, jobs, chunksize=16))
        (folder / "whole").touch()
    sizes = [path.stat().st_size for path in folder.rglob("*.jpg")]
    return sum(sizes) / len(sizes) / 1e3


OPENED: dict[str, Source] = {}
"""Sources that this process has opened, by split."""


def make_file(job: tuple[str, Path, Any, int, int]) -> None:
    """The i-th of n files of a split."""
    data, folder, split, i, n = job
    if split not in OPENED:
        OPENED[split] = open_data(ImageData(data=data), split)
    source = OPENED[split]
    image, label = source.read(i * len(source) // n)
    pixels = np.asarray(image.resize(SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
    noisy = pixels + np.random.default_rng(i).normal(0, NOISE, (*pixels.shape[:2], 1)).astype(np.float32)
    path = folder / split / source.classes[label] / f"{i:06d}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(path, quality=QUALITY)


def loader_alone(bench: Bench, workers: int, seconds: float) -> float:
    """Images a second out of the loader, once every worker has delivered a batch."""
    examples = Examples(bench.train, Labelled(training_transform(bench.recipe, bench.train.normalisation)), seed=0)
    order = Endless(len(bench.train), bench.recipe.batch_size)
    loader = iter(batches(examples, order, workers=workers, device=bench.device))
    for _ in range(workers):
        next(loader)
    begin, images = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for _ in range(workers):  # they deliver in turns
            images += len(next(loader))
    return images / (time.perf_counter() - begin)


def steps_alone(bench: Bench, seconds: float) -> float:
    """Images a second of training steps that wait for nothing."""
    training = bench.training(Repeated(bench.train, 100 * bench.recipe.batch_size), workers=0)
    training.begin_epoch()
    training.stepping.train()
    examples = Examples(bench.train, Labelled(training_transform(bench.recipe, bench.train.normalisation)), seed=0)
    size = bench.recipe.batch_size
    batch = batch_of(Batch, examples, [(0, i % len(bench.train)) for i in range(size)]).to(bench.device)

    def steps(number: int) -> None:
        for _ in range(number):
            training.step(0, replace(batch, images=batch.images.clone()))  # mixing writes into them

    timed(lambda: steps(3), bench.device)
    once, _ = timed(lambda: steps(2), bench.device)
    number = max(1, round(seconds / (once / 2)))
    elapsed, _ = timed(lambda: steps(number), bench.device)
    return number * size / elapsed


def together(bench: Bench, workers: int, images: int, folder: Path) -> dict[str, float]:
    """An epoch of asvit's own training loop: images a second, and the share of the time spent waiting for them.

    The second part is what is left without the beginning, when workers start and nothing is there yet.
    """
    training = bench.training(Repeated(bench.train, images), workers=workers)
    seen = [(0, 0.0, 0.0)]

    def watch(training: ClassifierTraining) -> None:
        state = training.state
        if workers <= state.step < training.order.steps:
            seen.append((state.step, state.seconds, state.waiting))

    (epoch,) = training.run(folder, watch).epochs
    step, seconds, waiting = seen[min(1, len(seen) - 1)]
    rest = epoch.seconds - seconds
    return {
        "workers": workers,
        "images": images,
        "images_per_second": round(epoch.images_per_second, 1),
        "waiting": round(epoch.waiting, 3),
        "steps_of_the_start": step,
        "images_per_second_after_the_start": round((training.order.steps - step) * training.share / rest, 1),
        "waiting_after_the_start": round((epoch.waiting * epoch.seconds - waiting) / rest, 3),
    }


def measured(options: argparse.Namespace, work: Path, checkpoints: Path) -> dict[str, Any]:
    """All figures."""
    files = work / f"jpeg-{options.files}"
    kilobytes = make_files(options.data, files, options.files)
    print(f"{options.files} files of {SIZE[0]}x{SIZE[1]} pixels, {kilobytes:.0f} KB on average", flush=True)
    side = options.image_size
    recipe = RECIPES[options.recipe]
    recipe = replace(recipe, image_size=(side, side), batch_size=options.batch, epochs=1, warmup_epochs=0)
    train, val = (open_data(ImageData(data=str(files)), split) for split in ("train", "val"))
    bench = Bench(train, val, options.network, recipe, options.device)
    loaded = []
    for workers in options.workers:
        rate = loader_alone(bench, workers, options.seconds)
        loaded.append({"workers": workers, "images_per_second": round(rate, 1)})
        print(f"loader alone, {workers} workers: {rate:.0f} images/s", flush=True)
    stepped = steps_alone(bench, options.seconds)
    print(f"steps alone: {stepped:.0f} images/s", flush=True)
    both = together(bench, options.workers[-1], options.epoch_images, checkpoints)
    rate, waiting = both["images_per_second_after_the_start"], both["waiting_after_the_start"]
    print(f"together: {rate:.0f} images/s, {waiting:.0%} of the time waiting for images", flush=True)
    return {
        "device": str(options.device),
        "cores": usable_cores(),
        "network": options.network,
        "recipe": options.recipe,
        "image_size": side,
        "batch": options.batch,
        "files": {"number": options.files, "pixels": SIZE, "mean_kb": round(kilobytes, 1)},
        "loader": loaded,
        "steps_images_per_second": round(stepped, 1),
        "together": both,
        "keeps_up": max(one["images_per_second"] for one in loaded) >= stepped,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="images that the files are made of")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--network", default="small")
    parser.add_argument("--recipe", choices=("imagenet", "imagenette"), default="imagenet")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 8, 15], help="processes that load")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each timing of one part alone")
    parser.add_argument("--epoch-images", type=int, default=12_800, help="of the epoch of both together")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--work", type=Path, help="folder for the files (default: a temporary one)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    multiprocessing.set_forkserver_preload(["asvit.training.classifier"])  # what is timed is not how workers start
    with tempfile.TemporaryDirectory(dir=options.work) as temporary:
        record = {**provenance(), **measured(options, options.work or Path(temporary), Path(temporary) / "checkpoints")}
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
