"""What a user of the library or the command line can get wrong, and what is not their fault."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.metadata import version
from typing import Literal, NoReturn


class UserError(ValueError):
    """Bad input: one line that says what was wrong, what was expected and what to do.

    The command line prints the line and exits with code 2; library code may catch it as a ``ValueError``.
    """


class NotAdmitted(UserError):
    """A measure that a network does not admit; its other measures may well be taken."""


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


def reason(error: Exception) -> str:
    """What is wrong, in one line, without the number and the path that the operating system's errors carry.

    >>> reason(FileNotFoundError(2, "No such file or directory", "x.png"))
    'No such file or directory'
    """
    return error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names, as the beginning of what one could do; empty where none is near.

    >>> did_you_mean("lenght", ["length", "ntk"]), did_you_mean("x", ["length"])
    ('did you mean length? ', '')
    """
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}? " if near else ""
