"""Errors of torch on a user's network, as one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from asvit.errors import NotAdmitted, one_line


@contextmanager
def refusing(
    name: str,
    done: str = "measured",
    advice: str = "choose other metrics, another image size or another network",
) -> Iterator[None]:
    """Refuse a network that lacks a derivative or does not take these images, naming torch's reason.

    >>> with refusing("net", "counted", "choose another network"):
    ...     raise RuntimeError("no such operator")
    Traceback (most recent call last):
    asvit.errors.NotAdmitted: net cannot be counted here: no such operator; choose another network
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, AttributeError, TypeError, LookupError) as error:
        raise NotAdmitted(f"{name} cannot be {done} here: {one_line(error)}; {advice}") from error
