"""What the programs in benchmarks/ reckon, apart from what they time."""

import json
import math
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from image_sets import CLASSES, image_folder, opened
from PIL import Image

from asvit.complexity import curve
from asvit.measure.differentiable import remove_norms, write_out_attention
from asvit.measure.measurer import Measurer
from asvit.measure.photos import BuiltIn
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.model import PatchEmbedding
from asvit.study.race.results import RaceResult, Ran
from asvit.study.race.rounds import rounds
from asvit.study.race.runners import Runner, Way

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import busy
import decoding
import default_score
import design
import ground_truth
import machine
import measures
import naive
import network_variants
import races
import rounding
import schedules
import small_data
import throughput
from ground_truth_pilot import Pace, Rehearsal

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return image_folder(tmp_path_factory.mktemp("set"))


def test_ratios_of_whole_commands_are_taken_round_by_round():
    found = {"now": [{"seconds": 1.0}, {"seconds": 3.0}, {"seconds": 4.0}], "before": [{"seconds": 2.0}] * 3}
    assert busy.ratio(found, "now", "before") == {"median": 1.5, "least": 0.5, "most": 2.0}


@pytest.mark.parametrize(
    ("length", "ntk", "curvature", "score"),
    [
        (0.0, 0.0, 0.0, "length"),
        (0.0, 3.0, 9.0, "curvature"),
        (0.0, 9.0, 0.0, "ntk"),
        (3.0, 3.0, 3.0, "length+ntk"),
    ],
)
def test_the_default_score_follows_the_rule(length, ntk, curvature, score):
    """Scores are accuracies with noise; the other data set is the same one with other noise."""
    rng = np.random.default_rng(5)

    def study() -> default_score.Study:
        accuracy = rng.permutation(40) / 40
        values = {
            name: share * accuracy + rng.standard_normal(40)
            for name, share in {
                "length": length,
                "ntk": ntk,
                "curvature": curvature,
                "macs": 0.0,
                "params": 0.5,
            }.items()
        }
        both = default_score.rank_sum([values["length"], values["ntk"]])
        return default_score.Study("a set", accuracy, values | {default_score.PAPERS: both})

    found = default_score.decide([study(), study()])
    assert found["score"] == score


def test_a_convolution_that_passes_its_input_on_changes_nothing():
    name, size = "4,2,3,2|2,1,2,1|2,1,2,1|2,1,2,1|16,8|2", (16, 16)
    plain, conv = (
        network_variants.create_variant(
            network_variants.VARIANTS[variant].network, name, size, num_classes=3, in_chans=3
        )
        for variant in (network_variants.PLAIN, "conv_ffn")
    )
    conv.load_state_dict(plain.state_dict(), strict=False)
    added = [module.conv for module in conv.modules() if isinstance(module, network_variants.Convolved)]
    assert [tuple(module.weight.shape) for module in added] == [
        (channels, 1, 3, 3) for channels in (24, 24, 2 * 16, 2 * 32, 2 * 64)
    ]
    for module in added:
        torch.nn.init.dirac_(module.weight, groups=module.groups)
        torch.nn.init.zeros_(module.bias)
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(conv(images), plain(images))


def test_a_stem_of_two_convolutions_sees_seven_pixels_and_makes_as_many_tokens():
    stem = network_variants.Stem(PatchEmbedding(3, 8, kernel=4, stride=2))
    stem.norm, stem.last = torch.nn.Identity(), torch.nn.Identity()
    images = torch.zeros(1, 3, 16, 16, requires_grad=True)
    tokens = stem(images)
    assert tokens.shape == (1, 8, 8, 8)
    tokens[0, 4, 4].sum().backward()
    assert images.grad is not None
    seen = images.grad[0].abs().sum(0).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [7, 7]


def test_a_variant_gains_over_the_plain_network():
    trainings = [
        {"variant": variant, "top1": [0.1, top1]}
        for variant, top1 in (("plain", 0.3), ("conv_ffn", 0.5), ("plain", 0.32), ("conv_ffn", 0.52))
    ]
    said = network_variants.compared(trainings)
    assert said["top1"] == {"plain": [0.3, 0.32], "conv_ffn": [0.5, 0.52]}
    assert said["gain"]["conv_ffn"]["value"] == pytest.approx(0.2)
    half = 4.3027 * math.sqrt(2) * 0.01  # t of two degrees of freedom, two standard errors of 0.01
    assert said["gain"]["conv_ffn"]["low"] == pytest.approx(0.2 - half, abs=1e-4)


def test_a_race_is_judged_by_what_one_would_have_taken_and_by_the_best_guest():
    def ran(network: str, way: Way, macs: int, *curve: float, rank: int | None = None, further: float = 0.5) -> Ran:
        return Ran(Runner(network, way, 1000, macs, rank), curve, (further,) if len(curve) == 2 else (), 1.0)

    def race(*runners: Ran) -> RaceResult:
        parts = tuple(rounds(4, 2))
        return RaceResult(Task(64), "2M", 60.0, 1.0, 2, parts, "length,ntk", runners, (), "winner/x", True, 100)

    won, deep, wide = (f"4,2,2,{blocks}|2,1,2,1|2,1,2,1|2,1,2,1|32,{c}" for blocks, c in ((1, 12), (5, 8), (1, 16)))
    found = race(
        ran(won, "random", 30, 0.4, 0.6, rank=3, further=0.7),
        ran("timm:a", "guest", 50, 0.5, 0.5, further=0.4),
        ran(deep, "score", 10, 0.3, rank=1),
        ran(wide, "random", 20, 0.2, rank=2),
        ran("timm:b", "guest", 5, 0.1),
    )
    duel = race(ran(won, "guest", 30, 0.4, 0.65, further=0.75), ran("timm:a", "guest", 50, 0.5, 0.45, further=0.35))
    said = races.judged(found, [duel])
    assert said["compared_after"] == 1
    assert said["without_training"]["length,ntk"] == {"networks": [deep], "top1": 0.3}
    taken = [said["without_training"][name]["networks"] for name in ("MACs", "blocks", "width")]
    assert taken == [[won], [deep], [wide]]
    alike = {"networks": [won, deep, wide], "top1": pytest.approx(0.3)}
    assert said["without_training"]["parameters"] == alike
    assert [guest["network"] for guest in said["guests"]] == ["timm:a", "timm:b"]
    assert said["whole_trainings"] == {won: [0.6, 0.7, 0.65, 0.75], "timm:a": [0.5, 0.4, 0.45, 0.35]}
    assert list(said["best_designed_over"]) == ["timm:a"]
    assert said["best_designed_over"]["timm:a"]["value"] == pytest.approx(0.25)
    half = 2.4469 * math.sqrt(2 * np.var([0.6, 0.7, 0.65, 0.75], ddof=1) / 4)  # t of six degrees of freedom
    assert said["best_designed_over"]["timm:a"]["low"] == pytest.approx(0.25 - half, abs=1e-4)
    assert list(races.judged(found, [])["best_designed_over"]) == ["timm:a"]
    assert machine.repeatable(["asvit"], ["race", "--data", "/x/set.tar", "--out", "/y"]) == "asvit race --data set.tar"


def test_a_score_that_is_better_on_one_data_set_alone_is_not_chosen():
    accuracy, noise = np.arange(40) / 40, np.random.default_rng(0).permutation(40) / 40

    def study(ntk: np.ndarray) -> default_score.Study:
        scores = {"length": noise, "ntk": ntk, "params": noise, default_score.PAPERS: noise}
        return default_score.Study("a set", accuracy, scores)

    assert default_score.decide([study(accuracy), study(accuracy)])["score"] == "ntk"
    assert default_score.decide([study(accuracy), study(-accuracy)])["score"] == "length"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_memory_is_that_of_all_processes_of_a_session():
    words = "import subprocess, sys; held = bytearray(2**27)"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{words}; subprocess.run([sys.executable, '-c', 'held = bytearray(2**27); input()'])"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    while busy.memory_of(child.pid) < 2**28:
        assert child.poll() is None
    child.communicate()
    assert busy.memory_of(child.pid) == 0


def test_the_commit_of_a_copy_is_the_one_that_it_carries(tmp_path):
    assert machine.commit(tmp_path) == "unknown"
    (tmp_path / "carried").mkdir()
    (tmp_path / "carried" / "commit").write_text("1234567-dirty\n")
    assert machine.commit(tmp_path) == "1234567-dirty"


def test_the_commit_of_a_checkout_is_its_own_where_there_is_git(tmp_path, monkeypatch):
    def git(*words: str) -> str:
        name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return subprocess.run(["git", "-C", tmp_path, *name, *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert machine.commit(tmp_path) == git("rev-parse", "--short", "HEAD").strip()
    monkeypatch.setenv("PATH", "")
    assert machine.commit(tmp_path) == "unknown"


def test_a_package_without_metadata_has_an_unknown_version():
    assert machine.named_version("no-such-package") == "no-such-package of unknown version"
    assert machine.named_version("numpy") == f"numpy {np.__version__}"


def test_a_recorded_command_names_no_place_of_this_machine():
    script = str(machine.ROOT / "benchmarks" / "measures.py")
    given = "--data /mnt/a/cifar10 --images=photos/mine --rounds 3 --json /mnt/x.json --work /mnt/w --csv=/mnt/y.csv"
    given = [script, *given.split(), "--", "small", "--workers", "2", "/mnt/b/seed.json"]
    assert machine.command(given) == (
        "python benchmarks/measures.py --data cifar10 --images mine --rounds 3 -- small --workers 2 seed.json"
    )


def test_the_command_line_is_this_pythons():
    said = subprocess.run(machine.asvit("--version"), capture_output=True, text=True, check=True).stdout
    assert said.split() == [machine.named_version("asvit").split()[1]]


@pytest.mark.parametrize(
    ("minutes", "trainings", "workers", "epochs"),
    [
        (30, 116, 8, 9),  # (1800 - 60) / 15 rounds - 20 s leave 96 s, of 10 s each
        (30, 116, 4, 4),
        (1, 116, 8, 2),
        (1000, 116, 8, 30),
    ],
)
def test_as_many_epochs_as_fit(minutes, trainings, workers, epochs):
    pace = Pace(start=60.0, training=20.0, epoch=10.0)
    assert ground_truth.epochs_that_fit(pace, minutes, trainings, workers) == epochs


def test_warm_up_is_a_fifth_and_at_most_two():
    assert [ground_truth.warm_up(epochs) for epochs in (2, 4, 5, 9, 10, 30)] == [0, 0, 1, 1, 2, 2]


def test_only_the_steps_of_a_rehearsal_grow_with_the_images():
    rehearsal = Rehearsal(start=20.0, first=9.0, second=6.0, steps=4.0)
    assert rehearsal.pace(scale=3.0) == Pace(start=20.0, training=3.0, epoch=14.0)


def test_a_command_is_stopped_when_time_is_over_and_looked_after_at_the_end(tmp_path):
    looks = []
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert ground_truth.work_until(0.0, sleeper, lambda: looks.append(1)) is None
    assert looks == [1]
    assert ground_truth.work_until(math.inf, [sys.executable, "-c", "raise SystemExit(3)"], lambda: None) == 3


def test_trainings_of_a_csv_file_are_its_rows(tmp_path):
    assert ground_truth.trainings_in(tmp_path / "none.csv") == 0
    (tmp_path / "two.csv").write_text("network,seed\na,0\nb,0\n")
    assert ground_truth.trainings_in(tmp_path / "two.csv") == 2


def test_all_tokens_at_the_cost_of_a_schedule():
    stages = [
        {"coarseness": 4, "epochs": 8, "macs": 10},
        {"coarseness": 2, "epochs": 6, "macs": 25},
        {"coarseness": 1, "epochs": 16, "macs": 100},
    ]
    epochs, ratio = schedules.equal_cost({"stages": stages})
    assert epochs == 18  # 80 + 150 + 1600 of 100 each
    assert ratio == pytest.approx(1800 / 1830)


def test_variants_at_equal_cost_leave_the_epochs_that_were_asked(monkeypatch):
    plan = {"stages": [{"epochs": 50, "macs": 20}, {"epochs": 50, "macs": 100}]}
    asked = []
    monkeypatch.setattr(schedules, "planned", lambda arguments, data: asked.append(arguments) or plan)
    options = schedules.argparse.Namespace(
        networks=[], equal_cost=True, schedules=["40-70"], train=["small", "--epochs", "100", "--device", "cuda"]
    )
    (variant,) = schedules.variants(options, "data")
    assert asked == [["small", "--epochs", "100", "--device", "cuda", "--schedule", "40-70"]]
    assert variant.arguments == ["small", "--device", "cuda", "--epochs", "60", "--schedule", "none"]
    assert (variant.folder, variant.facts["macs_over_those"]) == ("equal-40-70", 1.0)


def test_shares_of_the_peak_and_ratios_per_multiply_add(monkeypatch):
    seconds = iter([0.2, 0.1] * 3)
    monkeypatch.setattr(throughput, "timed", lambda run, device, clock: (next(seconds), None))
    row = throughput.compared(lambda: None, lambda: None, (2e12, 0.5e12), 3, CPU, peak=100.0)
    assert (row["ms"], row["ms_of_reference"]) == (200.0, 100.0)
    assert (row["tflops"], row["tflops_of_reference"]) == (20.0, 10.0)
    assert (row["share_of_peak"], row["share_of_peak_of_reference"]) == (0.2, 0.1)
    assert row["per_mac_ratio"] == 0.5


def test_models_are_compared_with_those_of_their_size_for_each_number_of_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(throughput, "LARGE", {"cpu": 8})
    monkeypatch.setattr(throughput, "WAYS", {"forward": throughput.forward_pass})
    small = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8@32"
    words = f"throughput.py --models {small} asvit_seed --against asvit_seed@32 --threads 1 2 --rounds 1 --json"
    monkeypatch.setattr(sys, "argv", [*words.split(), str(tmp_path / "t.json"), "--clock", "processor"])
    threads = torch.get_num_threads()
    try:
        throughput.main()
    finally:
        torch.set_num_threads(threads)
    record = json.loads((tmp_path / "t.json").read_text())
    assert [(row["model"], row["against"], row["threads"]) for row in record["rows"]] == [
        (small, "asvit_seed@32", 1),
        (small, "asvit_seed@32", 2),
    ]
    task = Task(image_size=32)
    macs = [Architecture.parse(text).macs(task) / 1e9 for text in (small.partition("@")[0], "seed")]
    assert [record["rows"][0][key] for key in ("gmacs", "gmacs_of_reference")] == macs
    assert record["clock"] == "processor"


def test_swin_of_a_third_of_the_width_is_as_small_as_a_seed_network():
    macs = [throughput.count_macs(*throughput.build(name)) / 1e6 for name in ("swin_third", "swin_third@96")]
    assert macs == pytest.approx([533.5, 95.7], abs=0.1)


def test_a_model_without_memory_stops_nothing(monkeypatch, tmp_path):
    def out_of_memory(model, images, precision):
        raise torch.OutOfMemoryError("there is none")

    monkeypatch.setitem(throughput.WAYS, "training", out_of_memory)
    monkeypatch.setattr(throughput, "LARGE", {"cpu": 8})
    words = "throughput.py --models asvit_seed --against asvit_seed --batches 1 2 --rounds 1 --json"
    monkeypatch.setattr(sys, "argv", [*words.split(), str(tmp_path / "t.json")])
    throughput.main()
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [(row["batch"], row["training"]) for row in rows] == [(1, "out of memory"), (2, "out of memory")]
    assert all(row["forward"]["tflops"] > 0 for row in rows)


def test_the_parts_of_a_design_add_up():
    said = [
        (100.0, ""),
        (103.0, "run directory: run\n"),
        (104.0, "search: step 1 of 4\n"),
        (109.0, "search: step 4 of 4\n"),
        (110.0, "growth: step 1\n"),
        (130.0, ""),
    ]
    expected = {"start": 3.0, "search": 6.0, "growth": 16.0, "report": 5.0}
    assert design.seconds_by_phase(said, written=125.0) == expected


def test_errors_are_of_what_is_valid_in_both():
    row = rounding.against([1.0, 2.2, None, 4.0], [1.0, 2.0, 3.0, None])
    assert row["largest_relative_error"] == pytest.approx(0.1)
    assert (row["valid"], row["singular"], row["singular_in_float64"], row["kendall_tau"]) == (2, 1, 1, 1.0)
    assert rounding.against([None], [1.0])["kendall_tau"] is None


def test_rounding_measures_what_asvit_measures():
    task, settings = Task(image_size=(32, 32)), Settings(repeats=1)
    subject = ArchitectureSubject(Architecture.parse("seed"), task)
    measurer = Measurer(settings, task)
    expected, draw = measurer(subject).estimates, measurer.draws[0]
    for dtype in (torch.float32, torch.float64):
        network = subject.network(draw.weights_seed).to(dtype)
        length = rounding.length(network, draw.basis.to(dtype), settings.angles)
        assert length == pytest.approx(expected["length"].mean, rel=1e-5)
        kappa = rounding.condition_number(network, draw.images.to(dtype))
        assert kappa == pytest.approx(expected["ntk"].mean, rel=1e-4)


def test_float32_keeps_values_and_ranks():
    table = rounding.rounding(2, Task(image_size=(32, 32)), CPU, BuiltIn())
    for measure in ("length", "ntk"):
        assert 0 < table[measure]["float32"]["largest_relative_error"] < 1e-4
        assert table[measure]["tf32"]["kendall_tau"] == 1.0
    assert not torch.backends.cuda.matmul.allow_tf32


def test_the_slow_way_of_some_channels_is_that_of_all():
    task = Task(image_size=(32, 32))
    measurer = Measurer(Settings(repeats=1, angles=3), task)
    draw, theta = measurer.draws[0], curve.angles(3)

    def network() -> torch.nn.Module:
        bare = ArchitectureSubject(Architecture.parse("seed"), task).network(draw.weights_seed).requires_grad_(False)
        remove_norms(bare)
        write_out_attention(bare)
        return bare

    channels = measures.spread(256, 3)
    circle = curve.image_of_circle(network(), draw.basis, math.sqrt(draw.basis[0].numel()))
    v, a = curve.velocity_and_acceleration(circle, theta)
    found, _ = naive.velocity(network(), draw.basis, theta, channels=channels)
    both = naive.velocity_and_acceleration(network(), draw.basis, theta, channels=channels)
    assert measures.difference(found, v[:, channels]) < 1e-4
    assert measures.difference(both[0], v[:, channels]) < 1e-4
    assert measures.difference(both[1], a[:, channels]) < 1e-3


def test_channels_are_spread_evenly():
    assert measures.spread(9, 3) == [0, 4, 8]
    assert measures.spread(3, None) == measures.spread(3, 5) == [0, 1, 2]


def test_a_small_copy_has_images_of_every_class(images, tmp_path):
    copy = small_data.small_copy(str(images), tmp_path / "copy", side=6, images=(6, None))
    train, val = (opened(copy, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (6, 9)
    assert [train.read(i)[1] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    assert train.classes == tuple(sorted(CLASSES))
    assert train.read(0)[0].size == (6, 6)


def test_files_are_of_the_usual_size(images, tmp_path):
    decoding.make_file((str(images), tmp_path, "train", 1, 3))
    (path,) = tmp_path.rglob("*.jpg")
    with Image.open(path) as image:
        assert image.size == (500, 375)
    assert 50_000 < path.stat().st_size < 200_000


def test_batches_go_on_from_epoch_to_epoch_and_files_come_again(images):
    batches = list(islice(decoding.Endless(images=3, batch_size=2), 3))
    assert batches == [[(0, 0), (0, 1)], [(0, 2), (1, 0)], [(1, 1), (1, 2)]]
    source = opened(images, "train")
    repeated = decoding.Repeated(source, 100)
    assert len(repeated) == 100
    assert np.array_equal(np.asarray(repeated.read(24 + 5)[0]), np.asarray(source.read(5)[0]))
