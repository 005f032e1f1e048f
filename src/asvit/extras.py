"""Packages that only some commands need: asvit installs them by its extras, as in ``pip install "asvit[train]"``."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Literal, NoReturn

from asvit.errors import UserError

Extra = Literal["train", "detect", "study", "export", "hf", "postgresql", "tensorboard"]


@contextmanager
def from_extra(extra: Extra) -> Iterator[None]:
    """Around imports of packages that an extra installs, or of rooms of ours that need them.

    Raises:
        UserError: one is missing, and how to install it; or torch and torchvision do not fit each other.

    >>> with from_extra("train"):
    ...     raise ModuleNotFoundError("No module named 'timm.data'", name="timm.data")
    Traceback (most recent call last):
    asvit.errors.UserError: the package timm is missing, which this needs: install it with `pip install "asvit[train]"`
    """
    try:
        yield
    except ImportError as error:
        refuse(error, f'"asvit[{extra}]"')
    except RuntimeError as error:
        if "torchvision::" not in str(error):  # an operator that its compiled part would have brought
            raise
        raise UserError(
            f"torch {version('torch')} and torchvision {version('torchvision')} do not fit each other: expected "
            "builds that belong together; install both from the same index, and see `asvit doctor`"
        ) from error


@contextmanager
def from_plain_install() -> Iterator[None]:
    """Around imports of packages that a plain install brings, and that may be missing where asvit was put alone.

    Raises:
        UserError: one is missing, and how to install it.
    """
    try:
        yield
    except ImportError as error:
        refuse(error, "asvit")


def refuse(error: ImportError, install: str) -> NoReturn:
    """Say which package is missing and what installs it; another error stays what it is."""
    package = missing(error)
    if package in (None, "asvit"):
        raise error
    raise UserError(
        f"the package {package} is missing, which this needs: install it with `pip install {install}`"
    ) from error


def missing(error: BaseException | None) -> str | None:
    """The package whose absence an error comes from; None where it is another error.

    >>> missing(ModuleNotFoundError("No module named 'timm.data'", name="timm.data"))
    'timm'
    """
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            return error.name.partition(".")[0]
        error = error.__cause__
    return None
