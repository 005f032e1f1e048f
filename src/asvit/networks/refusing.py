"""Errors of torch on a user's network, as one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from asvit.complexity.ntk import SingularKernel
from asvit.errors import NotAdmitted, UserError, one_line

OF_NETWORKS = (
    RuntimeError,
    AssertionError,
    AttributeError,
    TypeError,
    LookupError,
    ValueError,
    ArithmeticError,
    NameError,
)
"""What torch and a user's code raise; not what a full disk does."""


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
    except (torch.OutOfMemoryError, UserError, SingularKernel):
        raise
    except OF_NETWORKS as error:
        raise NotAdmitted(f"{name} cannot be {done} here: {one_line(error)}; {advice}") from error
