"""What a user of the library or the command line can get wrong, and what is not their fault."""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.metadata import version
from numbers import Integral, Real
from typing import Literal, NoReturn

LONGEST = 600
"""Characters of a message that is shown."""
LONGEST_WORD = 200
"""Characters of a word in it."""


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
    """What is wrong, in one line of sensible length, without the number and the path that the system's errors carry.

    >>> reason(FileNotFoundError(2, "No such file or directory", "x.png"))
    'No such file or directory'
    """
    return shortened(error.strerror if isinstance(error, OSError) and error.strerror else one_line(error), LONGEST // 2)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names, as the beginning of what one could do; empty where none is near.

    >>> did_you_mean("lenght", ["length", "ntk"]), did_you_mean("x", ["length"])
    ('did you mean length? ', '')
    """
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}? " if near else ""


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is no whole number, or one out of bounds.

    >>> check_whole("epochs", 0, 1, 100_000)
    Traceback (most recent call last):
    asvit.errors.UserError: epochs is 0: expected at least 1 and at most 100,000
    """
    bounds = f"at least {least:,} and at most {most:,}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise UserError(f"{name} is {shortened(repr(value))}: expected a whole number, {bounds}")
    if not least <= int(value) <= most:
        raise UserError(f"{name} is {int(value):,}: expected {bounds}")


def check_number(
    name: str, value: object, least: int | float, most: int | float, *, above: bool = False, below: bool = False
) -> None:
    """Refuse what is no number, or one out of bounds: nan always is.

    Args:
        name: what the number is.
        value: the number.
        least: lower bound.
        most: upper bound.
        above: whether the lower bound itself is refused.
        below: whether the upper bound itself is refused.

    >>> check_number("lr", float("nan"), 0, 100, above=True)
    Traceback (most recent call last):
    asvit.errors.UserError: lr is nan: expected a number above 0 and at most 100
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else float("nan")
    if not least <= number <= most or (above and number == least) or (below and number == most):
        low, high = "above" if above else "of at least", "below" if below else "at most"
        shown = str(value) if isinstance(value, Real) else repr(value)
        raise UserError(f"{name} is {shortened(shown)}: expected a number {low} {least:,} and {high} {most:,}")


WRITTEN_OUT = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of characters that are not seen, but steer a terminal, turn a line round, or end it."""
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Characters of these categories that are letters' business."""


def harmless(text: str) -> str:
    """Text in one line that steers no terminal and turns nothing round: what is not seen is written out.

    >>> harmless("two\\nlines"), harmless("\\u202egnp.exe")
    ('two␊lines', '\\\\u202egnp.exe')
    """
    if text.isprintable():
        return text
    return "".join(_written_out(c) if unicodedata.category(c) in WRITTEN_OUT and c not in JOINERS else c for c in text)


def _written_out(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # its picture, such as ␛
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shortened(text: str, most: int = LONGEST_WORD) -> str:
    """Text of about so many characters, with the number of those that are left out of its middle.

    >>> shortened("a" * 5000, 20)
    'aaaaaaaaaaaa[4,980 more]aaaaaaaa'
    """
    if len(text) <= most:
        return text
    end = 2 * most // 5
    return f"{text[: most - end]}[{len(text) - most:,} more]{text[-end:]}"


def message_line(message: str) -> str:
    """A message as it is shown: one line of sensible length, harmless.

    >>> message_line("no folder\\n" + 5000 * "x")[:25]
    'no folder xxxxxxxxxxxxxxx'
    """
    return shortened(" ".join(map(shortened, harmless(" ".join(message.split())).split(" "))), LONGEST)
