"""Checkpoints as strangers may have left them: the same weights and state, or one line, before anything is built."""

import json
import os
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from strange import in_one_line
from test_training import DIGITS, Killed, few, ignore, kill_in_step

from asvit.errors import UserError
from asvit.networks.architecture import Task
from asvit.networks.named import parse_network
from asvit.training import checked
from asvit.training.checkpoint import MODEL, last_checkpoint, read_checkpoint, with_prefix, write_checkpoint
from asvit.training.classifier import ClassifierTraining
from asvit.training.schedule import schedule_of
from asvit.training.settings import Running
from asvit.training.trained import ClassifierHeader, load_checkpoint, load_exported, read_classifier

TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|16,2"
CPU = torch.device("cpu")
Tensors = dict[str, torch.Tensor]


def training(name: str = TINY, **changes) -> ClassifierTraining:
    """Two steps an epoch of 16 images, with an average of the weights."""
    recipe = replace(DIGITS, batch_size=16, **changes)
    running = Running(checkpoint_minutes=0.0)
    schedule = schedule_of((1, 1))
    return ClassifierTraining(
        parse_network(name), few("train", 32), few("val", 10), recipe, schedule, seed=0, device=CPU, running=running
    )


@pytest.fixture(scope="module")
def one() -> ClassifierTraining:
    """A training into which checkpoints are read."""
    return training()


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A checkpoint after one epoch and one step."""
    folder = tmp_path_factory.mktemp("good")
    killed = training()
    kill_in_step(killed, 4)
    with pytest.raises(Killed):
        killed.run(folder, ignore)
    path = last_checkpoint(folder)
    assert path is not None
    assert path.name == "epoch-0001-step-000001.safetensors"
    return path


def state_of(one: ClassifierTraining) -> tuple:
    """All that a training goes on with."""
    tensors = {**one.model.state_dict(), **with_prefix(one.average.module.state_dict(), "ema.")}
    moments = {name: one.optimiser.state[p] for name, p in one.model.named_parameters()}
    flat = {f"{name}/{kind}": value for name, own in moments.items() for kind, value in own.items()}
    return checked.digest_of(tensors | flat), one.state


@pytest.fixture(scope="module")
def expected(one, good) -> tuple:
    """What the good checkpoint holds: of a classifier, and of a training."""
    one.resume(good.parent)
    return checked.digest_of(load_checkpoint(good).model.state_dict()), state_of(one)


def outcome(path: Path, one: ClassifierTraining, expected: tuple) -> int:
    """How many of two readers refuse a file in one line; the other gives what the good one holds."""
    refused = 0
    try:
        assert checked.digest_of(load_checkpoint(path).model.state_dict()) == expected[0]
    except UserError as error:
        refused += 1
        assert_one_line(error)
    try:
        one.resume(path.parent)
        assert state_of(one) == expected[1]
    except UserError as error:
        refused += 1
        assert_one_line(error)
    return refused


def assert_one_line(error: UserError) -> None:
    assert in_one_line(error, "epoch-0001")


def header_length(content: bytes) -> int:
    return struct.unpack("<Q", content[:8])[0]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut off, put in or left out, half of them in the header."""
    end = 8 + header_length(content)
    at = rng.randrange(end) if rng.random() < 0.5 else rng.randrange(end, len(content))
    match rng.choice(("bit", "byte", "digit", "cut", "in", "out", "zeros", "swap")):
        case "bit":
            return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        case "byte":
            return content[:at] + rng.randbytes(1) + content[at + 1 :]
        case "digit":
            digits = [i for i in range(8, end) if chr(content[i]).isdigit()]
            at = rng.choice(digits)
            return content[:at] + str(rng.randrange(10)).encode() + content[at + 1 :]
        case "cut":
            return content[:at]
        case "in":
            return content[:at] + rng.randbytes(rng.randrange(1, 9)) + content[at:]
        case "out":
            return content[:at] + content[at + rng.randrange(1, 9) :]
        case "zeros":
            return content[:at] + bytes(8) + content[at + 8 :]
        case _:
            other = rng.randrange(8, len(content))
            changed = bytearray(content)
            changed[at], changed[other] = content[other], content[at]
            return bytes(changed)


MUTANTS = 300


def test_mutants_of_bytes_are_the_same_or_refused(tmp_path, one, good, expected):
    rng, content = random.Random(0), good.read_bytes()
    refused = same = 0
    for _ in range(MUTANTS):
        file = tmp_path / good.name
        file.write_bytes(mutated(content, rng))
        count = outcome(file, one, expected)
        refused += count
        same += 2 - count
    assert refused + same == 2 * MUTANTS
    assert refused > 1.5 * MUTANTS
    assert outcome(good, one, expected) == 0


def read(path: Path) -> tuple[Tensors, dict]:
    """Tensors, and the header as JSON."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["asvit"])  # noqa: SIM118


def sign(path: Path, tensors: Tensors, header: dict, *, schema: str = ClassifierHeader.schema) -> None:
    """A checkpoint as an earlier version wrote it, without digests, of any content."""
    save_file(tensors, path, {"format": "pt", "schema": schema, "asvit": json.dumps(header)})


def at(tree: dict, path: str, value) -> None:
    *parents, last = path.split(".")
    for name in parents:
        tree = tree[int(name) if name.isdigit() else name]
    if value is ...:
        del tree[last]
    else:
        tree[last] = value


HEADERS = {
    "no network": ("network", ..., "network"),
    "network null": ("network", None, "Expected `str`"),
    "network empty": ("network", "", "unknown architecture ''"),
    "a megabyte of network": ("network", "8" * 10**6, "a name of 1000000 characters"),
    "a function": ("network", "os:getcwd", "which can be measured, but not trained"),
    "another depth": ("network", TINY.replace("2,1,2,1|16", "2,1,2,2|16"), "parameters, but there are"),
    "depth 900,000": ("network", TINY.replace("4,2,2,1", "4,2,2,900000"), "parameters, but there are"),
    "depth of 30 digits": ("network", TINY.replace("4,2,2,1", "4,2,2," + "9" * 30), "parameters, but there are"),
    "another width": ("network", TINY.replace("16,2", "16,4"), "parameters, but there are"),
    "width of 30 digits": ("network", TINY.replace("16,2", "16," + "9" * 30), "parameters, but there are"),
    "another expansion": ("network", TINY.replace("4,2,2", "4,2,3"), "parameters, but there are"),
    "another kernel": ("network", TINY.replace("4,2,2", "5,2,2"), "parameters, but there are"),
    "stages exchanged": ("network", "4,2,2,1|2,1,2,1|2,1,2,1|2,1,3,1|16,2", "parameters, but there are"),
    "a model of timm": ("network", "timm:resnet18", "it has no"),
    "no such model of timm": ("network", "timm:resnet19", "timm has no model named 'resnet19'"),
    "a model of the hub": (
        "network",
        "timm:hf-hub:somebody/something",
        "cannot read 'somebody/something' in timm:hf-hub",
    ),
    "no task": ("task", ..., "task"),
    "task null": ("task", None, "got `null`"),
    "channels 0": ("task.in_chans", 0, "in_chans is 0"),
    "channels 4": ("task.in_chans", 4, "parameters, but there are"),
    "channels of 30 digits": ("task.in_chans", 10**30, "in_chans is 1,000,.* expected at least 1 and at most"),
    "classes 11": ("task.num_classes", 11, "parameters, but there are"),
    "classes of 30 digits": ("task.num_classes", 10**30, "num_classes is 1,000,.* expected at least 1 and at most"),
    "a larger image": ("task.image_size", [64, 64], "parameters, but there are"),
    "the largest image": ("task.image_size", [8192, 8192], "parameters, but there are"),
    "a gigantic image": ("task.image_size", [10**9, 10**9], "expected sides from 8"),
    "a turned image": ("task.image_size", [64, 16], "stride of 32"),
    "no classes": ("classes", [], "0 classes of 10 outputs"),
    "more classes than outputs": ("classes", list("abcdefghijk"), "11 classes of 10 outputs"),
    "fewer classes than outputs": ("classes", list("abc"), "3 classes of 10 outputs"),
    "classes that are numbers": ("classes", list(range(10)), "Expected `str`"),
    "no coarseness": ("coarseness", ..., "coarseness"),
    "coarseness 0": ("coarseness", 0, "tokens are 0 times coarser"),
    "coarseness -1": ("coarseness", -1, "tokens are -1 times coarser"),
    "coarseness 3": ("coarseness", 3, "tokens are 3 times coarser"),
    "coarseness 2**40": ("coarseness", 2**40, "times coarser"),
    "crop 0": ("test_crop", 0, "evaluation keeps is 0"),
    "crop of a billionth": ("test_crop", 1e-9, "evaluation keeps is 1e-09"),
    "crop -1": ("test_crop", -1, "evaluation keeps is -1"),
    "crop null": ("test_crop", None, "got `null`"),
    "means of two channels": ("normalisation.mean", [0.5, 0.5], "it normalises 2 channels of 1"),
    "deviation 0": ("normalisation.std", [0.0], "deviation of a channel is 0"),
    "deviation -1": ("normalisation.std", [-1.0], "deviation of a channel is -1"),
    "range of values from 1 to 0": ("value_range", [1, 0], "goes from 1"),
    "one end of a range": ("value_range", [1], "length 2"),
    "no state": ("state", None, "got `null`"),
}
"""What a header may say, whatever reads it, and what has to be said."""


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_contradict_the_weights(tmp_path, monkeypatch, one, good, name):
    key, value, said = HEADERS[name]
    tensors, header = read(good)
    at(header, key, value)
    sign(tmp_path / good.name, tensors, header)
    monkeypatch.setattr("asvit.networks.model.AsViT.initialise", unless_on_meta)
    with pytest.raises(UserError, match=said) as refused:
        load_checkpoint(tmp_path / good.name)
    assert_one_line(refused.value)
    with pytest.raises(UserError) as refused:
        one.resume(tmp_path)
    assert_one_line(refused.value)


def unless_on_meta(model, *args, **kwargs) -> None:
    """Of a network that is built although it does not fit."""
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


STATES = {
    "epoch -1": ("state.epoch", -1, "past -1 of 2 epochs"),
    "epoch 0": ("state.epoch", 0, "records 1 epochs, and says that 0 are over"),
    "epoch 2": ("state.epoch", 2, "1 of 2 steps past 2 of 2 epochs"),
    "epoch 10**30": ("state.epoch", 10**30, "of 2 epochs"),
    "epoch a fraction": ("state.epoch", 1.5, "Expected `int`"),
    "step 0": ("state.step", 0, "sums of losses"),
    "step -1": ("state.step", -1, "it is -1 of 2 steps"),
    "step 2": ("state.step", 2, "it is 2 of 2 steps"),
    "step 10**30": ("state.step", 10**30, "of 2 steps"),
    "no losses": ("state.losses", [], "it has 0 sums of losses"),
    "too many losses": ("state.losses", [1.0, 2.0], "it has 2 sums of losses"),
    "a loss below 0": ("state.losses", [-1.0], "loss is -1.0"),
    "losses null": ("state.losses", [None], "got `null`"),
    "no time": ("state.seconds", 0.0, "sums of losses in 0 s"),
    "negative time": ("state.seconds", -5.0, "seconds is -5.0"),
    "negative waiting": ("state.waiting", -5.0, "seconds is -5.0"),
    "negative MACs": ("state.macs", -1, "macs is -1"),
    "MACs of the past": ("state.macs", 1, "macs is 1"),
    "too many MACs": ("state.macs", 10**30, "macs is 1000"),
    "no epochs": ("state.epochs", [], "records 0 epochs, and says that 1 are over"),
    "epochs null": ("state.epochs", None, "got `null`"),
    "another number of an epoch": ("state.epochs.0.epoch", 7, "records 1 epochs"),
    "accuracy 2": ("state.epochs.0.top1", 2.0, "top1 is 2.0"),
    "accuracy -1": ("state.epochs.0.top5", -1.0, "top5 is -1.0"),
    "negative loss": ("state.epochs.0.loss", -1.0, "loss is -1.0"),
    "negative seconds": ("state.epochs.0.seconds", -1.0, "seconds is -1.0"),
    "unreadable a number": ("state.unreadable", 3, "Expected `array`"),
    "the network's coarseness": ("coarseness", 2, "coarseness is 2, not 1"),
    "another crop": ("test_crop", 0.5, "test_crop is 0.5"),
    "other classes": ("classes", list("abcdefghij"), "classes is"),
    "another mean": ("normalisation.mean", [0.25], "mean is"),
    "a range of values": ("value_range", [0, 4095], "value_range is"),
}
"""What a header may say of a training, and what has to be said where it is to go on."""


@pytest.mark.parametrize("name", STATES)
def test_states_that_no_training_has(tmp_path, one, good, name):
    key, value, said = STATES[name]
    tensors, header = read(good)
    at(header["state"]["epochs"][0] if "epochs.0." in key else header, key.replace("state.epochs.0.", ""), value)
    sign(tmp_path / good.name, tensors, header)
    with pytest.raises(UserError, match=said) as refused:
        one.resume(tmp_path)
    assert_one_line(refused.value)


def first(tensors: Tensors, prefix: str) -> str:
    return next(name for name in sorted(tensors) if name.startswith(prefix))


def change(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], None]:
    """Change the first tensor of a prefix."""

    def changed(tensors: Tensors) -> None:
        own = first(tensors, name)
        tensors[own] = make(tensors[own]).contiguous()

    return changed


def remove(prefix: str) -> Callable[[Tensors], None]:
    def removed(tensors: Tensors) -> None:
        for name in [name for name in tensors if name.startswith(prefix)]:
            del tensors[name]

    return removed


def put(name: str, x: torch.Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({name: x})


def spoilt(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def spoil(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x.view(-1)[-1] = value
        return x

    return spoil


WEIGHTS = "model.stages.0.0.mlp.fc1.weight"
OF = "stages.0.0.mlp.fc1.weight"
TENSORS = {
    "no weights": (remove("model."), "model"),
    "a weight is missing": (remove(WEIGHTS), "model"),
    "a weight too many": (put("model.extra", torch.zeros(3)), "model"),
    "an empty weight too many": (put("model.extra", torch.zeros(0, 10**9)), "model"),
    "a weight of another shape": (change(WEIGHTS, lambda x: x[:-1]), "model"),
    "a transposed weight": (change(WEIGHTS, lambda x: x.T), "model"),
    "a flat weight": (change(WEIGHTS, torch.flatten), "model"),
    "weights of 16 bits": (change(WEIGHTS, torch.Tensor.half), "model"),
    "weights of 64 bits": (change(WEIGHTS, torch.Tensor.double), "model"),
    "whole weights": (change(WEIGHTS, lambda x: x.to(torch.int64)), "model"),
    "complex weights": (change(WEIGHTS, lambda x: x.to(torch.complex64)), "model"),
    "a weight is NaN": (change(WEIGHTS, spoilt(float("nan"))), "model"),
    "a weight is infinite": (change(WEIGHTS, spoilt(float("inf"))), "model"),
    "a weight of the average is NaN": (change("ema." + OF, spoilt(float("nan"))), "ema"),
    "a weight of the average is missing": (remove("ema." + OF), "ema"),
    "an average of 16 bits": (change("ema." + OF, torch.Tensor.bfloat16), "ema"),
    "no average": (remove("ema."), "training"),
    "no moments": (remove("optimiser."), "training"),
    "no first moments": (remove("optimiser.exp_avg/"), "training"),
    "no steps": (remove("optimiser.step/"), "training"),
    "a moment is missing": (remove("optimiser.exp_avg_sq/" + OF), "training"),
    "all moments of a weight are missing": (
        lambda tensors: [remove(f"optimiser.{kind}/{OF}")(tensors) for kind in checked.MOMENTS],
        "training",
    ),
    "a moment of nothing": (put("optimiser.exp_avg/head.extra", torch.zeros(3)), "training"),
    "another kind of moment": (put("optimiser.momentum/" + OF, torch.zeros(3)), "training"),
    "a moment without a name": (put("optimiser.exp_avg", torch.zeros(3)), "training"),
    "a moment of another shape": (change("optimiser.exp_avg/" + OF, lambda x: x[:-1]), "training"),
    "a scalar moment": (change("optimiser.exp_avg/" + OF, torch.sum), "training"),
    "moments of 16 bits": (change("optimiser.exp_avg/" + OF, torch.Tensor.half), "training"),
    "a moment is NaN": (change("optimiser.exp_avg/" + OF, spoilt(float("nan"))), "training"),
    "a moment is infinite": (change("optimiser.exp_avg_sq/" + OF, spoilt(float("inf"))), "training"),
    "a mean square is negative": (change("optimiser.exp_avg_sq/" + OF, spoilt(-1.0)), "training"),
    "steps of a vector": (change("optimiser.step/" + OF, lambda x: x.repeat(3)), "training"),
    "steps of another number": (change("optimiser.step/" + OF, lambda x: x + 1), "training"),
    "no steps at all": (change("optimiser.step/" + OF, torch.zeros_like), "training"),
    "steps below 0": (change("optimiser.step/" + OF, lambda x: -x), "training"),
    "a tensor of something else": (put("x", torch.zeros(3)), "model"),
}
"""What the tensors of a checkpoint may be, and who meets it first: those who predict, or a training that goes on."""


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_are_not_the_networks(tmp_path, one, good, expected, name):
    spoil, meets = TENSORS[name]
    tensors, header = read(good)
    spoil(tensors)
    sign(tmp_path / good.name, tensors, header)
    with pytest.raises(UserError, match="cannot use the checkpoint") as refused:
        one.resume(tmp_path)
    assert_one_line(refused.value)
    if meets == "training":
        load_checkpoint(tmp_path / good.name, averaged=False)
        return
    with pytest.raises(UserError, match="cannot use the checkpoint") as refused:
        load_checkpoint(tmp_path / good.name, averaged=meets == "ema")
    assert_one_line(refused.value)


def test_checkpoints_of_earlier_versions_are_read(tmp_path, one, good, expected):
    sign(tmp_path / good.name, *read(good))
    assert outcome(tmp_path / good.name, one, expected) == 0
    tensors, header = read(good)
    at(header, "normalisation", None)
    sign(tmp_path / good.name, tensors, header)
    assert outcome(tmp_path / good.name, one, expected) == 0


@pytest.mark.parametrize("name", ["network", "width", "batch", "epochs", "average"])
def test_checkpoints_of_another_training_are_refused(good, name):
    other = {
        "network": lambda: training(TINY.replace("4,2,2,1", "4,2,3,1")),
        "width": lambda: training(TINY.replace("16,2", "16,4")),
        "batch": lambda: training(test_crop=0.5),
        "epochs": lambda: training(image_size=(64, 64)),
        "average": lambda: training(ema=None),
    }[name]()
    with pytest.raises(UserError, match="cannot use the checkpoint"):
        other.resume(good.parent)


@pytest.mark.parametrize("name", ["epoch-0001.safetensors", "epoch-0001-step-000002.safetensors"])
def test_a_checkpoint_under_another_name_is_no_other_state(tmp_path, one, good, name):
    (tmp_path / name).write_bytes(good.read_bytes())
    with pytest.raises(UserError, match="its name is not that of 1 epochs and 1 steps"):
        one.resume(tmp_path)


FILES = {
    "nothing": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "a named pipe": lambda path: os.mkfifo(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "text": lambda path: path.write_text("weights"),
    "a header of 10**18 bytes": lambda path: path.write_bytes(struct.pack("<Q", 10**18) + b"{}"),
    "a pickle": lambda path: torch.save({"x": torch.zeros(3)}, path),
    "weights of other tools": lambda path: save_file({"x": torch.zeros(3)}, path),
    "a detector's schema": lambda path: sign(path, {"model.x": torch.zeros(3)}, {}, schema="asvit-detector-1"),
    "an empty header": lambda path: sign(path, {"model.x": torch.zeros(3)}, {}),
    "a header that is no JSON": lambda path: save_file(
        {"x": torch.zeros(3)}, path, {"schema": ClassifierHeader.schema, "asvit": "{"}
    ),
    "a header nested deeply": lambda path: save_file(
        {"x": torch.zeros(3)}, path, {"schema": ClassifierHeader.schema, "asvit": "[" * 100_000}
    ),
    "no header": lambda path: save_file({"x": torch.zeros(3)}, path, {"schema": ClassifierHeader.schema}),
}
"""What may lie in the place of a checkpoint."""


@pytest.mark.parametrize("name", FILES)
def test_no_checkpoint_in_its_place(tmp_path, one, name):
    path = tmp_path / "epoch-0001.safetensors"
    FILES[name](path)
    for read_it in (lambda: load_checkpoint(path), lambda: one.resume(tmp_path)):
        with pytest.raises(UserError) as refused:
            read_it()
        assert_one_line(refused.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_torch_save_is_called_what_it_is(tmp_path, zipped):
    torch.save({"x": torch.zeros(3)}, tmp_path / "best.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        UserError, match=r"best\.pth is a file of torch\.save, which is not read, for it could run code"
    ):
        load_checkpoint(tmp_path / "best.pth")


BEST = [None, 5, "", "..", "epoch-0001.safetensors", "../checkpoints/epoch-0001.safetensors", "/etc/passwd",
        "checkpoints/../../epoch-0001.safetensors", "checkpoints/notes.txt", "checkpoints/a/e"]  # fmt: skip


@pytest.mark.parametrize("name", BEST)
def test_the_best_checkpoint_lies_in_its_run_directory(tmp_path, name):
    run = {"schema": 1, "job": "train", "config": {}, "environment": {}, "command": "asvit train"}
    (tmp_path / "run.json").write_text(json.dumps(run))
    (tmp_path / "result.json").write_text(json.dumps({"schema": 1, "checkpoint": name}))
    with pytest.raises(UserError, match=r"result\.json is damaged"):
        load_checkpoint(tmp_path)


def test_numbers_that_are_none_are_never_predicted(good):
    classifier = load_checkpoint(good)
    with torch.no_grad():
        classifier.model.head.fc.weight.fill_(3e38)
        classifier.model.head.pre_logits.bias.fill_(50)
    with pytest.raises(UserError, match="are not finite: its weights or the image hold"):
        classifier.predict(torch.rand(1, 32, 32))


def test_nobodys_file_or_link_is_written_over(tmp_path, good):
    tensors, header = read_checkpoint(good, ClassifierHeader)
    (tmp_path / "mine").write_text("precious")
    (tmp_path / ".epoch-0001.safetensors.tmp").symlink_to("mine")
    write_checkpoint(tmp_path / "epoch-0001.safetensors", tensors, header)
    assert (tmp_path / "mine").read_text() == "precious"
    again, said = read_checkpoint(tmp_path / "epoch-0001.safetensors", ClassifierHeader)
    assert (checked.digest_of(again), said) == (checked.digest_of(tensors), header)


def exported(folder: Path, good: Path, **changes) -> None:
    """A folder as `asvit export --to timm` writes it."""
    tensors, header = read_checkpoint(good, ClassifierHeader)
    save_file({name.removeprefix(MODEL): x for name, x in tensors.items() if name.startswith(MODEL)},
              folder / "model.safetensors", {"format": "pt"})  # fmt: skip
    task: Task = header.task
    read = {"input_size": [1, *task.image_size], "mean": [0.5], "std": [0.2], "crop_pct": 0.9}
    config = {
        "architecture": "asvit",
        "num_classes": 10,
        "model_args": {"architecture": TINY, "img_size": list(task.image_size), "in_chans": 1},
        "label_names": list("0123456789"),
        "pretrained_cfg": {**read, "interpolation": "bilinear", "num_classes": 10},
    }
    for key, value in changes.items():
        at(config, key.replace("__", "."), value)
    (folder / "config.json").write_text(json.dumps(config))


def test_an_export_is_read(tmp_path, good):
    exported(tmp_path, good)
    classifier = read_classifier(tmp_path)
    assert str(classifier.network) == TINY
    assert classifier.classes == tuple("0123456789")
    raw = load_checkpoint(good, averaged=False).model
    assert checked.digest_of(classifier.model.state_dict()) == checked.digest_of(raw.state_dict())


CONFIGS = {
    "no architecture": ({"architecture": ...}, "architecture"),
    "architecture null": ({"architecture": None}, "Expected `str`"),
    "no such model": ({"architecture": "nonsense"}, "timm has no model named 'nonsense'"),
    "another model": ({"architecture": "resnet18", "model_args": {}}, "cannot load"),
    "depth 900,000": ({"model_args__architecture": TINY.replace("4,2,2,1", "4,2,2,900000")}, "parameters"),
    "another network": ({"model_args__architecture": TINY.replace("4,2,2,1", "4,2,3,1")}, "parameters"),
    "arguments null": ({"model_args": None}, "got `null`"),
    "arguments a list": ({"model_args": []}, "got `array`"),
    "text form a number": ({"model_args__architecture": 5}, "got `int`"),
    "an unknown argument": ({"model_args__whatever": 5}, "cannot load"),
    "no classes": ({"num_classes": 0}, "num_classes is 0"),
    "10**30 classes": ({"num_classes": 10**30}, "num_classes is 1,000,.* expected at least 1 and at most"),
    "classes a text": ({"num_classes": "10"}, "Expected `int`"),
    "one name": ({"label_names": ["0"]}, "it names 1 classes of 10 outputs"),
    "names that are numbers": ({"label_names": list(range(10))}, "Expected `str`"),
    "no input": ({"pretrained_cfg": ...}, "pretrained_cfg"),
    "input null": ({"pretrained_cfg": None}, "got `null`"),
    "two numbers of a size": ({"pretrained_cfg__input_size": [1, 32]}, "length 3"),
    "a negative size": ({"pretrained_cfg__input_size": [1, -32, 32]}, "-32x32"),
    "a gigantic size": ({"pretrained_cfg__input_size": [1, 10**9, 32]}, "expected sides"),
    "three channels": ({"pretrained_cfg__input_size": [3, 32, 32]}, "parameters"),
    "means of three channels": ({"pretrained_cfg__mean": [0.5] * 3}, "normalises 3 channels of 1"),
    "mean null": ({"pretrained_cfg__mean": None}, "got `null`"),
    "deviation 0": ({"pretrained_cfg__std": [0]}, "deviation of a channel is 0"),
    "crop of a billionth": ({"pretrained_cfg__crop_pct": 1e-9}, "evaluation keeps"),
    "crop a text": ({"pretrained_cfg__crop_pct": "0.9"}, "Expected `float`"),
    "range of values": ({"value_range": [5, 5]}, "range of values goes from 5"),
    "range of one value": ({"value_range": [5]}, "length 2"),
}
"""What ``config.json`` may say, and what has to be said."""


@pytest.mark.parametrize("name", CONFIGS)
def test_exports_that_contradict_themselves(tmp_path, good, name):
    changes, said = CONFIGS[name]
    exported(tmp_path, good, **changes)
    with pytest.raises(UserError, match=said) as refused:
        load_exported(tmp_path)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("content", [None, b"", b"weights", struct.pack("<Q", 10**18), b"NaN"])
def test_exports_without_their_weights(tmp_path, good, content):
    exported(tmp_path, good)
    weights = tmp_path / "model.safetensors"
    if content is None:
        weights.unlink()
    elif content == b"NaN":
        tensors, _ = read_checkpoint(good, ClassifierHeader)
        own = {name.removeprefix(MODEL): x for name, x in tensors.items() if name.startswith(MODEL)}
        own["head.fc.bias"] = torch.full_like(own["head.fc.bias"], float("nan"))
        save_file(own, weights, {"format": "pt"})
    else:
        weights.write_bytes(content)
    with pytest.raises(UserError, match=f"cannot load {tmp_path}"):
        load_exported(tmp_path)


def test_the_header_says_all_that_it_said(good):
    _, header = read_checkpoint(good, ClassifierHeader)
    assert msgspec.json.decode(msgspec.json.encode(header), type=ClassifierHeader) == header
