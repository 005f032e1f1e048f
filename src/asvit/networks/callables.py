"""Networks of one's own: a function named ``package.module:callable`` that makes one.

The function gets, by keyword, what its signature names of

- ``num_classes``: classes to tell apart;
- ``in_chans``: channels of the images;
- ``img_size`` or ``image_size``: the side of square images in pixels, ``(height, width)`` of others.

Its other parameters need defaults. What it returns maps a batch of images to class logits ``B x num_classes``, each
image by itself in evaluation mode. Every call makes a new network, whose weights come out of torch's own generator on
the CPU: it is seeded before each call.
"""

import difflib
import functools
import hashlib
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from asvit.errors import NotAdmitted, UserError
from asvit.networks.architecture import Task
from asvit.networks.named import NetworkFunction

Make = Callable[..., Any]

_GIVEN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def load_callable(function: NetworkFunction) -> Make:
    """The function itself, from the current folder or an installed package.

    >>> load_callable(NetworkFunction("torch.nn:Linear")).__name__
    'Linear'
    """
    name = str(function)
    member: Any = _import(function.module, name)
    for attribute in function.attribute.split("."):
        if not hasattr(member, attribute):
            close = difflib.get_close_matches(attribute, dir(member), 3)
            hint = f"did you mean {', '.join(close)}?" if close else "expected a function that makes a network"
            raise UserError(f"{function.module} has no {function.attribute}: {hint}")
        member = getattr(member, attribute)
    if isinstance(member, nn.Module):
        raise UserError(f"{name} is a network: expected a function or class that makes one, anew in every call")
    if not callable(member):
        raise UserError(f"{name} is of type {type(member).__name__}: expected a function that makes a network")
    if inspect.isbuiltin(member):
        raise UserError(
            f"{name} is a function that is built into Python or written in C, which makes no network: expected one "
            "written in Python"
        )
    return member


def _import(module: str, name: str) -> Any:
    folder = os.getcwd()
    if folder not in sys.path:  # stays there: functions may import later
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise UserError(
                f"there is no module {error.name} for {name}: expected one in the current folder, or installed"
            ) from error
        raise UserError(f"{module} cannot be imported: {blame(error)}") from error
    except (Exception, SystemExit) as error:  # a program that is no module ends where it is imported
        raise UserError(f"{module} cannot be imported: {blame(error)}") from error


def arguments_for(make: Make, name: str, task: Task) -> dict[str, Any]:
    """Arguments that a function is called with: those of classes, channels and image size that its signature names.

    >>> arguments_for(lambda num_classes, depth=3: None, "nets:small", Task(num_classes=10))
    {'num_classes': 10}
    """
    height, width = task.image_size
    side = height if height == width else (height, width)
    offered = {"num_classes": task.num_classes, "in_chans": task.in_chans, "img_size": side, "image_size": side}
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} has no signature to call it by: expected a function written in Python") from error
    given = {p.name: offered[p.name] for p in parameters if p.kind in _GIVEN and p.name in offered}
    lacking = [p.name for p in parameters if p.default is p.empty and p.kind not in _COLLECTING and p.name not in given]
    if lacking:
        raise UserError(
            f"{name} needs {', '.join(lacking)}, which nobody gives: expected parameters out of {', '.join(offered)}, "
            "and defaults for others"
        )
    return given


def make_network(make: Make, name: str, task: Task) -> nn.Module:
    """One network, in evaluation mode.

    Lazy layers are made whole by a forward pass.

    Raises:
        UserError: the function cannot be called.
        NotAdmitted: it raises, or returns something else.
    """
    given = arguments_for(make, name, task)
    try:
        network = make(**given)
    except (Exception, SystemExit) as error:
        words = ", ".join(f"{key}={value}" for key, value in given.items())
        raise NotAdmitted(f"{name}({words}) raised {blame(error)}") from error
    if not isinstance(network, nn.Module):
        raise NotAdmitted(f"{name} returned a value of type {type(network).__name__}: expected a torch.nn.Module")
    network.eval()
    if any(is_lazy(tensor) for tensor in chain(network.parameters(), network.buffers())):
        see_images(network, name, task)
    return network


def see_images(network: nn.Module, name: str, task: Task) -> Any:
    """What a network returns for two images.

    Raises:
        NotAdmitted: it does not take them.
    """
    height, width = task.image_size
    try:
        with torch.no_grad():
            return network(torch.zeros(2, task.in_chans, height, width))
    except (Exception, SystemExit) as error:
        raise NotAdmitted(
            f"the network of {name} does not take {height}x{width} images of {task.in_chans} channels: {blame(error)}"
        ) from error


def find_classifier(network: nn.Module, name: str, task: Task) -> str | None:
    """See that a network maps images to logits; name of the linear layer that makes them, None where none does.

    Raises:
        NotAdmitted: it does not take the task's images, or returns something else.

    >>> find_classifier(nn.Sequential(nn.Flatten(), nn.Linear(3072, 5)), "nets:small", Task((32, 32), num_classes=5))
    '1'
    """
    made: dict[int, tuple[str, torch.Tensor]] = {}  # with the tensors, so that no other gets their identity

    def remember(layer: str) -> Callable[..., None]:
        return lambda _module, _inputs, out: made.update({id(out): (layer, out)})

    linear = ((layer, module) for layer, module in network.named_modules() if isinstance(module, nn.Linear))
    hooks = [module.register_forward_hook(remember(layer)) for layer, module in linear]
    try:
        logits = see_images(network, name, task)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(logits, torch.Tensor):
        raise NotAdmitted(
            f"the network of {name} returned a value of type {type(logits).__name__}: expected a tensor of logits, "
            f"2x{task.num_classes} for 2 images; {where_logits_are(logits)}"
        )
    if logits.shape != (2, task.num_classes):
        raise NotAdmitted(
            f"the network of {name} returned {'x'.join(map(str, logits.shape))} for 2 images: expected logits "
            f"2x{task.num_classes}; name num_classes in the signature, or give --num-classes"
        )
    return made[id(logits)][0] if id(logits) in made else None


def where_logits_are(returned: Any) -> str:
    """Advice to one whose network returns its logits inside something else.

    >>> where_logits_are({"logits": torch.zeros(2, 5)})
    'wrap the network in a module that returns its logits'
    """
    if isinstance(getattr(returned, "logits", None), torch.Tensor):
        return "wrap the network in a module that returns its .logits"
    if isinstance(returned, Mapping) and returned:
        return f"wrap the network in a module that returns its {'logits' if 'logits' in returned else 'entry'}"
    if isinstance(returned, (tuple, list)) and returned:
        return "wrap the network in a module that returns one entry of it"
    return "wrap the network in a module that returns it"


def digest(make: Make, network: nn.Module) -> str:
    """Short name of a function's present state: of the files that define it and the layers, and of the layers made.

    A ledger keeps measurements under it, so that an edited network is measured again.

    >>> digest(nn.Linear, nn.Linear(2, 3)) == digest(nn.Linear, nn.Linear(2, 3)) != digest(nn.Linear, nn.Linear(2, 4))
    True
    """
    structure = re.sub(r" at 0x[0-9a-f]+", "", str(network))  # addresses are of one process
    described = hashlib.sha256(structure.encode())
    function = make.func if isinstance(make, functools.partial) else make
    for path in sorted(set(_sources([function, *map(type, network.modules())]))):
        described.update(path.read_bytes())
    return described.hexdigest()[:12]


def _sources(objects: Iterable[Any]) -> Iterable[Path]:
    for thing in objects:
        module = sys.modules.get(getattr(thing, "__module__", ""))
        path = getattr(module, "__file__", None)
        if path is not None and Path(path).suffix == ".py":
            yield Path(path)


def blame(error: BaseException) -> str:
    """An error's kind, its first line, and the last line of the user's own code that led to it.

    >>> try:
    ...     [][3]
    ... except IndexError as error:
    ...     print(blame(error))
    IndexError: list index out of range
    """
    message = next(iter(str(error).strip().splitlines()), "")
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename != __file__ and f.filename[0] != "<" and "site-packages" not in f.filename]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return type(error).__name__ + (f": {message}" if message else "") + where
