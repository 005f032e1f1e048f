"""Design Vision Transformers for your images and your budget without training anything (As-ViT, ICLR 2022).

>>> import asvit
>>> family = asvit.design_family(image_size=96, num_classes=12, params="3M").family  # doctest: +SKIP
>>> model = asvit.build(family[0], image_size=96, num_classes=12)  # doctest: +SKIP

Names are loaded when they are asked for: ``import asvit`` alone loads neither torch nor timm.
"""

TYPE_CHECKING = False  # typing's own, whose import the command line would wait for before it listens to Ctrl-C

if TYPE_CHECKING:
    from asvit.api import build, design_family, load, measure_network, train
    from asvit.design.budget import Budget
    from asvit.errors import UserError
    from asvit.measure.measurer import Measurer
    from asvit.networks.architecture import Architecture, Task
    from asvit.networks.model import AsViT
    from asvit.training.retokenize import retokenize
    from asvit.training.trained import Classifier

__all__ = [
    "Architecture",
    "AsViT",
    "Budget",
    "Classifier",
    "Measurer",
    "Task",
    "UserError",
    "build",
    "design_family",
    "load",
    "measure_network",
    "retokenize",
    "train",
]

_HOME = {
    "Architecture": "networks.architecture",
    "AsViT": "networks.model",
    "Budget": "design.budget",
    "Classifier": "training.trained",
    "Measurer": "measure.measurer",
    "Task": "networks.architecture",
    "UserError": "errors",
    "build": "api",
    "design_family": "api",
    "load": "api",
    "measure_network": "api",
    "retokenize": "training.retokenize",
    "train": "api",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'asvit' has no attribute {name!r}")
    from importlib import import_module

    from asvit.errors import from_extra

    with from_extra("train"):  # all that a plain install may lack
        return getattr(import_module(f"asvit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
