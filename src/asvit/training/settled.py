"""A training as it will be: images as the network reads them, recipe and schedule, and what a user should know."""

from dataclasses import dataclass, replace

from asvit.errors import UserError, from_extra
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import Network, TimmModel
from asvit.networks.space import STAGES
from asvit.training.data import check_batch
from asvit.training.fitting import AUTO, LARGEST_SIDE, AskedTraining, DataFacts
from asvit.training.recipe import TrainRecipe
from asvit.training.schedule import Schedule
from asvit.training.settings import ImageData, range_to_read
from asvit.training.sources import Source, open_both
from asvit.training.start import Start
from asvit.units import count, format_size

PAPER_SIDE = 224
"""Pixels of a side where neither network nor images say anything."""


@dataclass(frozen=True)
class SettledTraining:
    """What is trained on what, and how."""

    train: Source
    val: Source
    recipe: TrainRecipe
    schedule: Schedule
    start: Start | None
    remarks: tuple[str, ...]
    """What a user should know before it begins."""

    @property
    def task(self) -> Task:
        """Size, channels and classes of the images."""
        return task_on(self.train, self.recipe)


def task_on(train: Source, recipe: TrainRecipe) -> Task:
    """What a network is trained for."""
    return Task(image_size=recipe.image_size, in_chans=train.channels, num_classes=len(train.classes))


def settle(
    network: Network, data: ImageData, asked: AskedTraining, designed: Task | None, start: Start | None = None
) -> SettledTraining:
    """Fit a training to the network and the images.

    Args:
        network: what is trained.
        data: images.
        asked: recipe, and what was said in the place of its values.
        designed: images and classes that the network's file names; None: it is not of a file.
        start: trained classifier that it starts from, whose images these are made to look like.

    Raises:
        UserError: images cannot be read, or do not fit the network; an initialisation is asked for that it has not.
    """
    if start is not None:
        own = start.looking.value_range
        data = replace(data, value_range=range_to_read(start.name, trained=own, asked=data.value_range))
    if isinstance(network, TimmModel) and "initialisation" in asked.changes:
        raise UserError(f"{network} draws its weights by itself: leave --initialisation out")
    train, val = open_both(data)
    remarks = [train.summary, val.summary, *train.contents.remarks]
    laid_out = designed if start is None else start.task
    if laid_out is not None and data.in_chans is None and train.channels != laid_out.in_chans:
        train, val = (as_designed(source, laid_out) for source in (train, val))
        remarks.append(f"pictures are read with {count(train.channels, 'channel')}, as the network was designed")
    if start is not None:
        train, val = (source.normalised_by(start.looking.normalisation) for source in (train, val))
        remarks.append(start.remark(train))
    facts = DataFacts(
        images=len(train), channels=train.channels, arrays=train.contents.arrays, size=train.contents.size
    )
    recipe, schedule = asked.fit(facts, designed=laid_out, usual_size=usual_size(network, facts))
    check_batch(len(train), recipe.batch_size)
    if isinstance(network, Architecture) and designed is not None:
        remarks.append(compared(network, designed, task_on(train, recipe)))
    if asked.recipe == AUTO:
        remarks.append(
            f"recipe auto, for {count(len(train), 'image')}: {count(recipe.epochs, 'epoch')} in batches of "
            f"{recipe.batch_size}, learning rate {recipe.lr:.2g}, schedule {recipe.schedule}; --plan says more"
        )
    return SettledTraining(train, val, recipe, schedule, start, tuple(remarks))


def as_designed(source: Source, designed: Task) -> Source:
    """A source with the channels that a network was designed for.

    Raises:
        UserError: its images are arrays of others.
    """
    try:
        return source.with_channels(designed.in_chans)
    except UserError as error:
        raise UserError(
            f"the network was designed for {count(designed.in_chans, 'channel')}, but {source.name} has "
            f"{count(source.channels, 'channel')}: design one for these images, or train this one for them with "
            f"--in-chans {source.channels}"
        ) from error


def usual_size(network: Network, facts: DataFacts) -> tuple[int, int]:
    """Image size of a network that was designed for nothing in particular.

    That of the images, where all have the same and it is not large, but at least what the network takes; else the
    paper's. A model of timm that knows one size only has that.
    """
    if isinstance(network, TimmModel):
        with from_extra("train"):
            import timm
        config = timm.get_pretrained_cfg(network.model_name)
        if config is not None and config.fixed_input_size:
            _, height, width = config.input_size
            return height, width
    if facts.size is None or max(facts.size) > LARGEST_SIDE:
        return PAPER_SIDE, PAPER_SIDE
    least = network.topology.base_stride * 2 ** (STAGES - 1) if isinstance(network, Architecture) else 32
    height, width = facts.size
    larger = max(1.0, least / min(height, width))
    return round(height * larger), round(width * larger)


def compared(network: Architecture, designed: Task, task: Task) -> str:
    """What a network costs as it is trained, and what it was designed to cost where that is something else."""
    params, macs = (format_size(size) for size in (network.params(task), network.macs(task)))
    if task == designed:
        return f"trains on {task}, as the network was designed: {params} parameters, {macs} MACs"
    return (
        f"the network was designed for {designed}, and is trained on {task}: parameters "
        f"{format_size(network.params(designed))} -> {params}, MACs {format_size(network.macs(designed))} -> {macs}"
    )
