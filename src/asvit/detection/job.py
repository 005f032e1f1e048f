"""Describe, train, evaluate and use detectors: what the commands of `asvit detect` run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from asvit.detection.coco import Coco, find_coco
from asvit.detection.cost import detector_costs, padded_image
from asvit.detection.data import Scenes
from asvit.detection.draw import draw
from asvit.detection.evaluate import evaluation_batches, find_all
from asvit.detection.recipe import DetectRecipe
from asvit.detection.results import LEAST_SCORE, ClassScores, CocoScores, DetectResult, PartCost
from asvit.detection.settings import DetectorSettings, SceneData, check_min_score
from asvit.detection.trained import DetectorSpec, load_detector
from asvit.detection.training import DetectorTraining, plan
from asvit.detection.written import as_png, check_results, drawn_files
from asvit.errors import UserError
from asvit.images import read_image, to_tensor
from asvit.listing import Split
from asvit.networks.architecture import Task
from asvit.networks.model import AsViT
from asvit.networks.named import Network
from asvit.runs.devices import choose_device, use_threads
from asvit.runs.job import Computer, Finished, Job
from asvit.runs.progress import shown, tell
from asvit.runs.records import Json, write_file
from asvit.training.checkpoint import CHECKPOINTS
from asvit.training.data import check_batch
from asvit.training.parallel import Processes, launched
from asvit.training.recipe import check_batch_size
from asvit.training.settings import Running, range_to_read
from asvit.training.start import start_from
from asvit.training.watching import Adjust, Watcher, finished, training_in, usual_running
from asvit.units import format_share

SCALARS = (
    "train_loss", "proposal_loss", "class_loss", "box_loss", "mask_loss", "boxes.ap", "masks.ap", "lr", "macs",
    "images_per_second",
)  # fmt: skip
"""Fields of an epoch that TensorBoard shows."""


@dataclass(frozen=True)
class DetectorCosts:
    """What a detector costs."""

    network: str
    """Backbone."""
    image_size: tuple[int, int]
    """Height and width of the image that the backbone sees."""
    position_embedding: int
    """Parameters of the backbone's position embedding; 0 where it has none of ours."""
    parts: tuple[PartCost, ...]


def costs_of(network: Network, settings: DetectorSettings, task: Task) -> DetectorCosts:
    """Parameters and multiply-adds of a detector, part by part; nothing is drawn.

    Args:
        network: backbone.
        settings: sizes of the detector.
        task: task that the backbone is laid out for; its classes are the detector's.
    """
    with torch.device("meta"):
        model = DetectorSpec(network=str(network), task=task, settings=settings).build()
    image = padded_image(model.settings, task.in_chans)
    height, width = image.shape[-2:]
    position = position_embedding(model.backbone.network)
    return DetectorCosts(str(network), (height, width), position, tuple(detector_costs(model, image)))


def position_embedding(network: nn.Module) -> int:
    """Parameters of the position embedding of a network of ours; 0 for others."""
    position = network.position if isinstance(network, AsViT) else None
    return 0 if position is None else position.numel()


def run_train(
    network: Network,
    data: SceneData,
    recipe: DetectRecipe,
    *,
    start: str | None = None,
    recipe_name: str,
    adjust: Adjust = lambda usual: usual,
    job: Job = Job(),
) -> Finished[DetectResult] | None:
    """Train a Cascade Mask R-CNN; under torchrun one of several processes, of which the first returns what was found.

    Args:
        network: backbone: architecture, or model of timm.
        data: pictures.
        recipe: how to train.
        start: trained classifier that the backbone starts from: what :func:`~asvit.training.start.load_start` takes.
        recipe_name: name of the recipe, for the records.
        adjust: changes how a training is usually run here.
        job: where, and from which seed.
    """
    begun = start_from(start, network)
    if begun is not None:
        own = begun.looking.value_range
        data = replace(data, value_range=range_to_read(begun.name, trained=own, asked=data.value_range))
    train, val = open_scenes(data, "train"), open_scenes(data, "val")
    check_categories(val.coco, train.coco.classes, str(train.coco.path))
    if train.channels != val.channels:
        raise UserError(f"training images have {train.channels} channels, validation images {val.channels}")
    check_objects(train.coco, "learn")
    check_objects(val.coco, "score")
    check_batch(len(train), recipe.batch_size)
    if begun is not None:
        check_channels(train.channels, begun.task, begun.name)
    spec = plan(network, train, recipe, begun)
    with launched(choose_device(job.device)) as (processes, device):
        running = adjust(usual_running(device, processes))
        config = detect_config(network, recipe_name, recipe, start, data, (train, val), job.seed, running)
        with training_in("detect", config, job, device, processes) as (path, directory):
            if directory is not None:
                for remark in train.contents.remarks:
                    tell(remark)
                tell_left_out(train.coco, val.coco)
            training = DetectorTraining(
                spec,
                train,
                val,
                recipe,
                start=begun,
                seed=job.seed,
                device=device,
                running=running,
                processes=processes,
            )
            with Watcher(directory, facts, scalars=SCALARS, tensorboard=running.tensorboard) as watcher:
                result = training.run(path / CHECKPOINTS, watcher)
            return finished(directory, training.look_back(result, path))


def facts(training: DetectorTraining) -> list[str]:
    """The last epoch's figures."""
    epochs = training.state.epochs
    words = [f"loss {epochs[-1].train_loss:.3f}"] if epochs else []
    scored = next((epoch for epoch in reversed(epochs) if epoch.boxes and epoch.masks), None)
    if scored is not None and scored.boxes and scored.masks:
        words.append(f"box AP {format_share(scored.boxes.ap)}, mask AP {format_share(scored.masks.ap)}")
    return words


def open_scenes(data: SceneData, split: Split) -> Scenes:
    """Pictures of a split."""
    return Scenes(
        find_coco(data.data, split, max_left_out=data.max_left_out),
        in_chans=data.in_chans,
        value_range=data.value_range,
    )


def scenes_for(spec: DetectorSpec, data: SceneData, split: Split) -> Scenes:
    """Pictures as a trained detector reads them: in its range of values, unless another is asked for."""
    own = range_to_read("the detector", trained=spec.value_range, asked=data.value_range)
    return open_scenes(replace(data, value_range=own), split)


def check_categories(coco: Coco, classes: Sequence[str], of: str) -> None:
    """Refuse pictures whose categories are not the classes of something else, in the same order."""
    if coco.classes != tuple(classes):
        differing = sorted(set(coco.classes) ^ set(classes)) or ["another order"]
        raise UserError(
            f"the categories of {coco.path} are not those of {of} ({len(coco.classes)} against {len(classes)}, "
            f"differing: {', '.join(differing[:5])}): expected the same names by ascending id"
        )


def check_channels(channels: int, task: Task, of: str) -> None:
    """Refuse images that a detector cannot read."""
    if channels != task.in_chans:
        raise UserError(f"{of} reads {task.in_chans} channels, the images have {channels}: give --in-chans")


def check_objects(coco: Coco, of: str) -> None:
    """Refuse pictures without a single object."""
    if not any(coco.learned(index) for index in range(len(coco.pictures))):
        raise UserError(
            f"{coco.path} has no objects{' but crowds (iscrowd)' if any(coco.objects) else ''}, so there is nothing to "
            f"{of}: expected annotations with a box and an outline each"
        )


def tell_left_out(*parts: Coco) -> None:
    """Say how pictures are read, and which annotations nothing is learned from."""
    for coco in parts:
        for remark in coco.remarks:
            tell(remark)
        if coco.left_out:
            tell(f"{len(coco.left_out)} annotations of {coco.path} are left out, the first: {coco.left_out[0]}")


@dataclass(frozen=True)
class DetectorScored:
    """How a detector did on some pictures."""

    network: str
    """Backbone."""
    images: int
    annotations: str
    """File of the annotations."""
    detections: int
    unreadable: tuple[str, ...]
    """Files that were left out."""
    scores: dict[str, CocoScores]
    """COCO's numbers of boxes and of masks."""
    by_class: tuple[ClassScores, ...]
    """Average precision of every class, in the order of the classes."""


def run_evaluate(
    checkpoint: Path,
    data: SceneData,
    split: Split,
    *,
    averaged: bool = True,
    batch_size: int,
    results: Path | None = None,
    adjust: Adjust = lambda usual: usual,
    computer: Computer = Computer(),
) -> DetectorScored:
    """COCO's twelve numbers for boxes and masks, and each class's average precision.

    Args:
        checkpoint: checkpoint, or run directory of a training.
        data: pictures.
        split: which part of them.
        averaged: whether to take the moving average of the weights where there is one.
        batch_size: images at a time.
        results: file for what was found, in COCO's results format.
        adjust: changes how images are usually loaded and computed here.
        computer: device and threads.
    """
    check_batch_size(batch_size)
    if results is not None:
        check_results(results)
    use_threads(computer.threads)
    device = choose_device(computer.device)
    model, header = load_detector(checkpoint, averaged=averaged)
    scenes = scenes_for(header.spec, data, split)
    if results is None:
        check_objects(scenes.coco, "score")
    check_categories(scenes.coco, header.classes, str(checkpoint))
    check_channels(scenes.channels, header.spec.task, str(checkpoint))
    for remark in scenes.contents.remarks:
        tell(remark)
    tell_left_out(scenes.coco)
    running = adjust(usual_running(device, Processes()))
    loader = shown(evaluation_batches(scenes, batch_size, running, device), len(scenes), "evaluation")
    findings = find_all(model.to(device), scenes.coco, loader, device=device, precision=running.precision)
    if results is not None:
        write_file(results, msgspec.json.encode(findings.detections))
    scored = findings.scores(scenes.coco)
    if findings.unreadable:
        tell(f"{len(findings.unreadable)} images were left out, the first: {findings.unreadable[0]}")
    return DetectorScored(
        network=header.spec.network,
        images=len(findings.seen),
        annotations=str(scenes.coco.path),
        detections=len(findings.detections),
        unreadable=tuple(findings.unreadable),
        scores={"boxes": scored.boxes, "masks": scored.masks},
        by_class=scored.by_class,
    )


def run_predict(
    checkpoint: Path,
    images: Sequence[Path],
    *,
    out: Path,
    min_score: float = LEAST_SCORE,
    averaged: bool = True,
    computer: Computer = Computer(),
) -> list[Json]:
    """What is found in some images, drawn on them.

    Args:
        checkpoint: checkpoint, or run directory of a training.
        images: files.
        out: folder for the drawn pictures.
        min_score: least score of what is drawn.
        averaged: whether to take the moving average of the weights where there is one.
        computer: device and threads.

    Returns:
        For every image its path, that of the drawn one, and the objects.
    """
    check_min_score(min_score)
    use_threads(computer.threads)
    device = choose_device(computer.device)
    model, header = load_detector(checkpoint, averaged=averaged, min_score=min_score)
    model.to(device)
    rows = []
    for path, drawn in zip(images, drawn_files(images, out), strict=True):
        image = to_tensor(read_image(path, header.spec.task.in_chans, header.spec.value_range))
        with torch.inference_mode():
            objects = {name: x.cpu() for name, x in model([image.to(device)])[0].items()}
        write_file(drawn, as_png(draw(image, objects, header.classes)))
        rows.append({"image": str(path), "drawn": str(drawn), "objects": objects_of(objects, header.classes)})
    return rows


def objects_of(found: dict[str, Tensor], classes: Sequence[str]) -> list[Json]:
    """Class, score and box (x1, y1, x2, y2) of every object."""
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True)
    return [{"class": classes[label - 1], "score": score, "box": box} for label, score, box in rows]


def detect_config(
    network: Network,
    recipe_name: str,
    recipe: DetectRecipe,
    start: str | None,
    data: SceneData,
    scenes: tuple[Scenes, Scenes],
    seed: int,
    running: Running,
) -> Json:
    """All that the trained weights depend on."""
    return {
        "recipe": recipe_name,
        "network": str(network),
        "start": start,
        "data": str(data.data),
        "images": {"train": len(scenes[0]), "val": len(scenes[1])},
        "annotations": {"train": scenes[0].coco.digest, "val": scenes[1].coco.digest},
        "max_left_out": data.max_left_out,
        "classes": len(scenes[0].coco.classes),
        "in_chans": scenes[0].channels,
        "seed": seed,
        "detect": asdict(recipe),
        "precision": running.precision,
        "accumulate": running.accumulate,
    }
