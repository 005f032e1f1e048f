"""Refuse to go on with other settings, and say in words of the command line which ones differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from asvit.errors import UserError, shortened
from asvit.units import format_cost

MOST = 4
"""Differences that a message names."""
LONGEST_VALUE, LONGEST_PLACE = 40, 200
"""Characters of a value in a message, and of the place where the earlier settings are."""

NO_OPTIONS = {
    "job": "the command",
    "network": "the network",
    "start": "the network to start from",
    "subjects": "the networks",
    "budgets": "the budgets",
    "photographs": "the images that the kernel sees",
    "images.train": "the number of training images",
    "images.val": "the number of validation images",
    "annotations.train": "the training annotations",
    "annotations.val": "the validation annotations",
    "digest.train": "the training images",
    "digest.val": "the validation images",
    "classes": "the classes",
    "normalisation.mean": "the mean of the images",
    "normalisation.std": "the deviation of the images",
    "environment.asvit": "the version of asvit",
    "environment.torch": "the version of torch",
    "environment.python": "the version of Python",
    "environment.machine": "the kind of machine",
    "environment.device": "the device",
}
"""Settings that no option of the same name says."""

FOLLOW = {
    "limits": ("budgets",),
    "schedule": ("train.schedule", "train.epochs"),
    "train.warmup_epochs": ("train.epochs",),
    "detect.warmup_epochs": ("detect.epochs",),
    "train.ema": ("train.epochs", "train.batch_size"),
}
"""Settings that may follow from others: said only where those are the same."""


def refuse_difference(place: str, earlier: Mapping[str, Any], now: Mapping[str, Any], instead: str) -> None:
    """Refuse to go on with other settings.

    Args:
        place: file or folder that records the earlier settings, and the command that goes on with them.
        earlier: settings that the run began with.
        now: settings that were asked for.
        instead: what to choose instead to have these, for the message.

    Raises:
        UserError: a setting differs.

    >>> refuse_difference("run", {"train": {"epochs": 9}}, {"train": {"epochs": 5}}, "another --out")
    Traceback (most recent call last):
    asvit.errors.UserError: run was begun with --epochs 9, not 5: repeat its command, or choose another --out
    """
    before, after = flat(earlier), flat(now)
    changes = {key: (before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())}
    changes = {key: pair for key, pair in changes.items() if pair[0] != pair[1]}
    if not changes:
        return
    if "job" in changes:  # of which all else follows
        changes = {"job": changes["job"]}
    changed = {key_in_config(key) for key in changes}
    leading = {key: pair for key, pair in changes.items() if not changed & {*FOLLOW.get(key_in_config(key), ())}}
    words = [f"{named(key)} {brief(was)}, not {brief(now)}" for key, (was, now) in leading.items()]
    place = shortened(place, LONGEST_PLACE)
    more = f"; and {len(words) - MOST} more" if len(words) > MOST else ""
    raise UserError(f"{place} was begun with {'; '.join(words[:MOST])}{more}: repeat its command, or choose {instead}")


def key_in_config(key: str) -> str:
    """Name of a setting without the record around it.

    >>> key_in_config("config.train.epochs"), key_in_config("environment.torch")
    ('train.epochs', 'environment.torch')
    """
    return key.removeprefix("config.")


def named(key: str) -> str:
    """A setting by its option, or in words.

    >>> named("config.task.image_size"), named("config.photographs")
    ('--image-size', 'the images that the kernel sees')
    """
    inner = key_in_config(key)
    return NO_OPTIONS.get(inner) or "--" + inner.rpartition(".")[2].replace("_", "-")


def brief(value: object) -> str:
    """A value as one writes it, without the middle of a long one.

    >>> brief(list(range(1000)))
    '0, 1, 2, 3, 4, 5, 6, 7, [4,848 more]6, 997, 998, 999'
    """
    return shortened(shown(value), LONGEST_VALUE)


def shown(value: object) -> str:
    """A value as one writes it.

    >>> shown([96, 128]), shown(None), shown([{"kind": "params", "limit": 3000000, "beside": []}])
    ('96x128', 'not said', '3M params')
    """
    match value:
        case None:
            return "not said"
        case {"kind": kind, "limit": limit, "beside": beside}:
            return " and ".join([f"{format_cost(kind, limit)} {kind}", *map(shown, beside)])
        case Mapping():
            return ":".join(map(shown, value.values()))
        case [int() as height, int() as width]:
            return f"{height}x{width}"
        case str():
            return value
        case Sequence():
            return ", ".join(map(shown, value)) or "none"
    return str(value)


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted names.

    >>> flat({"a": 1, "b": {"c": None, "d": {"e": 2}}})
    {'a': 1, 'b.c': None, 'b.d.e': 2}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return leaves
