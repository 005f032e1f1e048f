"""Several networks of one architecture as one: each layer computes all of them in one product.

A GPU is done with a small network sooner than it can be told what to do: told once for all repeats of a measurement, it
waits less. Rows of a batch lie network by network, ``R`` networks with ``B`` rows each; of a jet
(:mod:`asvit.measure.taylor`) part by part, and within a part network by network. What has no weights treats each row by
itself and stays as it is.

Shapes: ``R`` networks, ``P`` parts of a jet (1 where there is no jet), ``J = P · R · B`` rows, ``T`` tokens.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Parameters = Mapping[str, Float[Tensor, "R ..."]]
"""Parameters of ``R`` networks by name, stacked along the first axis."""


class StackedLinear(nn.Linear):
    """Linear layers of several networks.

    >>> layers = [nn.Linear(3, 2), nn.Linear(3, 2)]
    >>> stacked = StackedLinear(layers[0], parameters_of(layers))
    >>> x = torch.randn(2, 5, 3)
    >>> out = stacked(x.flatten(0, 1)).unflatten(0, (2, 5))
    >>> all(torch.allclose(layer(x[r]), out[r], atol=1e-6) for r, layer in enumerate(layers))
    True
    """

    parts: int = 1

    def __init__(self, layer: nn.Linear, parameters: Parameters) -> None:
        # On the meta device, so that no weights are drawn which `take` would throw away at once.
        super().__init__(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        take(self, parameters)

    def forward(self, input: Float[Tensor, "J *tokens in_features"]) -> Float[Tensor, "J *tokens out_features"]:
        """One product of matrices a network."""
        # Rows and tokens of a network are one tall matrix: few large products instead of many small ones.
        x_PRTC = input.reshape(self.parts, len(self.weight), -1, self.in_features)
        out_PRTD = x_PRTC @ self.weight.mT
        if self.bias is not None:
            out_PRTD = out_PRTD + self.bias[:, None]
        return out_PRTD.reshape(*input.shape[:-1], self.out_features)


class StackedConv2d(nn.Conv2d):
    """Convolutions of several networks, without groups and with padding in numbers, as products with all patches."""

    parts: int = 1

    def __init__(self, layer: nn.Conv2d, parameters: Parameters) -> None:
        if isinstance(layer.padding, str) or layer.groups != 1:
            raise TypeError(f"no rule to stack {layer}: expected one group, and padding in numbers")
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # pyright: ignore[reportArgumentType]
            layer.stride,  # pyright: ignore[reportArgumentType]
            layer.padding,  # pyright: ignore[reportArgumentType]
            layer.dilation,  # pyright: ignore[reportArgumentType]
            bias=layer.bias is not None,
            device="meta",
        )
        self.margin = layer.padding
        take(self, parameters)

    def forward(self, input: Float[Tensor, "J in_channels H W"]) -> Float[Tensor, "J out_channels h w"]:
        """One product of matrices a network."""
        height, width = (self._extent(input, axis) for axis in (0, 1))
        # Not a grouped convolution: it wants the networks side by side in the channels, where other layers want rows.
        patches_JCT = F.unfold(input, self.kernel_size, self.dilation, self.margin, self.stride)
        patches_PRBCT = patches_JCT.unflatten(0, (self.parts, len(self.weight), -1))
        out_PRBDT = self.weight.flatten(2)[:, None] @ patches_PRBCT
        if self.bias is not None:
            out_PRBDT = out_PRBDT + self.bias[:, None, :, None]
        return out_PRBDT.flatten(0, 2).unflatten(2, (height, width))

    def _extent(self, images: Float[Tensor, "J in_channels H W"], axis: int) -> int:
        """Number of outputs along an axis."""
        extent = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        return (images.shape[2 + axis] + 2 * self.margin[axis] - extent) // self.stride[axis] + 1


def stack_into(network: nn.Module, parameters: Parameters) -> None:
    """Make a network, in place, one that maps ``R · B`` rows as ``R`` networks of its architecture map ``B`` rows each.

    Args:
        network: module whose layers are replaced; its own parameters may be on the meta device.
        parameters: parameters of the ``R`` networks.

    Raises:
        ValueError: layers of other kinds, norms above all, differ between networks, which freshly drawn ones do not.

    >>> networks = [nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)) for _ in range(2)]
    >>> x = torch.randn(2, 5, 3)
    >>> expected = torch.stack([network(rows) for network, rows in zip(networks, x, strict=True)])
    >>> stack_into(networks[0], parameters_of(networks))
    >>> torch.allclose(networks[0](x.flatten(0, 1)), expected.flatten(0, 1), atol=1e-6)
    True
    """
    for name, child in list(network.named_children()):
        own = {key.removeprefix(f"{name}."): p for key, p in parameters.items() if key.startswith(f"{name}.")}
        match child:
            case nn.Linear():
                setattr(network, name, StackedLinear(child, own))
            case nn.Conv2d():
                setattr(network, name, StackedConv2d(child, own))
            case _:
                # Scales and shifts of norms are not drawn but set, to the same values in all networks: one serves all.
                shared = {key: own[key] for key, _ in child.named_parameters(recurse=False)}
                if any((copies != copies[0]).any() for copies in shared.values()):
                    raise ValueError(f"{child} differs between networks: only linear layers and convolutions may")
                take(child, {key: copies[0] for key, copies in shared.items()})
                stack_into(child, own)


def take(layer: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    """Put tensors in the place of a layer's own parameters."""
    for name, _ in list(layer.named_parameters(recurse=False)):
        setattr(layer, name, nn.Parameter(parameters[name]))


def parameters_of(networks: list[nn.Module]) -> Parameters:
    """Parameters of networks of one architecture, stacked.

    >>> {name: tuple(p.shape) for name, p in parameters_of([nn.Linear(3, 2), nn.Linear(3, 2)]).items()}
    {'weight': (2, 2, 3), 'bias': (2, 2)}
    """
    names = dict(networks[0].named_parameters())
    return {name: torch.stack([n.get_parameter(name).detach() for n in networks]) for name in names}
