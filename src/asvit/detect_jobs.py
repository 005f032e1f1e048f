"""The jobs behind detect describe, train, evaluate and predict."""

from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor, nn

from asvit.detect_options import DetectorOptions, DetectRecipeName, DetectTrainOptions, SceneOptions
from asvit.detect_show import show_coco_scores, show_costs, show_detector, show_found, shown
from asvit.detection.coco import Coco, find_coco
from asvit.detection.cost import detector_costs, padded_image
from asvit.detection.data import Scenes
from asvit.detection.draw import draw
from asvit.detection.evaluate import evaluation_batches, find_all
from asvit.detection.recipe import RECIPES, DetectRecipe
from asvit.detection.trained import DetectorSpec, load_detector, load_start
from asvit.detection.training import DetectorTraining, plan
from asvit.errors import UserError
from asvit.job import choose_device, tell, use_threads
from asvit.networks.architecture import Task
from asvit.networks.model import AsViT
from asvit.options import DeviceOptions, RunOptions
from asvit.records import Json, write_file
from asvit.train_jobs import network_name
from asvit.train_options import LoadingOptions, RunningOptions
from asvit.training.augment import to_tensor
from asvit.training.data import read_image
from asvit.training.parallel import Processes, launched
from asvit.training.running import Running
from asvit.training_job import CHECKPOINTS, Watcher, finish, settings, training_in

SCALARS = (
    "train_loss", "proposal_loss", "class_loss", "box_loss", "mask_loss", "boxes.ap", "masks.ap", "lr", "macs",
    "images_per_second",
)  # fmt: skip
"""Of an epoch, for TensorBoard."""


def run_describe(
    backbone: str, recipe_name: DetectRecipeName, classes: int, in_chans: int, sizes: DetectorOptions, as_json: bool
) -> None:
    """`asvit detect describe`: parameters and multiply-adds, part by part."""
    name, recipe = network_name(backbone), RECIPES[recipe_name]
    task = Task(image_size=(recipe.backbone_size, recipe.backbone_size), in_chans=in_chans, num_classes=classes)
    with torch.device("meta"):
        model = DetectorSpec(network=name, task=task, settings=sizes.settings(recipe.detector)).build()
    image = padded_image(model.settings, in_chans)
    height, width = image.shape[-2:]
    position = position_embedding(model.backbone.network)
    show_costs(name, detector_costs(model, image), (height, width), position, as_json=as_json)


def position_embedding(network: nn.Module) -> int:
    """Parameters of the position embedding of a network of ours; 0 for others."""
    position = network.position if isinstance(network, AsViT) else None
    return 0 if position is None else position.numel()


def run_train(
    backbone: str,
    recipe_name: DetectRecipeName,
    start: str | None,
    data: SceneOptions,
    options: DetectTrainOptions,
    sizes: DetectorOptions,
    loading: LoadingOptions,
    running: RunningOptions,
    run: RunOptions,
) -> None:
    """`asvit detect train`: a Cascade Mask R-CNN on a backbone."""
    name = network_name(backbone)
    recipe = options.recipe(RECIPES[recipe_name], sizes)
    train, val = (open_scenes(data, split) for split in ("train", "val"))
    check_categories(val.coco, train.coco.classes, str(train.coco.path))
    if train.channels != val.channels:
        raise UserError(f"training images have {train.channels} channels, validation images {val.channels}")
    begun = None if start is None else load_start(start, name)
    if begun is not None:
        check_channels(train.channels, begun.task, begun.name)
    spec = plan(name, train, recipe, begun)
    with launched(choose_device(run.device)) as (processes, device):
        how = settings(loading, running, device, processes, workers=None)
        config = detect_config(name, recipe_name, recipe, start, data, (train, val), run.seed, how)
        with training_in("detect", recipe_name, config, run, device, processes) as (path, directory):
            if directory is not None:
                tell_left_out(train.coco, val.coco)
            training = DetectorTraining(
                spec, train, val, recipe, start=begun, seed=run.seed, device=device, running=how, processes=processes
            )
            with Watcher(directory, facts, scalars=SCALARS, tensorboard=running.tensorboard) as watcher:
                result = training.run(path / CHECKPOINTS, watcher)
            if directory is not None:
                finish(directory, result, run, show_detector)


def facts(training: DetectorTraining) -> list[str]:
    """The last epoch's figures."""
    epochs = training.state.epochs
    words = [f"loss {epochs[-1].train_loss:.3f}"] if epochs else []
    scored = next((epoch for epoch in reversed(epochs) if epoch.boxes and epoch.masks), None)
    if scored is not None and scored.boxes and scored.masks:
        words.append(f"box AP {shown(scored.boxes.ap)}, mask AP {shown(scored.masks.ap)}")
    return words


def open_scenes(data: SceneOptions, split: str) -> Scenes:
    """Pictures of a split."""
    return Scenes(find_coco(data.data, split, max_left_out=data.max_left_out), in_chans=data.in_chans)


def check_categories(coco: Coco, classes: Sequence[str], of: str) -> None:
    """Refuse pictures whose categories are not the classes of something else, in the same order."""
    if coco.classes != tuple(classes):
        differing = sorted(set(coco.classes) ^ set(classes)) or ["another order"]
        raise UserError(
            f"the categories of {coco.path} are not those of {of} ({len(coco.classes)} against {len(classes)}, "
            f"differing: {', '.join(differing[:5])}): expected the same names by ascending id"
        )


def tell_left_out(*parts: Coco) -> None:
    """Say which annotations nothing is learned from."""
    for coco in parts:
        if coco.left_out:
            tell(f"{len(coco.left_out)} annotations of {coco.path} are left out, the first: {coco.left_out[0]}")


def detect_config(
    name: str,
    recipe_name: str,
    recipe: DetectRecipe,
    start: str | None,
    data: SceneOptions,
    scenes: tuple[Scenes, Scenes],
    seed: int,
    how: Running,
) -> Json:
    """All that the trained weights depend on."""
    return {
        "recipe": recipe_name,
        "network": name,
        "start": start,
        "data": str(data.data),
        "images": {"train": len(scenes[0]), "val": len(scenes[1])},
        "annotations": {"train": scenes[0].coco.digest, "val": scenes[1].coco.digest},
        "max_left_out": data.max_left_out,
        "classes": len(scenes[0].coco.classes),
        "in_chans": scenes[0].channels,
        "seed": seed,
        "detect": asdict(recipe),
        "precision": how.precision,
        "accumulate": how.accumulate,
    }


def run_evaluate(
    checkpoint: Path,
    split: Literal["train", "val"],
    averaged: bool,
    batch_size: int,
    results: Path | None,
    data: SceneOptions,
    loading: LoadingOptions,
    run: DeviceOptions,
) -> None:
    """`asvit detect evaluate`: COCO's twelve numbers for boxes and masks."""
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}: expected at least 1")
    use_threads(run.threads)
    device = choose_device(run.device)
    model, header = load_detector(checkpoint, averaged=averaged)
    scenes = open_scenes(data, split)
    check_categories(scenes.coco, header.classes, str(checkpoint))
    check_channels(scenes.channels, header.spec.task, str(checkpoint))
    tell_left_out(scenes.coco)
    how = settings(loading, RunningOptions(), device, Processes(), workers=None)
    loader = evaluation_batches(scenes, batch_size, how, device)
    found = find_all(model.to(device), scenes.coco, loader, device=device, precision=how.precision)
    if results is not None:
        write_file(results, msgspec.json.encode(found.detections))
    boxes, masks = found.scores(scenes.coco)
    record = {
        "network": header.spec.network,
        "images": len(found.seen),
        "annotations": str(scenes.coco.path),
        "detections": len(found.detections),
        "unreadable": found.unreadable,
    }
    show_coco_scores({"boxes": boxes, "masks": masks}, record, as_json=run.json)
    if found.unreadable:
        tell(f"{len(found.unreadable)} images were left out, the first: {found.unreadable[0]}")


def check_channels(channels: int, task: Task, of: str) -> None:
    """Refuse images that a detector cannot read."""
    if channels != task.in_chans:
        raise UserError(f"{of} reads {task.in_chans} channels, the images have {channels}: give --in-chans")


def run_predict(
    checkpoint: Path, images: Sequence[Path], min_score: float, averaged: bool, out: Path, run: DeviceOptions
) -> None:
    """`asvit detect predict`: what is found in some images, drawn on them."""
    if not images:
        raise UserError("no image to look at: expected one or more files")
    if not 0 <= min_score < 1:
        raise UserError(f"min_score is {min_score}: expected a number from 0 up to, not including, 1")
    use_threads(run.threads)
    device = choose_device(run.device)
    model, header = load_detector(checkpoint, averaged=averaged, min_score=min_score)
    model.to(device)
    rows, taken = [], {path.resolve() for path in images}
    for path in images:
        image = to_tensor(read_image(path, header.spec.task.in_chans))
        with torch.inference_mode():
            found = {name: x.cpu() for name, x in model([image.to(device)])[0].items()}
        names = chain([path.stem], (f"{path.stem}-{number}" for number in count(2)))
        drawn = next(file for name in names if (file := out / f"{name}.png").resolve() not in taken)
        taken.add(drawn.resolve())
        save(drawn, draw(image, found, header.classes))
        rows.append({"image": str(path), "drawn": str(drawn), "objects": objects_of(found, header.classes)})
    show_found(rows, as_json=run.json)


def save(path: Path, picture: Any) -> None:
    """Write a PNG file, whole or not at all."""
    content = BytesIO()
    picture.save(content, "PNG")
    write_file(path, content.getvalue())


def objects_of(found: dict[str, Tensor], classes: Sequence[str]) -> list[Json]:
    """Class, score and box (x1, y1, x2, y2) of every object."""
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True)
    return [{"class": classes[label - 1], "score": score, "box": box} for label, score, box in rows]
