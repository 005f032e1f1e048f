"""The training loop: it learns, goes on bit for bit after any interruption, and does not depend on how it is run."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from asvit.contents import Contents
from asvit.errors import UserError
from asvit.networks.model import AsViT
from asvit.networks.named import parse_network
from asvit.training.checkpoint import (
    State,
    checkpoints,
    last_checkpoint,
    prune,
    read_checkpoint,
)
from asvit.training.classifier import ClassifierTraining
from asvit.training.parallel import Processes
from asvit.training.recipe import RECIPES, TrainRecipe
from asvit.training.results import Epoch, best_of, saved_time
from asvit.training.schedule import schedule_of
from asvit.training.settings import Running
from asvit.training.sources import Digits, Split
from asvit.training.trained import ClassifierHeader, load_checkpoint

TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
CPU = torch.device("cpu")
DIGITS = replace(RECIPES["digits"], epochs=2, warmup_epochs=1, batch_size=32)
PLAIN = replace(DIGITS, drop_path=0.0, ema=None, label_smoothing=0.0)
MIXED = replace(DIGITS, mixup=0.8, cutmix=1.0)


def few(split: Split, images: int) -> Digits:
    """The first digits of a split."""
    source = Digits(split)
    source.images, source.labels = source.images[:images], source.labels[:images]
    return source


def training(
    recipe: TrainRecipe = DIGITS, stages=(1, 1), name: str = TINY, images: int = 352, **running
) -> ClassifierTraining:
    """Eleven steps an epoch of 32 images, on a few digits."""
    sources, schedule = (few("train", images), few("val", 40)), schedule_of(stages)
    return ClassifierTraining(
        parse_network(name), *sources, recipe, schedule, seed=0, device=CPU, running=Running(**running)
    )


@pytest.mark.parametrize(("initialisation", "deviation"), [("normal", 0.02), ("fan-in", 1 / math.sqrt(64))])
def test_weights_are_drawn_as_the_recipe_says(initialisation, deviation):
    model = training(replace(DIGITS, initialisation=initialisation)).model
    assert isinstance(model, AsViT)
    layer = model.head.pre_logits
    assert isinstance(layer, nn.Linear)
    assert layer.in_features == 64
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.05)


def ignore(training: ClassifierTraining) -> None:
    pass


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(last_checkpoint(folder))


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, ClassifierTraining]:
    """A training with everything random that nothing interrupted."""
    folder = tmp_path_factory.mktemp("finished")
    whole = training(MIXED)
    whole.run(folder, ignore)
    return folder, whole


class Killed(Exception):
    pass


def kill_in_step(one: ClassifierTraining, number: int) -> None:
    """Let a training end abruptly within one of its steps."""
    real, count = one.step, iter(range(1, 10**9))

    def step(*arguments):
        if next(count) == number:
            raise Killed
        return real(*arguments)

    one.step = step


@pytest.mark.parametrize("step", [1, 11, 12, 15, 22])
def test_killed_in_any_step_the_weights_end_the_same_bit_for_bit(finished, tmp_path, step):
    one = training(MIXED, checkpoint_minutes=0.0)
    kill_in_step(one, step)
    with pytest.raises(Killed):
        one.run(tmp_path, ignore)
    result = training(MIXED).run(tmp_path, ignore)
    assert_same(weights(tmp_path), weights(finished[0]))
    assert [(e.train_loss, e.top1) for e in result.epochs] == [(e.train_loss, e.top1) for e in finished[1].state.epochs]


def test_a_checkpoint_within_an_epoch_says_where_it_stands(tmp_path):
    one = training(checkpoint_minutes=0.0)
    kill_in_step(one, 15)
    with pytest.raises(Killed):
        one.run(tmp_path, ignore)
    names = [path.name for path in checkpoints(tmp_path)]
    assert names == ["epoch-0001-step-000002.safetensors", "epoch-0001-step-000003.safetensors"]
    _, header = read_checkpoint(last_checkpoint(tmp_path), ClassifierHeader)
    assert (header.state.epoch, header.state.step, header.coarseness) == (1, 3, 1)
    assert header.network == TINY


def test_it_learns(tmp_path):
    recipe = replace(DIGITS, epochs=8, lr=3e-3)
    one = training(recipe, stages=(3, 2, 3), name="seed")
    result = one.run(tmp_path, ignore)
    assert result.best.top1 > 0.7
    assert [epoch.coarseness for epoch in result.epochs] == [4, 4, 4, 2, 2, 1, 1, 1]
    assert result.epochs[-1].macs == one.planned_macs
    macs = {stage.coarseness: stage.macs for stage in result.stages}
    images = 11 * 32
    assert one.planned_macs == 3 * images * (3 * macs[4] + 2 * macs[2] + 3 * macs[1])
    assert result.saved_macs == pytest.approx(1 - (3 * macs[4] + 2 * macs[2] + 3 * macs[1]) / (8 * macs[1]))
    trained = load_checkpoint(tmp_path / Path(result.checkpoint).name)
    assert trained.classes == tuple("0123456789")
    assert trained.model(torch.zeros(1, 1, 32, 32)).shape == (1, 10)


def test_learning_rates_rise_linearly_and_fall_as_a_cosine(tmp_path):
    one = training(replace(DIGITS, epochs=4, warmup_epochs=1), stages=(4,))
    seen = []
    real = one.step

    def step(*arguments):
        loss = real(*arguments)
        seen.append(one.lr)
        return loss

    one.step = step
    one.run(tmp_path, ignore)
    warm, total = 11, 44
    expected = [1e-3 * t / warm if t < warm else 0.5e-3 * (1 + math.cos(math.pi * t / total)) for t in range(total)]
    assert seen == pytest.approx(expected)


def test_biases_norms_and_position_embedding_are_not_decayed():
    one = training()
    decayed = {id(p) for group in one.optimiser.param_groups if group["weight_decay"] > 0 for p in group["params"]}
    for name, parameter in one.model.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim > 1 and name != "position"), name
    assert {group["weight_decay"] for group in one.optimiser.param_groups} == {0.0, 0.05}


def test_the_average_is_the_average_of_the_weights(tmp_path):
    one = training(replace(PLAIN, ema=0.5, epochs=1, warmup_epochs=0), stages=(1,))
    expected = {name: x.detach().double().clone() for name, x in one.model.named_parameters()}
    real, updates = one.step, iter(range(1, 100))

    def step(*arguments):
        loss = real(*arguments)
        t = next(updates)
        decay = 0.0 if t < 2 else min(0.5, 1 - (1 + (t - 1)) ** (-2 / 3))  # the warm-up of timm's ModelEmaV3
        for name, x in one.model.named_parameters():
            expected[name].mul_(decay).add_(x.detach().double(), alpha=1 - decay)
        return loss

    one.step = step
    one.run(tmp_path, ignore)
    for name, x in one.average.module.named_parameters():
        torch.testing.assert_close(x.double(), expected[name], rtol=1e-4, atol=1e-6)


def steps(one: ClassifierTraining, count: int = 3) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of some steps and the weights after them."""
    one.stepping.train()
    loader = iter(one.train_loader)
    losses = [one.step(i + 5, next(loader))[0].item() for i in range(count)]
    return losses, one.model.state_dict()


class Colours(Digits):
    """Digits as colour images that differ between channels."""

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.contents = Contents(channels=3)
        self.images = torch.cat([self.images[:96], 1 - self.images[:96], self.images[:96].mT], 1)


def in_colour(recipe: TrainRecipe, **running) -> ClassifierTraining:
    sources = Colours("train"), Colours("val")
    return ClassifierTraining(
        parse_network(TINY), *sources, recipe, schedule_of([1, 1]), seed=0, device=CPU, running=Running(**running)
    )


def test_channels_last_goes_on_bit_for_bit_and_agrees_with_channels_first(tmp_path):
    whole = in_colour(PLAIN, channels_last=True)
    assert whole.model.patch_embedding.proj.weight.is_contiguous(memory_format=torch.channels_last)
    whole.run(tmp_path / "whole", ignore)
    one = in_colour(PLAIN, channels_last=True, checkpoint_minutes=0.0)
    kill_in_step(one, 5)
    with pytest.raises(Killed):
        one.run(tmp_path / "parts", ignore)
    in_colour(PLAIN, channels_last=True).run(tmp_path / "parts", ignore)
    assert_same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    first = in_colour(PLAIN).run(tmp_path / "first", ignore)
    assert first.epochs[-1].train_loss == pytest.approx(whole.state.epochs[-1].train_loss, rel=1e-4)


def test_the_loss_is_the_smoothed_cross_entropy_of_the_batch():
    one = training(replace(PLAIN, label_smoothing=0.3))
    batch = next(iter(one.train_loader))
    log_p = one.model.train()(batch.images).log_softmax(1)
    wanted = 0.7 * torch.nn.functional.one_hot(batch.labels, 10) + 0.3 / 10
    assert one.step(0, batch)[0].item() == pytest.approx(-(wanted * log_p).sum(1).mean().item(), rel=1e-5)


def test_mixup_pairs_an_image_with_its_mirror_in_the_batch():
    one = training(replace(PLAIN, mixup=0.8))
    batch, seen = next(iter(one.train_loader)), []
    a, b = batch.images.clone(), batch.images.flip(0)
    hook = one.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    one.step(0, batch)
    hook.remove()
    share = ((seen[0] - b) * (a - b)).sum() / (a - b).square().sum()  # least squares for x = share a + (1 - share) b
    assert 0 < share < 1
    torch.testing.assert_close(seen[0], share * a + (1 - share) * b)


@pytest.mark.parametrize(
    ("running", "tolerance"),
    [
        ({"accumulate": 4}, 1e-5),
        ({"checkpointing": True}, 1e-6),
        ({"workers": 2}, 0.0),
        ({"precision": "bfloat16"}, 2e-2),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_losses_do_not_depend_on_how_a_training_is_run(running, tolerance):
    expected, _ = steps(training(PLAIN))
    found, _ = steps(training(PLAIN, **running))
    assert found == pytest.approx(expected, rel=tolerance, abs=0)
    assert (found == expected) == (running.get("precision") is None and "accumulate" not in running)


def test_clipping_bounds_the_gradient(monkeypatch):
    one = training(replace(PLAIN, clip=1e-3))
    norms = []
    real = one.optimiser.step

    def step():
        norms.append(math.sqrt(sum(p.grad.square().sum().item() for p in one.model.parameters())))
        real()

    monkeypatch.setattr(one.optimiser, "step", step)
    steps(one, 2)
    assert norms == pytest.approx([1e-3, 1e-3], rel=1e-3)


def test_a_loss_that_is_not_finite_ends_the_training_with_its_last_good_checkpoint(tmp_path):
    one = training(PLAIN)
    real = one.step

    def step(number, batch):
        if one.state.epoch == 1 and number == 4:
            with torch.no_grad():
                one.model.head.fc.bias.fill_(float("nan"))
        return real(number, batch)

    one.step = step
    with pytest.raises(UserError) as caught:
        one.run(tmp_path, ignore)
    assert "the loss is nan, the gradient's norm nan in step 5 of epoch 2, at learning rate" in str(caught.value)
    lr = 0.5e-3 * (1 + math.cos(math.pi * (11 + 4) / 22))
    assert f"at learning rate {lr:.3g};" in str(caught.value)
    assert "epoch-0001.safetensors" in str(caught.value)
    assert all(x.isfinite().all() for x in weights(tmp_path).values())


@pytest.mark.parametrize("running", [{"keep": 0}, {"accumulate": 0}, {"workers": -1}, {"checkpoint_minutes": -1.0}])
def test_ways_to_run_that_make_no_sense_are_refused(running):
    (name,) = running
    with pytest.raises(UserError, match=f"{name} is .*: expected (a number of )?at least"):
        Running(**running)


def test_too_many_unreadable_images_end_the_training():
    one = training(PLAIN, max_unreadable=2)
    one.count_unreadable(("a", "b", "a"))
    one.count_unreadable(("b",))
    assert one.state.unreadable == ("a", "b")
    with pytest.raises(UserError, match=r"3 training images cannot be read, the last: c; .* --max-unreadable"):
        one.count_unreadable(("c",))


def test_an_infinite_gradient_ends_the_training_before_its_weights_are_kept(tmp_path):
    one = training(PLAIN, checkpoint_minutes=0.0)
    real = one.step

    def step(number, batch):
        values = real(number, batch)
        return torch.stack((values[0], torch.tensor(math.inf))) if number == 3 else values

    one.step = step
    with pytest.raises(UserError, match=r"the gradient's norm inf in step 4 of epoch 1"):
        one.run(tmp_path, ignore)
    assert [path.name for path in checkpoints(tmp_path)][-1] == "epoch-0000-step-000003.safetensors"


def test_what_a_killed_training_had_not_finished_writing_is_removed(tmp_path):
    (tmp_path / ".epoch-0000-step-000003.safetensors.0123456789abcdef.tmp").write_bytes(b"half")
    training(PLAIN).resume(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_odd_batch_cannot_be_mixed_and_a_schedule_must_have_the_recipes_epochs():
    with pytest.raises(UserError, match="images are mixed in pairs, but a process's batch has 31"):
        training(replace(MIXED, batch_size=31))
    with pytest.raises(UserError, match="the schedule's epochs are not the recipe's 2"):
        training(stages=(1, 2))


@pytest.mark.parametrize("change", [{"lr": math.nan}, {"weight_decay": -1.0}, {"mixup": -0.1}, {"drop_path": 1.0}])
def test_recipes_that_make_no_sense_are_refused(change):
    with pytest.raises(UserError, match="expected"):
        replace(DIGITS, **change)


def test_checkpoints_that_cannot_be_read(finished, tmp_path):
    path = last_checkpoint(finished[0])
    cut = tmp_path / "epoch-0001.safetensors"
    cut.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"cannot read the checkpoint .*epoch-0001.*goes on from the one before"):
        training(MIXED).run(tmp_path, ignore)
    save_file({"x": torch.zeros(1)}, cut)
    with pytest.raises(UserError, match="is not a checkpoint of `asvit train`: it has no header of ours"):
        load_checkpoint(cut)
    cut.unlink()
    (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"its network is 4,2,2,1\|.*\|32,8, not 4,2,2,1\|.*\|32,12"):
        training(MIXED, name=TINY.replace("|32,8", "|32,12")).run(tmp_path, ignore)
    with pytest.raises(UserError, match=r"there is no .*nothing.safetensors: expected a run directory or a checkpoint"):
        load_checkpoint(tmp_path / "nothing.safetensors")


def test_averaged_and_raw_weights(finished):
    folder, whole = finished
    path = last_checkpoint(folder)
    averaged, raw = load_checkpoint(path).model, load_checkpoint(path, averaged=False).model
    assert_same(averaged.state_dict(), whole.average.module.state_dict())
    assert_same(raw.state_dict(), whole.model.state_dict())


def epoch(number: int, top1: float, coarseness: int = 1, seconds: float = 10.0) -> Epoch:
    values = dict.fromkeys(("lr", "train_loss", "loss", "top5", "waiting", "images_per_second"), 0.0)
    return Epoch(epoch=number, top1=top1, coarseness=coarseness, seconds=seconds, macs=0, unreadable=0, **values)


def test_the_last_checkpoints_and_the_best_stay(tmp_path):
    for state in [State(epoch=1), State(epoch=2), State(epoch=2, step=5), State(epoch=3), State(epoch=10)]:
        name = f"epoch-{state.epoch:04d}" + (f"-step-{state.step:06d}" if state.step else "")
        (tmp_path / f"{name}.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    prune(tmp_path, keep=2, best=epoch(1, 0.9))
    assert [path.name for path in checkpoints(tmp_path)] == [
        "epoch-0001.safetensors",
        "epoch-0003.safetensors",
        "epoch-0010.safetensors",
    ]
    prune(tmp_path, keep=2, best=epoch(3, 0.9))
    assert [path.name for path in checkpoints(tmp_path)] == ["epoch-0003.safetensors", "epoch-0010.safetensors"]
    assert (tmp_path / "notes.txt").exists()


def test_the_best_epoch_is_the_last_of_the_best_at_full_resolution():
    assert best_of([epoch(1, 0.9, coarseness=4), epoch(2, 0.5), epoch(3, 0.6), epoch(4, 0.6)]).epoch == 4
    assert best_of([epoch(1, 0.9, coarseness=4)]) is None


def test_time_saved_compares_with_a_median_epoch_at_full_resolution():
    epochs = [epoch(1, 0.0, 4, 2.0), epoch(2, 0.0, 2, 4.0), epoch(3, 0.0, 1, 10.0), epoch(4, 0.0, 1, 10.0)]
    assert saved_time(epochs) == pytest.approx(1 - 26 / 40)


def test_a_process_alone_knows_the_number_of_its_gpu():
    found = [Processes(joined=True).device(torch.device(name)) for name in ("cpu", "cuda", "cuda:3")]
    assert found == [CPU, torch.device("cuda", 0), torch.device("cuda", 3)]


def test_a_timm_model_trains_with_coarse_tokens(tmp_path):
    recipe = replace(PLAIN, image_size=(64, 64))
    one = training(recipe, name="timm:vit_tiny_patch16_224", images=32)
    result = one.run(tmp_path, ignore)
    assert result.stages[0].macs < 0.5 * result.stages[1].macs
    assert result.params == sum(p.numel() for p in one.model.parameters())
    before = copy.deepcopy(one.model.state_dict())
    again = training(recipe, name="timm:vit_tiny_patch16_224", images=32)
    again.resume(tmp_path)
    assert_same(again.model.state_dict(), before)
