"""A network that torch.compile has compiled for the device."""

import shutil
from functools import partialmethod

import pytest
import torch
from on_device import ON_DEVICE, classifier, losses_of
from torch import nn

pytestmark = [*ON_DEVICE, pytest.mark.usefixtures("exact")]


def test_a_compiled_network_has_the_same_losses(device, monkeypatch):
    if device.type == "cpu":  # for which a C++ compiler takes minutes; without it the network is traced all the same
        monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    elif not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("torch.compile needs a C compiler, and there is none")
    plain, compiled = (losses_of(classifier(device, compile=compile), 3) for compile in (False, True))
    assert compiled == pytest.approx(plain, rel=1e-3)
    torch.compiler.reset()
