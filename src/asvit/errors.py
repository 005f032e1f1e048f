"""What a user of the library or the command line can get wrong, and what is not their fault."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Literal, NoReturn


class UserError(ValueError):
    """Bad input: one line that says what was wrong, what was expected and what to do.

    The command line prints the line and exits with code 2; library code may catch it as a ``ValueError``.
    """


class NotAdmitted(UserError):
    """A measure that a network does not admit; its other measures may well be taken."""


def hush() -> None:
    """Keep warnings from users that they cannot do anything about."""
    # torch.func's first jvp compiles a helper with torch's own deprecated decorator.
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")


Extra = Literal["train", "detect", "study", "export", "hf", "postgresql", "tensorboard"]


@contextmanager
def from_extra(extra: Extra) -> Iterator[None]:
    """Context for imports of packages that an extra installs, or of our own modules that need them.

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
    """Context for imports of packages that a plain install brings, which may be missing where asvit was put alone.

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


def one_line(error: BaseException) -> str:
    """First line of an error's message.

    >>> one_line(RuntimeError("first line\\nsecond"))
    'first line'
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
