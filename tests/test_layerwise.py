"""The kernel of one backward pass agrees with the kernel of one pass an image."""

import pytest
import torch
from torch import Tensor, nn

from asvit.complexity.layerwise import layerwise_kernel
from asvit.complexity.ntk import kernel
from asvit.measure.settings import Initialisation, Output
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task

DOUBLE = torch.float64
IMAGES = torch.randn(4, 3, 36, 45, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def network(output: Output = "features", initialisation: Initialisation = "normal") -> nn.Module:
    architecture = Architecture.parse("7,2,2,2|3,1,2,1|6,1,8,1|5,1,2,1|16,20")  # of space wide
    subject = ArchitectureSubject(architecture, Task(image_size=(36, 45), num_classes=7))
    return subject.network(1, output=output, initialisation=initialisation).double()


def plain(model: nn.Module, names: set[str], x: Tensor) -> Tensor:
    weights = [parameter for name, parameter in model.named_parameters() if name in names]
    return kernel(lambda images: model(images).sum(1), weights, x)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("kind", ["weight", "bias", ""])
def test_agrees_with_one_backward_pass_an_image(kind: str, recompute: bool):
    model = network()
    names = {name for name, _ in model.named_parameters() if name.endswith(kind)}
    model.recompute_blocks(recompute)
    found, expected = layerwise_kernel(model, names, IMAGES), plain(model, names, IMAGES)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12 * expected.abs().max().item())


@pytest.mark.parametrize(
    ("output", "initialisation"), [("logits", "normal"), ("features", "fan-in"), ("logits", "fan-in")]
)
def test_kernels_of_variants_agree_with_one_backward_pass_an_image(output: Output, initialisation: Initialisation):
    model = network(output, initialisation)
    names = {name for name, _ in model.named_parameters()}
    found, expected = layerwise_kernel(model, names, IMAGES), plain(model, names, IMAGES)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12 * expected.abs().max().item())


def test_each_parameter_adds_its_own_share():
    model = network()
    names = [name for name, _ in model.named_parameters() if not name.startswith("model.head")]
    shares = {name: layerwise_kernel(model, {name}, IMAGES[:2]) for name in names}
    for name, share in shares.items():
        torch.testing.assert_close(share, plain(model, {name}, IMAGES[:2]), rtol=1e-10, atol=1e-14)
    whole = layerwise_kernel(model, names, IMAGES[:2])
    torch.testing.assert_close(torch.stack([*shares.values()]).sum(0), whole)


def test_the_network_is_left_as_it_was():
    model = network()
    model.model.stages[0].requires_grad_(False)
    before = [(parameter.requires_grad, parameter.clone()) for parameter in model.parameters()]
    layerwise_kernel(model, {name for name, _ in model.named_parameters()}, IMAGES)
    for parameter, (required, value) in zip(model.parameters(), before, strict=True):
        assert parameter.requires_grad == required
        assert parameter.grad is None
        assert torch.equal(parameter, value)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_that_is_called_twice_is_refused():
    layer = nn.Linear(45, 45).double()
    with pytest.raises(TypeError, match="more than once"):
        layerwise_kernel(nn.Sequential(layer, nn.Tanh(), layer), {"0.weight"}, IMAGES)


def test_a_layer_without_a_rule_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * 36 * 45)).double().eval()
    with pytest.raises(TypeError, match="no rule for the gradients of BatchNorm1d"):
        layerwise_kernel(model, {"1.weight"}, IMAGES)
