"""Checkpoints: one safetensors file with all that a training needs to go on, and what its weights are for.

Reading one runs no code. It is written under a temporary name and renamed, so it is there whole or not at all.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from asvit.errors import UserError, reason
from asvit.runs.records import RESULT, read_file, recorded
from asvit.training.results import EpochRecord

CHECKPOINTS = "checkpoints"
"""Folder of a run directory in which they lie."""
MODEL, EMA, OPTIMISER = "model.", "ema.", "optimiser."
"""Prefixes of the names of tensors."""

EpochT = TypeVar("EpochT", bound=EpochRecord)


@dataclass(frozen=True, kw_only=True)
class State(Generic[EpochT]):
    """How far a training is; with weights and moments all of its state, since randomness is a function of it."""

    epoch: int = 0
    """Epochs that are over."""
    step: int = 0
    """Steps of the next epoch that are over."""
    losses: tuple[float, ...] = ()
    """Sums in the unfinished epoch of the loss and its recorded parts, each a mean over the batch."""
    seconds: float = 0.0
    """Seconds spent on the unfinished epoch."""
    waiting: float = 0.0
    """Seconds of them spent waiting for images."""
    macs: int = 0
    """Multiply-adds spent so far."""
    unreadable: tuple[str, ...] = ()
    """Training images that could not be read."""
    epochs: tuple[EpochT, ...] = ()
    """Records of the epochs that are over."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a checkpoint says beside its weights: the state of the training and, in subclasses, what was trained."""

    schema: ClassVar[str]
    """Name of the file's format."""
    job: ClassVar[str]
    """Command that writes such files."""

    state: State[Any] = field(default_factory=State)


HeaderT = TypeVar("HeaderT", bound=Header)


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    """Write a checkpoint.

    Raises:
        UserError: there is no room.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    # JSON keeps floats exactly, as the shortest text that is read back as the same number: so the sums of losses go on
    # where they stopped, and a resumed training records what an uninterrupted one does.
    metadata = {"format": "pt", "schema": header.schema, "asvit": msgspec.json.encode(header).decode()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: x.detach().contiguous() for name, x in tensors.items()}, temporary, metadata)
        # The new name may reach the disk before the content does: without this a crash of the machine could leave an
        # empty file under it, and the one before is soon removed.
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        last = last_checkpoint(path.parent)
        kept = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
        raise UserError(f"cannot write {path}: {reason(error)}; {kept}: make room, then repeat the command") from error


def read_checkpoint(
    path: Path, header_type: type[HeaderT], prefixes: tuple[str, ...] = ("",)
) -> tuple[dict[str, Tensor], HeaderT]:
    """Tensors whose names begin with one of some prefixes, and the header.

    Raises:
        UserError: the file is missing, truncated or not a checkpoint of asvit.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefixes)}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        if not path.exists():
            raise UserError(
                f"there is no {path}: expected a run directory or a checkpoint of `asvit {header_type.job}`"
            ) from error
        raise UserError(
            f"cannot read the checkpoint {path}: {reason(error)}; expected a whole file of `asvit {header_type.job}` "
            "(a training whose last one is damaged goes on from the one before when it is removed)"
        ) from error
    try:
        if metadata.get("schema") != header_type.schema:
            raise msgspec.ValidationError("it has no header of ours")
        return tensors, msgspec.json.decode(metadata["asvit"], type=header_type)
    except (msgspec.DecodeError, KeyError) as error:
        raise UserError(f"{path} is not a checkpoint of `asvit {header_type.job}`: {error}; expected one") from error


def best_checkpoint(run: Path, job: str) -> Path:
    """Checkpoint that a finished training of a job names as its best."""
    asked = recorded(run)
    if asked is None or asked.get("job") != job:
        raise UserError(f"{run} is not the run directory of `asvit {job}`: expected one, or a checkpoint file")
    if not (run / RESULT).exists():
        last = last_checkpoint(run / CHECKPOINTS)
        instead = f", or take its last checkpoint, {last}" if last else ""
        raise UserError(f"{run} has not finished: repeat `{asked.get('command')}`{instead}")
    return run / read_file(run / RESULT)["checkpoint"]


def load_weights(path: Path, header_type: type[HeaderT], *, averaged: bool) -> tuple[dict[str, Tensor], HeaderT, Path]:
    """Weights of a trained network, what their checkpoint says, and which file it is.

    Args:
        path: checkpoint, or the run directory of a training: then its best one.
        header_type: header of the job that wrote it.
        averaged: whether to take the moving average of the weights where there is one.
    """
    file = best_checkpoint(path, header_type.job) if path.is_dir() else path
    tensors, header = read_checkpoint(file, header_type, (MODEL, EMA))
    prefix = EMA if averaged and any(name.startswith(EMA) for name in tensors) else MODEL
    return without_prefix(tensors, prefix), header, file


def fill(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that must fit exactly.

    Raises:
        UserError: they are of another architecture.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the weights in {path} are of another network: {reason}") from error


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors under longer names."""
    return {prefix + name: x for name, x in tensors.items()}


def without_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix, under their names without it."""
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts by the names of the parameters: ``exp_avg/stages.0.0.mlp.fc1.weight``."""
    # By names, which stay: torch itself numbers parameters by their place in the optimiser's groups.
    return {
        f"{kind}/{name}": value
        for name, parameter in model.named_parameters()
        for kind, value in optimiser.state[parameter].items()
    }


def fill_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`optimiser_tensors`."""
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        parameter = parameters[name]
        # The fused step wants moments that lie in memory as their weights do; the only other tensor is the count of
        # steps, which it wants on the same device.
        if value.shape == parameter.shape:
            optimiser.state[parameter][kind] = torch.empty_like(parameter).copy_(value)
        else:
            optimiser.state[parameter][kind] = value.to(parameter.device)


_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.safetensors")


def checkpoint_path(folder: Path, state: State) -> Path:
    """Where the checkpoint of a state belongs.

    >>> checkpoint_path(Path("c"), State(epoch=3)).name, checkpoint_path(Path("c"), State(epoch=3, step=40)).name
    ('epoch-0003.safetensors', 'epoch-0003-step-000040.safetensors')
    """
    step = f"-step-{state.step:06d}" if state.step else ""
    return folder / f"epoch-{state.epoch:04d}{step}.safetensors"


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in a folder, in the order of training."""
    # By the numbers in the names: epoch-0003 is before epoch-0003-step-000040, though sorting names puts it after.
    matches = [(match, path) for path in folder.glob("*.safetensors") if (match := _NAME.fullmatch(path.name))]
    return [path for match, path in sorted(matches, key=lambda pair: (int(pair[0][1]), int(pair[0][2] or 0)))]


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint, if any."""
    return next(reversed(checkpoints(folder)), None)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed training had not finished writing."""
    for path in folder.glob(".epoch-*.tmp"):
        path.unlink()


def prune(folder: Path, *, keep: int, best: EpochRecord | None) -> None:
    """Remove all but the last ``keep`` checkpoints and the best epoch's."""
    spared = None if best is None else checkpoint_path(folder, State(epoch=best.epoch))
    for path in checkpoints(folder)[:-keep]:
        if path != spared:
            path.unlink()
