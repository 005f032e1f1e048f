"""Checkpoints: one safetensors file with all that a training needs to go on, and what its weights are for.

Reading one runs no code. It is written under a temporary name and renamed, so it is there whole or not at all.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from asvit.errors import UserError, reason
from asvit.runs.json_files import complaint, decode_json
from asvit.runs.records import RESULT, read_record, recorded, remedy, replacing
from asvit.training.checked import check_finite, check_fit, digest_of
from asvit.training.results import EpochRecord
from asvit.training.state import State

CHECKPOINTS = "checkpoints"
"""Folder of a run directory in which they lie."""
MODEL, EMA, OPTIMISER = "model.", "ema.", "optimiser."
"""Prefixes of the names of tensors."""
HEADER = "header"
"""Name, among the digests of the parts of a checkpoint, of what it says beside its tensors."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a checkpoint says beside its weights: the state of the training and, in subclasses, what was trained."""

    schema: ClassVar[str]
    """Name of the file's format."""
    job: ClassVar[str]
    """Command that writes such files."""

    state: State[Any] = field(default_factory=State)

    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse what does not fit these weights, before anything is built.

        Raises:
            UserError: it says something else than the weights do, or what no training says.
        """
        raise NotImplementedError

    def build(self) -> nn.Module:
        """The network that it speaks of, freshly drawn."""
        raise NotImplementedError


HeaderT = TypeVar("HeaderT", bound=Header)


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    """Write a checkpoint.

    Raises:
        UserError: there is no room.
    """
    # JSON keeps floats exactly, as the shortest text that is read back as the same number: so the sums of losses go on
    # where they stopped, and a resumed training records what an uninterrupted one does.
    said = msgspec.json.encode(header)
    tensors = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    digests = {prefix: digest_of(part) for prefix, part in parts(tensors)} | {HEADER: hashlib.sha256(said).hexdigest()}
    metadata = {
        "format": "pt",
        "schema": header.schema,
        "asvit": said.decode(),
        "digests": msgspec.json.encode(digests).decode(),
    }
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata)
    except (OSError, SafetensorError) as error:
        last = last_checkpoint(path.parent)
        kept = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
        raise UserError(
            f"cannot write {path}: {reason(error)}; {kept}: {remedy(error, path.parent)}, then repeat the command"
        ) from error


def parts(tensors: Mapping[str, Tensor], prefixes: tuple[str, ...] = ("",)) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Weights, average and moments by their prefixes, of which some are read."""
    for prefix in (MODEL, EMA, OPTIMISER):
        if prefix.startswith(prefixes):
            yield prefix, {name: x for name, x in tensors.items() if name.startswith(prefix)}


PICKLES = (b"PK\x03\x04", b"\x80\x02")
"""What files of torch.save begin with: today's, and those of before torch 1.6."""


def refuse_pickle(path: Path, expected: str) -> None:
    """Refuse a file of torch.save: reading it could run code.

    Raises:
        UserError: it is one.
    """
    with suppress(OSError), path.open("rb") as file:
        if file.read(4).startswith(PICKLES):
            raise UserError(
                f"{path} is a file of torch.save, which is not read, for it could run code; {expected}, or for weights "
                "of timm's a name such as timm:resnet18"
            )


def read_checkpoint(
    path: Path, header_type: type[HeaderT], prefixes: tuple[str, ...] = ("",)
) -> tuple[dict[str, Tensor], HeaderT]:
    """Tensors whose names begin with one of some prefixes, and the header, neither damaged.

    Raises:
        UserError: the file is missing, truncated, damaged or not a checkpoint of asvit.
    """
    expected = f"expected a whole file of `asvit {header_type.job}`"
    if not os.path.lexists(path):
        raise UserError(f"there is no {path}: expected a run directory or a checkpoint of `asvit {header_type.job}`")
    if not path.is_file():
        raise UserError(f"cannot read the checkpoint {path}: it is a folder or no regular file; {expected}")
    refuse_pickle(path, expected)
    try:
        with safe_open(path, "pt") as file:
            metadata, names = file.metadata() or {}, list(file.keys())
            if metadata.get("schema") != header_type.schema:
                raise UserError(
                    f"{path} is not a checkpoint of `asvit {header_type.job}`: it has no header of ours; expected one"
                )
            tensors = {name: file.get_tensor(name) for name in names if name.startswith(prefixes)}
    except UserError:
        raise
    except (OSError, SafetensorError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"cannot read the checkpoint {path}: {complaint_of(error)}; {expected} "
            "(a training whose last one is damaged goes on from the one before when it is removed)"
        ) from error
    header = decode_json(metadata.get("asvit", ""), header_type, f"the header of {path}", expected)
    with fitting(path):
        stray = next((name for name in names if not name.startswith((MODEL, EMA, OPTIMISER))), None)
        if stray is not None:
            raise UserError(f"it has {stray}, which is nothing of a training")
        check_digests(metadata, dict(parts(tensors, prefixes)))
        check_finite(tensors)
    return tensors, header


def check_digests(metadata: Mapping[str, str], read: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Refuse what is not as it was written; earlier versions wrote no digests.

    Raises:
        UserError: a bit has changed.
    """
    if "digests" not in metadata:
        return
    digests = decode_json(metadata["digests"], dict, "its digests", "one for every part")
    found = {prefix: digest_of(part) for prefix, part in read.items()}
    found |= {HEADER: hashlib.sha256(metadata["asvit"].encode()).hexdigest()}
    for part, digest in found.items():
        if digests.get(part) != digest:
            raise UserError(f"the digest of its {part.rstrip('.')} is not that of what was written")


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Context in which a checkpoint that contradicts itself or a training is refused, by its name.

    >>> with fitting(Path("a.safetensors")):  # doctest: +ELLIPSIS
    ...     raise UserError("it has no model.norm.weight")
    Traceback (most recent call last):
    asvit.errors.UserError: cannot use the checkpoint a.safetensors: it has no model.norm.weight; expected one as ...
    """
    try:
        yield
    except UserError as error:
        raise UserError(
            f"cannot use the checkpoint {path}: {complaint(error)}; expected one as it was written, of the same "
            "training (when the last one is removed, a training goes on from the one before)"
        ) from error


def complaint_of(error: Exception) -> str:
    """What is wrong with a file, in one line of sensible length."""
    return complaint(ValueError(reason(error)))


def best_checkpoint(run: Path, job: str) -> Path:
    """Checkpoint that a finished training of a job names as its best."""
    asked = recorded(run)
    if asked is None or asked["job"] != job:
        raise UserError(f"{run} is not the run directory of `asvit {job}`: expected one, or a checkpoint file")
    if not os.path.lexists(run / RESULT):
        last = last_checkpoint(run / CHECKPOINTS)
        instead = f", or take its last checkpoint, {last}" if last else ""
        raise UserError(f"{run} has not finished: repeat `{asked['command']}`{instead}")
    name = read_record(run / RESULT, Finished).checkpoint
    if Path(name).parts[:-1] != (CHECKPOINTS,) or not _NAME.fullmatch(Path(name).name):
        raise UserError(f"{run / RESULT} is damaged: its checkpoint is {name}; repeat `{asked['command']}`")
    return run / name


@dataclass(frozen=True)
class Finished:
    """The record of a training that has ended, as far as its checkpoints are concerned."""

    checkpoint: str
    """File of the best epoch's weights, in the run directory."""


def load_weights(path: Path, header_type: type[HeaderT], *, averaged: bool) -> tuple[dict[str, Tensor], HeaderT, Path]:
    """Weights of a trained network, what their checkpoint says, which they fit, and which file it is.

    Args:
        path: checkpoint, or the run directory of a training: then its best one.
        header_type: header of the job that wrote it.
        averaged: whether to take the moving average of the weights where there is one.

    Raises:
        UserError: the file is missing, damaged, or contradicts itself.
    """
    file = best_checkpoint(path, header_type.job) if path.is_dir() else path
    tensors, header = read_checkpoint(file, header_type, (MODEL, EMA))
    prefix = EMA if averaged and any(name.startswith(EMA) for name in tensors) else MODEL
    weights = without_prefix(tensors, prefix)
    with fitting(file):
        header.check(weights)
        check_fit(weights, header.build)
    return weights, header, file


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


def prune(folder: Path, *, keep: int, best: EpochRecord | None) -> None:
    """Remove all but the last ``keep`` checkpoints and the best epoch's."""
    spared = None if best is None else checkpoint_path(folder, State(epoch=best.epoch))
    for path in checkpoints(folder)[:-keep]:
        if path != spared:
            path.unlink()
