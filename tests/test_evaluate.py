"""Scores of a classifier against their definitions, written plainly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import asvit.zoo  # noqa: F401, registers asvit_seed
from asvit.errors import UserError
from asvit.networks.named import TimmModel
from asvit.training.data import Batch
from asvit.training.evaluate import BINS, evaluate
from asvit.training.trained import labels_of, load_pretrained

CPU = torch.device("cpu")


def scores_of(logits: torch.Tensor, labels: torch.Tensor, batch: int, problems: tuple[str, ...] = ()):
    loader = [
        Batch(logits[i : i + batch], labels[i : i + batch], problems if i == 0 else ())
        for i in range(0, len(logits), batch)
    ]
    return evaluate(nn.Identity(), loader, classes=logits.shape[1], device=CPU)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 40), st.integers(1, 11), st.integers(0, 10**6))
def test_scores_are_their_definitions(classes, images, batch, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 3, (images, classes)), rng.integers(0, classes, images)
    found = scores_of(torch.from_numpy(logits), torch.from_numpy(labels), batch)
    logits = logits.astype(np.float32).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    ranks = np.argsort(-logits, axis=1)
    assert found.images == images
    assert found.top1 == pytest.approx(np.mean(ranks[:, 0] == labels))
    assert found.top5 == pytest.approx(np.mean([label in row[:5] for label, row in zip(labels, ranks, strict=True)]))
    assert found.loss == pytest.approx(-np.log(p[np.arange(images), labels]).mean())
    confidence, right = p.max(1), ranks[:, 0] == labels
    error = 0.0
    for i in range(BINS):
        inside = (confidence >= i / BINS) & ((confidence < (i + 1) / BINS) | (i == BINS - 1))
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert found.calibration_error == pytest.approx(error, abs=1e-9)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, ranks[:, 0]), 1)
    assert {(cell.true, cell.said): cell.images for cell in found.confusion} == {
        (true, said): images for (true, said), images in np.ndenumerate(confusion) if images
    }


def test_a_sure_and_always_right_classifier_is_calibrated():
    labels = torch.arange(6) % 3
    found = scores_of(1000.0 * nn.functional.one_hot(labels, 3), labels, 4)
    assert (found.top1, found.loss, found.calibration_error) == (1.0, 0.0, 0.0)


def test_images_that_cannot_be_read_are_counted_apart():
    empty = Batch(torch.empty(0), torch.empty(0, dtype=torch.long), ("a.png: damaged",))
    found = evaluate(nn.Identity(), [empty, Batch(torch.eye(2), torch.tensor([0, 1]), ())], classes=2, device=CPU)
    assert (found.images, found.top1, found.unreadable) == (2, 1.0, ("a.png: damaged",))


def test_outputs_that_are_not_finite_and_images_none_of_which_can_be_read_are_refused():
    with pytest.raises(UserError, match="the network's outputs are not finite"):
        scores_of(torch.full((2, 3), float("nan")), torch.tensor([0, 1]), 2)
    empty = Batch(torch.empty(0), torch.empty(0, dtype=torch.long), ("a.png: damaged",))
    with pytest.raises(UserError, match=r"none of the images .* the first: a\.png: damaged"):
        evaluate(nn.Identity(), [empty], classes=2, device=CPU)


def test_an_output_that_is_not_finite_is_refused_even_where_it_is_of_another_class():
    logits = torch.tensor([[2.0, 1.0, float("-inf")]])
    with pytest.raises(UserError, match="the network's outputs are not finite"):
        scores_of(logits, torch.tensor([0]), 1)


def test_many_classes_need_no_matrix():
    logits, labels = torch.zeros(2, 100_000), torch.tensor([5, 99_999])
    logits[0, 5] = logits[1, 7] = 9.0
    found = scores_of(logits, labels, 2)
    assert [(cell.true, cell.said, cell.images) for cell in found.confusion] == [(5, 5, 1), (99_999, 7, 1)]


def test_labels_are_matched_by_name():
    assert labels_of(["b", "a"], ["a", "b", "c"], "net") == (1, 0)
    with pytest.raises(UserError, match="net does not know the class d: expected images of its 3 classes"):
        labels_of(["d"], ["a", "b", "c"], "net")


def test_pretrained_weights_that_are_not_here():
    with pytest.raises(UserError, match="no model named 'nonsense'"):
        load_pretrained(TimmModel("nonsense"))
    with pytest.raises(UserError, match="no weights of timm:asvit_seed here"):
        load_pretrained(TimmModel("asvit_seed"))
