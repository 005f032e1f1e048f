"""What a checkpoint has to be before anything is built or trained from it: its parts fit each other and the network."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass

import torch
from torch import Tensor, nn

from asvit.errors import UserError, shortened
from asvit.images import Normalisation
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import LONGEST_TEXT, Network, parse_network
from asvit.runs.differences import flat
from asvit.training.results import EpochRecord
from asvit.training.state import State
from asvit.units import ValueRange

SHARES = {"waiting", "top1", "top5"}
"""Fields of an epoch that are shares of something, as are all parts of fields."""
LEAST_CROP = 0.05
"""Least share of a side that evaluation may keep."""
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps of a parameter: both moments, and the number of steps."""


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of some tensors: names, types, shapes and every byte.

    >>> digest_of({"x": torch.zeros(2)}) == digest_of({"x": torch.zeros(1, 2)})
    False
    """
    hashed = hashlib.sha256()
    for name in sorted(tensors):
        x = tensors[name]
        hashed.update(f"{name} {x.dtype} {tuple(x.shape)}\n".encode())
        if x.numel():  # as bytes: numpy knows no bfloat16
            hashed.update(x.reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return hashed.hexdigest()


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse numbers that are none: a network with one predicts nothing, and looks as if it did.

    Raises:
        UserError: a tensor has NaN or infinite values.
    """
    for name, x in tensors.items():
        if x.is_floating_point() and not x.isfinite().all():
            raise UserError(f"{name} has values that are NaN or infinite")


def check_named_network(network: str, task: Task, weights: Mapping[str, Tensor]) -> Network:
    """Refuse a network of another size than its weights, by what a formula says of it.

    Args:
        network: name of a network, as a header gives it.
        task: its images and classes.
        weights: what there is of it.

    Returns:
        The network.

    Raises:
        UserError: it has other numbers of parameters or blocks, or is none.
    """
    named, there = recorded_network(network), sum(x.numel() for x in weights.values())
    check_sizes({"channels": task.in_chans, "classes": task.num_classes}, there)
    if isinstance(named, Architecture):
        needed = named.params(task)
        if needed != there or sum(named.depths) > len(weights):
            raise UserError(f"its network {named} for {task} has {needed} parameters, but there are {there}")
    return named


def recorded_network(name: str) -> Network:
    """A network by the name that a record gives it.

    Raises:
        UserError: it is none, or longer than any.
    """
    if len(name) > LONGEST_TEXT:
        raise UserError(f"its network is a name of {len(name)} characters")
    return parse_network(name)


def check_sizes(sizes: Mapping[str, int], there: int) -> None:
    """Refuse a size that needs more weights than there are, whatever it is the size of.

    Raises:
        UserError: one does, or is below 1.
    """
    for name, size in sizes.items():
        if not 1 <= size <= there:
            raise UserError(f"it says {size} {name}, but has {there} weights")


def check_fit(weights: Mapping[str, Tensor], build: Callable[[], nn.Module]) -> None:
    """Refuse weights whose names, shapes or types are not those of a network, which takes no memory here.

    Args:
        weights: what there is.
        build: makes the network.

    Raises:
        UserError: they do not fit.
    """
    with torch.device("meta"):
        wanted = build().state_dict()
    check_same_tensors(weights, wanted)


def check_same_tensors(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse tensors whose names, shapes or types are not those of others.

    Raises:
        UserError: one is missing, too many or another.
    """
    for name in (*wanted, *weights):
        if name not in weights:
            raise UserError(f"it has no {name}")
        if name not in wanted:
            raise UserError(f"it has {name}, which its network has not")
        found, expected = weights[name], wanted[name]
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise UserError(f"{name} is {described(found)}, not {described(expected)}")


def check_taken(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Refuse a network that another library has made of some weights, if it has others than these.

    Raises:
        UserError: it has: timm draws a head anew where it is told of other classes, and resizes what does not fit.
    """
    taken = model.state_dict()
    for name in taken.keys() | weights.keys():
        if name not in taken or name not in weights or not torch.equal(weights[name], taken[name].to(weights[name])):
            raise UserError(f"its network does not take {name} as it is, by what config.json says")


def described(x: Tensor) -> str:
    """Type and shape.

    >>> described(torch.zeros(2, 3))
    'float32 2x3'
    """
    shape = "x".join(map(str, x.shape)) or "scalar"
    return f"{str(x.dtype).removeprefix('torch.')} {shape}"


def check_moments(moments: Mapping[str, Tensor], model: nn.Module, updates: int) -> None:
    """Refuse moments that are not those of a model after so many updates.

    Args:
        moments: tensors by kind and parameter, ``exp_avg/stages.0.0.mlp.fc1.weight``.
        model: the model.
        updates: updates of its weights.

    Raises:
        UserError: a moment is missing, too many, or another.
    """
    parameters = dict(model.named_parameters())
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, value in moments.items():
        kind, _, name = key.partition("/")
        if kind not in MOMENTS or name not in parameters:
            raise UserError(f"it has the moment {key}, which its network has not")
        by_name.setdefault(name, {})[kind] = value
    # A parameter that never had a gradient has no moments; some networks of timm have such, ours none.
    needed = by_name if by_name and not has_all_gradients(model) else parameters
    for name in needed:
        own, parameter = by_name.get(name, {}), parameters[name]
        for kind in MOMENTS:
            if kind not in own:
                raise UserError(f"it has no {kind} of {name}")
            shape = () if kind == "step" else parameter.shape
            if own[kind].shape != shape or own[kind].dtype != torch.float32:
                raise UserError(f"{kind} of {name} is {described(own[kind])}, not float32 {described(parameter)}")
        if own["step"].item() != updates:
            raise UserError(f"{name} was updated {own['step'].item():g} times, its network {updates} times")
        if own["exp_avg_sq"].numel() and own["exp_avg_sq"].min() < 0:
            raise UserError(f"exp_avg_sq of {name}, a mean of squares, is negative")


def has_all_gradients(model: nn.Module) -> bool:
    """Whether every parameter of a model has a gradient in every step: those of our classifiers do."""
    from asvit.networks.model import AsViT

    return isinstance(model, AsViT)


def check_same_header(found: object, expected: object) -> None:
    """Refuse what another training would say of itself; what an earlier version did not say counts for nothing.

    Args:
        found: header of a checkpoint.
        expected: what the training that is to go on from it says, as far as it is.

    Raises:
        UserError: they differ.
    """
    for field in fields(found):  # pyright: ignore[reportArgumentType], a dataclass
        was, now = getattr(found, field.name), getattr(expected, field.name)
        if is_dataclass(was) and type(was) is type(now):
            check_same_header(was, now)
        elif was is not None and was != now:
            raise UserError(f"its {field.name} is {shortened(str(was))}, not {shortened(str(now))}")


def check_numbers(name: str, *values: int | float, least: int | float = 0, most: int | float = math.inf) -> None:
    """Refuse numbers out of a range, and those that are none.

    Raises:
        UserError: one is.
    """
    for value in values:
        if not (least <= value <= most) or value in (math.inf, -math.inf):
            raise UserError(f"its {name} is {value}")


def check_looking(
    task: Task, normalisation: Normalisation | None, value_range: ValueRange | None, test_crop: float = 1.0
) -> None:
    """Refuse a way to make images ready that no training has.

    Args:
        task: images of the network.
        normalisation: mean and deviation of the images.
        value_range: values that become 0 and 1.
        test_crop: share of a side that evaluation keeps: a tiny one would make gigantic images.

    Raises:
        UserError: it cannot be.
    """
    check_numbers("share of a side that evaluation keeps", test_crop, least=LEAST_CROP, most=1.0)
    if normalisation is not None:
        means, deviations = normalisation.mean, normalisation.std
        if len(means) != task.in_chans or len(deviations) != task.in_chans:
            raise UserError(f"it normalises {len(means)} channels of {task.in_chans}")
        check_numbers("mean of a channel", *means, least=-math.inf)
        check_numbers("deviation of a channel", *deviations)
        if not min(deviations):
            raise UserError("its deviation of a channel is 0")
    if value_range is not None and not -math.inf < value_range[0] < value_range[1] < math.inf:
        raise UserError(f"its range of values goes from {value_range[0]} to {value_range[1]}")


def check_names(names: Iterable[str], outputs: int) -> None:
    """Refuse names of classes that are not as many as the outputs.

    Raises:
        UserError: they are fewer or more.
    """
    count = len(tuple(names))
    if count != outputs:
        raise UserError(f"it names {count} classes of {outputs} outputs")


def check_epochs(epochs: Iterable[EpochRecord], count: int) -> None:
    """Refuse records of epochs that are not one for each of so many, or hold numbers that no epoch has.

    Raises:
        UserError: they are.
    """
    epochs = tuple(epochs)
    if [epoch.epoch for epoch in epochs] != list(range(1, len(epochs) + 1)) or len(epochs) != count:
        raise UserError(f"it records {len(epochs)} epochs, and says that {count} are over")
    for epoch in epochs:
        for name, value in flat(asdict(epoch)).items():
            if value is not None:
                check_numbers(name, value, most=1.0 if name in SHARES or "." in name else math.inf)


def check_state(state: State, *, epochs: int, steps: int, sums: int, macs: int) -> None:
    """Refuse a state that a training cannot have.

    Args:
        state: how far the training is said to be.
        epochs: epochs of the whole training.
        steps: steps of an epoch.
        sums: number of losses that are summed over an epoch.
        macs: multiply-adds of the whole training.

    Raises:
        UserError: it cannot.
    """
    # Before a list of as many epochs is made.
    if not (0 <= state.epoch <= epochs and 0 <= state.step < steps) or (state.epoch == epochs and state.step):
        raise UserError(f"it is {state.step} of {steps} steps past {state.epoch} of {epochs} epochs")
    if not state.epoch and not state.step:
        raise UserError("it is of a training that has not begun")
    check_epochs(state.epochs, state.epoch)
    check_numbers("seconds", state.seconds, state.waiting)
    check_numbers("macs", state.macs, least=state.epochs[-1].macs if state.epochs else 0, most=macs)
    if len(state.losses) != (sums if state.step else 0) or (state.step > 0) != (state.seconds > 0):
        raise UserError(f"after {state.step} steps it has {len(state.losses)} sums of losses in {state.seconds:g} s")
    check_numbers("loss", *state.losses)
