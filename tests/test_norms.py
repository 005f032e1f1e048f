"""Norms taken out, and written out so that second derivatives are right."""

import pytest
import timm
import torch
from torch import nn
from torch.func import jvp

from asvit.errors import UserError
from asvit.measure.differentiable import WrittenOutNorm, is_norm, remove_norms, write_out_norms

DOUBLE = torch.float64


def second_derivative(f, x, direction):
    def along(t):
        return f(x + t * direction)

    zero, one = torch.zeros((), dtype=DOUBLE), torch.ones((), dtype=DOUBLE)
    return jvp(lambda t: jvp(along, (t,), (one,))[1], (zero,), (one,))[1]


def difference(f, x, direction, h=1e-4):
    return (f(x + h * direction) - 2 * f(x) + f(x - h * direction)) / h**2


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(6), nn.LayerNorm((5, 6)), nn.RMSNorm(6)], ids=["layer", "layer 2d", "rms"]
)
def test_written_out_norm_has_the_value_and_the_second_derivative(norm):
    torch.manual_seed(0)
    norm = norm.double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    network = nn.Sequential(norm)
    x, direction = torch.randn(3, 5, 6, dtype=DOUBLE), torch.randn(3, 5, 6, dtype=DOUBLE)
    expected = network(x)
    write_out_norms(network)
    assert isinstance(network[0], WrittenOutNorm)
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        second_derivative(network, x, direction), difference(network, x, direction), rtol=1e-4, atol=1e-5
    )


def test_norms_of_convolutional_maps_normalise_channels():
    norm = timm.layers.LayerNorm2d(4).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    network = nn.Sequential(norm)
    x = torch.randn(2, 4, 3, 3, dtype=DOUBLE)
    expected = network(x)
    write_out_norms(network)
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-12)


def test_removing_norms_keeps_fused_activations_and_compound_heads():
    network = nn.Sequential(timm.layers.BatchNormAct2d(3), timm.layers.NormMlpClassifierHead(3, 2))
    remove_norms(network)
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(network[0](x), x.relu())
    assert not any(isinstance(m, nn.LayerNorm | nn.BatchNorm2d) for m in network.modules())
    assert isinstance(network[1], timm.layers.NormMlpClassifierHead)


def test_batch_norm_is_refused_for_second_derivatives():
    with pytest.raises(UserError, match=r"BatchNorm2d.*--norm identity"):
        write_out_norms(nn.Sequential(nn.BatchNorm2d(3)))


def test_an_unknown_normalisation_is_refused():
    class OddNorm(nn.Module):
        pass

    with pytest.raises(UserError, match="OddNorm"):
        is_norm(OddNorm())
