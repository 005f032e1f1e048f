"""Latency and memory of forward passes: medians of an injected clock, and closed forms of live bytes."""

import itertools

import pytest
import timm
import torch
from torch import nn

from asvit.complexity.speed import RUNS, WARM_UP, peak_memory, processor_name, usage

FLOAT = 4


def ticking(durations):
    """A clock whose passes take the given seconds: read once before and once after each."""
    return itertools.accumulate(x for seconds in durations for x in (0.0, seconds)).__next__


def test_latency_is_the_median_after_the_warm_up_and_spread_half_the_range_between_quartiles():
    clock = ticking([100.0] * WARM_UP + [1.0, 9.0, 2.0, 3.0, 5.0])
    found = usage(nn.Linear(3, 2), torch.zeros(6, 3), runs=5, clock=clock)
    assert (found.latency, found.spread, found.throughput) == (3.0, 1.5, 2.0)
    assert (found.batch_size, found.precision, found.threads) == (6, "float32", torch.get_num_threads())
    assert found.device == processor_name(torch.device("cpu")) != ""


def test_every_run_is_a_pass_without_gradients_in_evaluation_mode_and_the_module_stays_as_it_was():
    seen = []

    class Watched(nn.Linear):
        def forward(self, input):
            seen.append((self.training, torch.is_grad_enabled()))
            return super().forward(input)

    model = nn.Sequential(Watched(3, 2), nn.Dropout().eval())
    usage(model, torch.zeros(1, 3))
    assert seen == [(False, False)] * (1 + WARM_UP + RUNS)  # the first for memory
    assert [part.training for part in model.modules()] == [True, True, False]


@pytest.mark.parametrize(("widths", "alive"), [((7, 20, 30, 5), 50), ((7, 40, 3, 36), 43), ((50, 4), 4)])
def test_memory_of_linear_layers_is_weights_and_input_and_the_largest_pair_of_neighbours(widths, alive):
    """While a layer runs, its input and its output live; the first layer's input is the images, which stay."""
    batch = 6
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    weights = sum(a * b + b for a, b in itertools.pairwise(widths))
    expected = FLOAT * (weights + batch * widths[0] + batch * alive)
    assert peak_memory(model, torch.zeros(batch, widths[0])) == expected
    assert usage(model, torch.zeros(batch, widths[0]), runs=2).memory == expected


def test_views_tied_weights_and_buffers_are_counted_once():
    model = nn.Sequential(nn.Linear(8, 8), nn.Flatten(), nn.Unflatten(1, (2, 4)), nn.Flatten(), nn.Linear(8, 8))
    model[4].weight = model[0].weight
    model[0].register_buffer("constant", torch.zeros(10))
    assert peak_memory(model, torch.zeros(1, 8)) == FLOAT * (64 + 8 + 8 + 10 + 8 + 16)


def test_autocast_keeps_a_copy_of_the_weights_at_half_the_size():
    model, images = nn.Linear(64, 32, bias=False), torch.zeros(2, 64)
    half = FLOAT // 2
    found = usage(model, images, precision="bfloat16", runs=2)
    assert found.memory == FLOAT * (64 * 32 + 2 * 64) + half * (64 * 32 + 2 * 64 + 2 * 32)
    assert found.precision == "bfloat16"


def test_a_convolutional_network_of_timm_is_followed_through_its_skip_connections():
    """ResNet-18 at 64x64: at the peak the stem's map and its normed copy live; ReLU works in place."""
    model = timm.create_model("resnet18").eval()
    held = FLOAT * (sum(t.numel() for t in model.state_dict().values() if t.is_floating_point()))
    held += 8 * sum(t.numel() for t in model.state_dict().values() if not t.is_floating_point())
    image, stem = 3 * 64 * 64, 64 * 32 * 32
    found = peak_memory(model, torch.zeros(1, 3, 64, 64))
    assert found == held + FLOAT * (image + 2 * stem)
