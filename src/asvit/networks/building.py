"""Modules to train and to use, made of what :mod:`asvit.networks.named` reads."""

from typing import Any

from torch import nn

from asvit.errors import NotAdmitted, UserError, did_you_mean, from_extra, one_line
from asvit.networks.architecture import Initialisation, Task
from asvit.networks.named import Network, NetworkFunction, TimmModel


def build_trainable(
    network: Network, task: Task, *, drop_path: float = 0.0, initialisation: Initialisation = "normal"
) -> nn.Module:
    """A freshly drawn network, ready to be trained; timm must be installed.

    Args:
        network: an architecture, or a classifier of timm.
        task: size, channels and classes.
        drop_path: stochastic depth; where a timm model has none, 0 is expected.
        initialisation: how weights of an architecture are drawn; a timm model draws its own.

    Raises:
        UserError: the network is a function of one's own, or timm cannot build it for the task.

    >>> from asvit.networks.named import parse_network
    >>> build_trainable(parse_network("seed"), Task(image_size=(32, 32), num_classes=10)).num_classes
    10
    """
    if isinstance(network, TimmModel):
        options = {"drop_path_rate": drop_path} if drop_path else {}
        return create_in_timm(network, task, num_classes=task.num_classes, **options).train()
    if isinstance(network, NetworkFunction):
        raise UserError(f"{network} is a function of yours, which can be measured, but not trained or exported here")
    from asvit.networks.timm_model import AsViTForTimm

    return AsViTForTimm(
        network,
        img_size=task.image_size,
        in_chans=task.in_chans,
        num_classes=task.num_classes,
        drop_path_rate=drop_path,
        initialisation=initialisation,
    )


def create_in_timm(network: TimmModel, task: Task, *, num_classes: int, **options: Any) -> nn.Module:
    """A model of timm in evaluation mode, laid out for the task's image size where it needs to know that.

    Args:
        network: model of timm.
        task: size and channels of the images.
        num_classes: outputs; 0: pooled features.
        options: further arguments of the model.

    Raises:
        NotAdmitted: timm cannot build it so.

    >>> create_in_timm(TimmModel("resnet18"), Task(in_chans=5), num_classes=7).fc.out_features
    7
    """
    with from_extra("train"):
        import timm

    check_in_timm(network)
    options |= network.arguments
    config = timm.get_pretrained_cfg(network.model_name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = task.image_size
    try:
        return timm.create_model(network.model_name, num_classes=num_classes, in_chans=task.in_chans, **options).eval()
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        height, width = task.image_size
        raise NotAdmitted(
            f"timm cannot build {network} for {height}x{width} images of {task.in_chans} channels: "
            f"{one_line(error)}; choose the size, channels and arguments that the model expects"
        ) from error


def check_in_timm(network: TimmModel) -> None:
    """Refuse a model that timm does not have, naming close ones.

    >>> check_in_timm(TimmModel("resnet19"))
    Traceback (most recent call last):
    asvit.errors.UserError: timm has no model named 'resnet19': did you mean resnet18?
    """
    with from_extra("train"):
        import timm

    if not timm.is_model(network.model_name):
        containing = ", ".join(timm.list_models(f"*{network.model_name}*")[:3])
        near = f"did you mean {containing}?" if containing else did_you_mean(network.model_name, timm.list_models())
        raise UserError(f"timm has no model named {network.model_name!r}: {near.strip() or 'see timm.list_models()'}")
