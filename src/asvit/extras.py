"""Packages that only some commands need, and which extra of asvit installs each: ``pip install "asvit[train]"``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from types import MappingProxyType

from asvit.errors import UserError

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "safetensors": "train",
        "sklearn": "train",
        "timm": "train",
        "torchvision": "train",
        "faster_coco_eval": "detect",
        "optuna": "study",
        "scipy": "study",
        "sqlalchemy": "study",
        "onnx": "export",
        "onnxruntime": "export",
        "onnxscript": "export",
        "datasets": "hf",
        "psycopg": "postgresql",
        "tensorboard": "tensorboard",
    }
)
"""The smallest extra with a package, by the name that the package is imported by."""


@contextmanager
def from_extras() -> Iterator[None]:
    """Around imports of packages that an extra installs, and around commands that need some.

    Raises:
        UserError: one is missing, and which extra has it; or torch and torchvision do not fit each other.

    >>> with from_extras():
    ...     raise ModuleNotFoundError("No module named 'timm.data'", name="timm.data")
    Traceback (most recent call last):
    asvit.errors.UserError: the package timm is missing, which this needs: install it with `pip install "asvit[train]"`
    """
    try:
        yield
    except ImportError as error:
        package = missing(error)
        if package is None or package not in EXTRAS:
            raise
        raise UserError(
            f"the package {package} is missing, which this needs: install it with "
            f'`pip install "asvit[{EXTRAS[package]}]"`'
        ) from error
    except RuntimeError as error:
        if "torchvision::" not in str(error):  # an operator that its compiled part would have brought
            raise
        raise UserError(
            f"torch {version('torch')} and torchvision {version('torchvision')} do not fit each other: expected "
            "builds that belong together; install both from the same index, and see `asvit doctor`"
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
