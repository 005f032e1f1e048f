"""What a training keeps of its best network's answers: confusion, worst mistakes, and small pictures of them."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from image_sets import CLASSES, array_folder, opened
from PIL import Image
from test_training import ignore, training

from asvit.errors import UserError
from asvit.runs.records import RESULT, read_record, write_record
from asvit.training.data import Batch, EvaluationOrder
from asvit.training.mistakes import MOST, SIDE, Wrong, answers_of, thumbnail, write_mistakes
from asvit.training.parallel import Processes
from asvit.training.results import Confused, TrainResult


class Names:
    """Images of which nothing but their names is known."""

    def __len__(self) -> int:
        return 6

    def read(self, index: int):
        raise NotImplementedError

    def file(self, index: int) -> str:
        return f"{index}.png"


LABELS = [0, 1, 1, 2, 2, 2]
LOGITS = torch.tensor([[2.0, 0, 0], [0, 1, 0], [3, 0, 0], [0, 0, 5], [0, 4, 0], [0, 0, 1]])
LOST = 3
"""Image that cannot be read."""


def answered(rank: int, processes: int):
    """Batches of two images with their logits, as one of some processes sees them."""
    for places in EvaluationOrder(6, 2, rank=rank, processes=processes):
        left = [index for _, index in places if index != LOST]
        problems = tuple(f"{index}.png: damaged" for _, index in places if index == LOST)
        yield (
            Batch(torch.empty(len(left)), torch.tensor([LABELS[i] for i in left], dtype=torch.long), problems),
            LOGITS[left],
        )


def answers(rank: int = 0, processes: int = 1, group: Processes = Processes()):
    order = EvaluationOrder(6, 2, rank=rank, processes=processes)
    return answers_of(answered(rank, processes), order, Names(), group)


def test_answers_are_counted_and_the_surest_wrong_ones_come_first():
    found = answers()
    assert found.confused == (
        Confused(0, 0, 1),
        Confused(1, 0, 1),
        Confused(1, 1, 1),
        Confused(2, 1, 1),
        Confused(2, 2, 1),
    )
    assert [(wrong.index, wrong.true, wrong.said) for wrong in found.worst] == [(4, 2, 1), (2, 1, 0)]
    assert 1 - found.worst[0].doubt == pytest.approx(np.exp(4) / (np.exp(4) + 2))


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_find_together_what_one_finds_alone(processes):
    @dataclass(frozen=True)
    class Listening(Processes):
        def from_all(self, thing):
            told.append(thing)
            return list(told)

    told: list = []
    *_, last = [answers(rank, processes, Listening()) for rank in range(processes)]
    assert last == answers()


def test_no_more_mistakes_are_kept_than_are_shown():
    logits, labels = torch.eye(2)[torch.zeros(40, dtype=torch.long)] * torch.arange(1.0, 41.0)[:, None], torch.ones(40)
    batch = Batch(torch.empty(40), labels.long(), ())
    worst = answers_of([(batch, logits)], [[(0, i) for i in range(40)]], Names()).worst
    assert len(worst) == MOST
    # From the 37th on, probabilities are 1 to the last digit: the first of equal ones come first.
    assert {wrong.index for wrong in worst} <= set(range(27, 40))


def opened_png(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_pictures_are_small_and_what_is_small_stays():
    assert opened_png(thumbnail(Image.new("RGB", (1000, 500), (255, 0, 0)))).size == (SIDE, SIDE // 2)
    assert opened_png(thumbnail(Image.new("L", (8, 6)))).size == (8, 6)
    grey = np.asarray(opened_png(thumbnail(torch.tensor([[[0.0, 0.5, 1.0, 2.0]]]))))
    assert grey.tolist() == [[0, 128, 255, 255]]


@pytest.mark.parametrize(("channels", "mode"), [(2, "L"), (5, "RGB")])
def test_channels_that_are_no_colours_are_stretched(channels, mode):
    steps = torch.linspace(0.2, 0.3, 101).reshape(1, 1, 101).expand(channels, 1, 101)
    picture = thumbnail(steps[:, :, :90])
    assert opened_png(picture).mode == mode
    shades = np.asarray(opened_png(picture)).reshape(1, 90, -1)[0, :, 0].tolist()
    assert (shades[0], shades[-1]) == (0, 255)
    assert shades[45] == pytest.approx(128, abs=4)
    assert np.asarray(opened_png(thumbnail(torch.full((5, 4, 4), 0.7)))).max() == 0


def test_mistakes_name_their_file_and_classes(tmp_path):
    source = opened(array_folder(tmp_path / "set", 5), "val")
    first, second = write_mistakes([Wrong(0.1, 0, 0, 2), Wrong(0.25, 5, 1, 0)], source, tmp_path)
    assert (first.file, first.true, first.said, first.probability) == ("dark/0.npy", CLASSES[0], CLASSES[2], 0.9)
    assert (second.file, second.true, second.picture) == ("light/1.npy", CLASSES[1], "mistakes/02.png")
    assert opened_png((tmp_path / second.picture).read_bytes()).size == (12, 12)
    (tmp_path / "set" / "val" / "dark" / "0.npy").unlink()
    with pytest.raises(UserError, match=r"cannot read dark/0\.npy of .* any more"):
        write_mistakes([Wrong(0.1, 0, 0, 2)], source, tmp_path)


def files_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "mistakes").iterdir()}


def test_a_run_keeps_what_its_best_network_answers(tmp_path):
    folder = tmp_path / "checkpoints"
    one = training()
    result = one.look_back(one.run(folder, ignore), tmp_path)
    counts = Counter()
    for cell in result.confusion:
        counts["images"] += cell.images
        counts["right"] += cell.images * (cell.true == cell.said)
    assert counts["images"] == 40
    assert counts["right"] / 40 == pytest.approx(result.best.top1)
    assert len(result.mistakes) == min(MOST, 40 - counts["right"])
    assert all(mistake.true != mistake.said for mistake in result.mistakes)
    shares = [mistake.probability for mistake in result.mistakes]
    assert shares == sorted(shares, reverse=True)
    pictures = files_of(tmp_path)
    assert sorted(pictures) == [f"{i:02}.png" for i in range(1, len(result.mistakes) + 1)]

    write_record(tmp_path / RESULT, "train", result)
    assert read_record(tmp_path / RESULT, TrainResult) == result

    one = training()
    again = one.look_back(one.run(folder, ignore), tmp_path)  # killed after its last epoch, before the result
    assert (again.confusion, again.mistakes, files_of(tmp_path)) == (result.confusion, result.mistakes, pictures)

    (folder / Path(result.checkpoint).name).write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        training().look_back(result, tmp_path)


def test_in_memory_the_same_is_kept(tmp_path):
    from asvit.training.resident import Resident, stored_size

    one = training()
    result = one.look_back(one.run(tmp_path / "checkpoints", ignore), tmp_path)
    size = stored_size(one.recipe)
    one.val_source = Resident(one.val_source, size, one.device, evaluation=True)
    one.val_loader = one.load_validation()
    kept = one.look_back(result, tmp_path)
    assert [mistake.file for mistake in kept.mistakes] == [mistake.file for mistake in result.mistakes]
    assert kept.confusion == result.confusion
