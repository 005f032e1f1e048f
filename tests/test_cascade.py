"""Every stage of the cascade against plain, slow transcriptions of its definition."""

import math
from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import roi_align

from asvit.detection.cascade import CODING, LOSS_WEIGHTS, BoxStage, CascadeHeads, Sample
from asvit.detection.settings import IOUS, DetectorSettings, Resize

SETTINGS = DetectorSettings(resize=Resize.to_square(64), channels=4, hidden=8, box_samples=12, proposals=20)
SIZE = (64, 48)
CLASSES = 3


def stage(t: int, **changes) -> BoxStage:
    torch.manual_seed(t)
    settings = DetectorSettings(**{**vars(SETTINGS), **changes})
    return BoxStage(IOUS[t], CODING[t], settings, CLASSES)


def random_boxes(n: int, seed: int, size=SIZE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(n, 2, generator=generator) * torch.tensor([size[1] - 12.0, size[0] - 12.0])
    return torch.cat((corners, corners + 4 + 8 * torch.rand(n, 2, generator=generator)), 1)


def slow_iou(a, b) -> float:
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return w * h / (area - w * h)


def slow_code(box, truth, weights) -> list[float]:
    """How far a box has to move: shifts over its size, and logs of ratios, times the weights (Girshick, 2014)."""
    w, h = box[2] - box[0], box[3] - box[1]
    W, H = truth[2] - truth[0], truth[3] - truth[1]
    x, y = box[0] + w / 2, box[1] + h / 2
    X, Y = truth[0] + W / 2, truth[1] + H / 2
    return [
        weights[0] * (X - x) / w,
        weights[1] * (Y - y) / h,
        weights[2] * math.log(W / w),
        weights[3] * math.log(H / h),
    ]


def slow_move(box, move, weights, size) -> list[float]:
    """The inverse, cut off at the image's edges."""
    w, h = box[2] - box[0], box[3] - box[1]
    x, y = box[0] + w / 2 + move[0] / weights[0] * w, box[1] + h / 2 + move[1] / weights[1] * h
    W, H = (
        s * math.exp(min(m / k, math.log(1000 / 16)))
        for s, m, k in ((w, move[2], weights[2]), (h, move[3], weights[3]))
    )
    inside = lambda value, most: min(max(value, 0.0), most)  # noqa: E731
    return [
        inside(x - W / 2, size[1]),
        inside(y - H / 2, size[0]),
        inside(x + W / 2, size[1]),
        inside(y + H / 2, size[0]),
    ]


corner, side = st.floats(0, 30, width=32), st.floats(1, 30, width=32)


@given(t=st.integers(0, 2), a=st.tuples(corner, corner, side, side), b=st.tuples(corner, corner, side, side))
def test_boxes_come_back_from_their_code(t, a, b):
    box, truth = (torch.tensor([[x, y, x + w, y + h]], dtype=torch.float64) for x, y, w, h in (a, b))
    coder = stage(t).coder
    (code,) = coder.encode([truth], [box])
    assert code[0].tolist() == pytest.approx(slow_code(box[0].tolist(), truth[0].tolist(), CODING[t]), abs=1e-4)
    torch.testing.assert_close(coder.decode(code, [box]).reshape(1, 4), truth, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("t", [0, 1, 2])
def test_a_box_belongs_to_the_object_it_overlaps_most_if_enough(t):
    """Shifted copies of the objects, so that overlaps lie on both sides of all three thresholds."""
    truth = random_boxes(4, 0)
    shifts = torch.linspace(0, 0.6, 10)
    near = torch.cat(
        [truth + s * (truth[:, 2:] - truth[:, :2]).repeat(1, 2) * torch.tensor([1.0, 0, 1, 0]) for s in shifts]
    )
    target = {"boxes": truth, "labels": torch.tensor([1, 3, 2, 1])}
    proposals = torch.cat((near, random_boxes(10, 1)))
    sample = stage(t, box_samples=1000).sample(proposals, target)
    candidates = torch.cat((proposals, truth))
    counts = {0: 0, 1: 0}
    seen = {tuple(box.tolist()): i for i, box in enumerate(sample.boxes)}
    expected_positive = []
    for box in candidates.tolist():
        overlaps = [slow_iou(box, other) for other in truth.tolist()]
        if max(overlaps) >= IOUS[t]:
            expected_positive.append((tuple(box), overlaps.index(max(overlaps))))
    assert len(expected_positive) < 250  # a quarter of a thousand: all are drawn
    for box, thing in expected_positive:
        i = seen[box]
        assert sample.labels[i] == target["labels"][thing]
        assert sample.objects[i] == thing
        counts[1] += 1
    assert int(sample.positive.sum()) == counts[1]
    assert int((~sample.proposed).sum()) == 4
    assert sample.labels[~sample.proposed].tolist() == [1, 3, 2, 1]


def test_later_stages_ask_for_more_overlap():
    truth = torch.tensor([[0.0, 0, 10, 10]])
    target = {"boxes": truth, "labels": torch.tensor([2])}
    boxes = torch.tensor([[0.0, 0, 10, 5.5], [0, 0, 10, 6.5], [0, 0, 10, 7.5]])  # overlaps 0.55, 0.65, 0.75
    for t, expected in enumerate(([2, 2, 2], [0, 2, 2], [0, 0, 2])):
        sample = stage(t, box_samples=1000).sample(boxes, target)
        assert sample.labels[sample.proposed].tolist() == expected


@pytest.mark.parametrize("samples", [4, 12])
def test_at_most_a_quarter_of_the_boxes_learned_from_are_on_objects(samples):
    truth = random_boxes(1, 0)
    sample = stage(0, box_samples=samples).sample(
        torch.cat((truth.repeat(30, 1), random_boxes(40, 3))), {"boxes": truth, "labels": torch.tensor([1])}
    )
    assert len(sample.boxes) == samples
    assert int(sample.positive.sum()) == samples // 4


def test_an_image_without_objects_teaches_background_only():
    sample = stage(0).sample(
        random_boxes(30, 0), {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    )
    assert len(sample.boxes) == 12
    assert sample.labels.tolist() == [0] * 12
    scores, moves = torch.randn(12, 4), torch.randn(12, 4)
    empty = {"boxes": torch.zeros(0, 4)}
    classified, moved = stage(0).losses(scores, moves, [sample], [empty])
    assert classified.item() == pytest.approx(-scores.log_softmax(1)[:, 0].mean().item(), rel=1e-5)
    assert moved.item() == 0.0


@pytest.mark.parametrize("t", [0, 1, 2])
def test_losses_of_a_stage(t):
    one = stage(t)
    targets = [{"boxes": random_boxes(2, i), "labels": torch.tensor([1, 3])} for i in range(2)]
    shifted = [target["boxes"] + 0.3 for target in targets]
    samples = [
        one.sample(torch.cat((boxes, random_boxes(20, 9))), target)
        for boxes, target in zip(shifted, targets, strict=True)
    ]
    labels = torch.cat([sample.labels for sample in samples])
    assert (labels > 0).sum() >= 6
    scores, moves = torch.randn(len(labels), 4), torch.randn(len(labels), 4)
    cross, smooth, n = 0.0, 0.0, 0
    for sample, target in zip(samples, targets, strict=True):
        for box, label, thing in zip(
            sample.boxes.tolist(), sample.labels.tolist(), sample.objects.tolist(), strict=True
        ):
            cross += -scores[n].log_softmax(0)[label].item()
            if label:
                wanted = slow_code(box, target["boxes"][thing].tolist(), CODING[t])
                for a, b in zip(moves[n].tolist(), wanted, strict=True):
                    d = abs(a - b)
                    smooth += 0.5 * d * d * 9 if d < 1 / 9 else d - 0.5 / 9
            n += 1
    classified, moved = one.losses(scores, moves, samples, targets)
    assert classified.item() == pytest.approx(cross / n, rel=1e-4)
    assert moved.item() == pytest.approx(smooth / n, rel=1e-4)


@pytest.mark.parametrize("t", [0, 1, 2])
def test_boxes_move_as_they_are_told_and_stay_in_their_image(t):
    boxes, sizes = [random_boxes(5, 0), random_boxes(3, 1)], [SIZE, (40, 60)]
    moves = 3 * torch.randn(8, 4, generator=torch.Generator().manual_seed(t))
    refined = stage(t).refine(moves, boxes, sizes)
    assert [len(some) for some in refined] == [5, 3]
    n = 0
    for some, size, found in zip(boxes, sizes, refined, strict=True):
        for box, moved in zip(some.tolist(), found.tolist(), strict=True):
            assert moved == pytest.approx(slow_move(box, moves[n].tolist(), CODING[t], size), abs=1e-4)
            n += 1


@pytest.fixture
def heads() -> CascadeHeads:
    torch.manual_seed(0)
    made = CascadeHeads(DetectorSettings(**{**vars(SETTINGS), "min_score": 0.2, "detections": 6}), CLASSES)
    for one in made.boxes:
        torch.nn.init.normal_(one.score.weight, std=0.5)  # decided enough to find something
    return made


def pyramid() -> OrderedDict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    sides = {"0": 4, "1": 8, "2": 16, "3": 32, "pool": 64}
    return OrderedDict((k, torch.randn(2, 4, 64 // s, 64 // s, generator=generator)) for k, s in sides.items())


def regions(features, boxes, side: int) -> torch.Tensor:
    """Boxes of this test are small: all are cut out of the finest level."""
    return roi_align(features["0"], boxes, side, 1 / 4, sampling_ratio=2)


def test_the_cascade_finds_what_its_definition_says(heads):
    features, sizes = pyramid(), [SIZE, (64, 64)]
    proposals = [random_boxes(9, 0), random_boxes(7, 1)]
    found = heads.eval().find(features, [some.clone() for some in proposals], sizes)
    boxes, sums = proposals, 0
    for one, weights in zip(heads.boxes, CODING, strict=True):
        scores, moves = one(regions(features, boxes, 7))
        sums = sums + scores.softmax(1)
        n, moved = 0, []
        for some, size in zip(boxes, sizes, strict=True):
            rows = [slow_move(box, moves[n + i].tolist(), weights, size) for i, box in enumerate(some.tolist())]
            moved.append(torch.tensor(rows))
            n += len(some)
        boxes = moved
    probabilities = (sums / 3).split([9, 7])
    for k, (some, p) in enumerate(zip(boxes, probabilities, strict=True)):
        candidates = sorted(
            ((p[i, c].item(), c, some[i].tolist()) for i in range(len(some)) for c in (1, 2, 3) if p[i, c] > 0.2),
            reverse=True,
        )
        kept = []
        for score, label, box in candidates:
            if all(label != other or slow_iou(box, b) <= 0.5 for _, other, b in kept):
                kept.append((score, label, box))
        kept = kept[:6]
        assert kept
        assert found[k]["labels"].tolist() == [label for _, label, _ in kept]
        assert found[k]["scores"].tolist() == pytest.approx([score for score, _, _ in kept], rel=1e-4)
        torch.testing.assert_close(found[k]["boxes"], torch.tensor([box for _, _, box in kept]), atol=1e-3, rtol=1e-4)
        rois = [torch.zeros(0, 4), torch.zeros(0, 4)]
        rois[k] = found[k]["boxes"]
        masks = sum(one(regions(features, rois, 14)).sigmoid() for one in heads.masks) / 3
        wanted = torch.stack([masks[i, label - 1] for i, label in enumerate(found[k]["labels"].tolist())])
        torch.testing.assert_close(found[k]["masks"][:, 0], wanted, atol=1e-5, rtol=1e-4)


def test_every_stage_learns_from_the_boxes_that_the_one_before_has_moved(heads, monkeypatch):
    features, sizes = pyramid(), [SIZE, (64, 64)]
    truth = [random_boxes(2, 3), random_boxes(1, 4)]
    targets = [
        {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.long), "masks": torch.ones(len(boxes), 64, 64)}
        for boxes in truth
    ]
    given, handed = [], []
    real_sample, real_refine = BoxStage.sample, BoxStage.refine

    def sample(self, proposals, target):
        drawn = real_sample(self, proposals, target)
        given.append((proposals, drawn))
        return drawn

    def refine(self, moves, boxes, shapes):
        moved = real_refine(self, moves, boxes, shapes)
        handed.append(moved)
        return moved

    monkeypatch.setattr(BoxStage, "sample", sample)
    monkeypatch.setattr(BoxStage, "refine", refine)
    losses = heads.train().learn(features, [torch.cat((some, some + 0.2)) for some in truth], sizes, targets)
    assert len(given) == 6
    for t in (1, 2):
        for image in (0, 1):
            before: Sample = given[2 * (t - 1) + image][1]
            expected = handed[t - 1][image][before.proposed]
            torch.testing.assert_close(given[2 * t + image][0], expected)
            assert not expected.requires_grad
    assert set(losses) == {f"loss_{part}_{t}" for part in ("classifier", "box_reg", "mask") for t in (1, 2, 3)}


def test_losses_are_weighted_by_stage_and_masks_are_judged_within_their_boxes(heads, monkeypatch):
    features, sizes = pyramid(), [SIZE, (64, 64)]
    truth = [random_boxes(2, 3), torch.zeros(0, 4)]
    masks = (torch.rand(2, 64, 48, generator=torch.Generator().manual_seed(2)) > 0.5).to(torch.uint8)
    targets = [
        {"boxes": truth[0], "labels": torch.tensor([1, 3]), "masks": masks},
        {
            "boxes": truth[1],
            "labels": torch.zeros(0, dtype=torch.long),
            "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
        },
    ]
    samples = []
    real = BoxStage.sample

    def sample(self, proposals, target):
        samples.append(real(self, proposals, target))
        return samples[-1]

    monkeypatch.setattr(BoxStage, "sample", sample)
    losses = heads.train().learn(features, [random_boxes(9, 0), random_boxes(7, 1)], sizes, targets)
    for t, one in enumerate(heads.masks):
        first, second = samples[2 * t : 2 * t + 2]
        assert not second.positive.any()
        boxes, things = first.boxes[first.positive], first.objects[first.positive]
        logits = one(regions(features, [boxes, torch.zeros(0, 4)], 14))
        total = 0.0
        for i, thing in enumerate(things.tolist()):
            roi = torch.cat((torch.zeros(1), boxes[i]))[None]
            wanted = roi_align(masks[thing][None, None].float(), roi, 28, 1.0)[0, 0]
            p = logits[i, int(targets[0]["labels"][thing]) - 1].sigmoid()
            total += -(wanted * p.log() + (1 - wanted) * (1 - p).log()).mean().item()
        assert losses[f"loss_mask_{t + 1}"].item() == pytest.approx(LOSS_WEIGHTS[t] * total / len(things), rel=1e-4)
        part = heads.boxes[t]
        scores, moves = part(regions(features, [first.boxes, second.boxes], 7))
        classified, moved = part.losses(scores, moves, [first, second], targets)
        assert losses[f"loss_classifier_{t + 1}"].item() == pytest.approx(LOSS_WEIGHTS[t] * classified.item(), rel=1e-4)
        assert losses[f"loss_box_reg_{t + 1}"].item() == pytest.approx(LOSS_WEIGHTS[t] * moved.item(), rel=1e-4)
