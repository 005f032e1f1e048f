"""What a study records: trainings, what was measured, and the verdict; and the CSV file that it gives away."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean

import msgspec

from asvit.errors import UserError, shortened
from asvit.measure.estimates import Estimate
from asvit.measure.metrics import METRICS
from asvit.networks.architecture import Task
from asvit.runs.json_files import complaint
from asvit.runs.records import Json
from asvit.runs.tables import read_table, table_text
from asvit.study.correlation import Interval
from asvit.study.noise import Variance
from asvit.study.plan import Planned


@dataclass(frozen=True)
class Trained:
    """A network's training."""

    network: str
    seed: int
    top1: float
    """Share of the validation images whose class is ranked first, after the last epoch."""
    loss: float
    """Mean cross entropy of the validation images, after the last epoch."""
    seconds: float
    """Seconds of training, by the clock of the machine."""
    device: str
    asvit: str
    """Version of asvit."""
    torch: str
    """Version of torch."""

    def __post_init__(self) -> None:
        if not 0 <= self.top1 <= 1:
            raise UserError(f"top1 is {self.top1}: expected an accuracy as a share, from 0 to 1")
        for name in ("loss", "seconds", "seed"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise UserError(f"{name} is {value}: expected a number from 0 up")

    @property
    def planned(self) -> Planned:
        """What was planned."""
        return Planned(self.network, self.seed)


@dataclass(frozen=True)
class Scored:
    """How well a score ranks the topologies by accuracy; signs are such that a positive τ is a good one."""

    name: str
    symbol: str
    title: str
    better: str
    """Direction that counts as good."""
    source: str
    topologies: int
    """Topologies for which the score is valid."""
    tau: Interval | None
    """Kendall τ_b; None where the score is the same for all."""
    beyond_baseline: Interval | None
    """Partial τ given the baseline."""
    within_bands: Interval | None
    """τ among topologies with about equal values of the baseline."""
    over_baseline: Interval | None
    """τ less that of the baseline, on the same resamples."""
    regret: float | None
    """Accuracy lost by taking the topology of the highest score instead of the best of all; None where the score is
    valid for too few topologies, as are all other statistics then."""
    regret_of_five: float | None
    """Accuracy lost by the mean of the topologies with the five highest scores."""
    ceiling: float | None
    """τ that a perfect score would reach in spite of noise: that of training, and that of this score's repeats; None
    where there is a single repeat."""
    seconds: float
    """Seconds to measure one topology, a median; shared work is charged to the first metric that needs it."""


@dataclass(frozen=True)
class Point:
    """A topology, or a network at a budget, with what was found of it."""

    topology: str
    """Text form."""
    params: int
    macs: int | None
    """Multiply-adds; None where a network of somebody else's table admits no count."""
    top1: float
    """Mean top-1 accuracy over its trainings."""
    trainings: int
    values: Mapping[str, float]
    """Means of measures by name; without those that are invalid."""
    errors: Mapping[str, float]
    """Standard errors of measures by name."""

    @classmethod
    def of(
        cls,
        network: str,
        accuracies: Sequence[float],
        estimates: Mapping[str, Estimate],
        *,
        params: int,
        macs: int | None,
    ) -> "Point":
        """A network by its accuracies, one a training, and by what was measured of it.

        >>> Point.of("seed", [0.5, 0.7], {"ntk": Estimate.of([2.0])}, params=3, macs=None).trainings
        2
        """
        errors = {name: estimate.standard_error for name, estimate in estimates.items() if not METRICS[name].counted}
        return cls(
            topology=network,
            params=params,
            macs=macs,
            top1=fmean(accuracies),
            trainings=len(accuracies),
            values={name: estimate.mean for name, estimate in estimates.items()},
            errors={name: error for name, error in errors.items() if error is not None},
        )


@dataclass(frozen=True)
class Verdict:
    """How well every score ranks networks by accuracy."""

    task: Task
    measuring: Json
    """How it was measured: settings, and a digest of the photographs."""
    baseline: str
    """Name of the metric that scores are compared with: #params; at a budget the plain number that ranks best."""
    sentence: str
    """Whether length distortion ranks better than counting parameters, in words."""
    scores: tuple[Scored, ...]
    points: tuple[Point, ...]

    @property
    def judged(self) -> list[Scored]:
        """Scores of which something can be said, the highest τ first."""
        judged = ((score.tau.value, score) for score in self.scores if score.tau is not None)
        return [score for _, score in sorted(judged, key=lambda pair: -pair[0])]


@dataclass(frozen=True)
class StudyResult(Verdict):
    """The verdict of a study."""

    pilot: Variance
    variance: Variance
    """Variance of all topologies that were trained repeatedly."""
    planned: int
    """Number of planned trainings; more than were done where a study is looked at on the way."""
    trained: tuple[Trained, ...]


@dataclass(frozen=True)
class TableResult(Verdict):
    """The verdict on accuracies that somebody else made."""

    table: str
    """Name of the file."""
    variance: Variance | None
    """Variance of networks with several accuracies; None where there are fewer than two."""
    missing: Mapping[str, str]
    """Networks that could not be measured, with the reason."""


def by_network(trained: Sequence[Trained]) -> dict[str, list[float]]:
    """Accuracies of each network."""
    accuracies: dict[str, list[float]] = {}
    for training in trained:
        accuracies.setdefault(training.network, []).append(training.top1)
    return accuracies


def as_csv(trained: Sequence[Trained], provenance: Mapping[str, str], points: Sequence[Point]) -> bytes:
    """The ground truth: a row a training with its provenance, its topology's size and measures."""
    by_topology = {point.topology: point for point in points}
    measures = list(dict.fromkeys(name for point in points for name in point.values))
    rows = []
    for training in trained:
        row: dict[str, object] = {**asdict(training), **provenance}
        if point := by_topology.get(training.network):
            row |= {name: point.values.get(name) for name in measures} | {"params": point.params, "macs": point.macs}
            row |= {f"{name}_se": point.errors.get(name) for name in measures if name in point.errors}
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return table_text(names or [field.name for field in fields(Trained)], rows)


def read_csv(path: Path, provenance: Mapping[str, str]) -> list[Trained]:
    """Trainings of a ground truth file.

    Args:
        path: CSV file.
        provenance: provenance that the file must have, so that its accuracies may stand beside new ones.

    Raises:
        UserError: the file cannot be read, lacks a column, or is of other data or another recipe.
    """
    expected = "a CSV file that `asvit study` wrote"
    trained: dict[Planned, Trained] = {}
    for line, row in read_table(path, [*(field.name for field in fields(Trained)), *provenance], expected):
        place = f"{path}, line {line}"
        for name, value in provenance.items():
            if row[name] != value:
                raise UserError(
                    f"{place}: {name} is {shortened(row[name])}, but this study's is {value}: continue it with the "
                    "same data and recipe"
                )
        try:
            training = msgspec.convert(row, Trained, strict=False)
        except msgspec.ValidationError as error:
            raise UserError(
                f"{place}: {complaint(error)}; expected {expected}, with points in its numbers; the file is damaged"
            ) from error
        earlier = trained.setdefault(training.planned, training)
        if (earlier.top1, earlier.loss) != (training.top1, training.loss):
            raise UserError(f"{place}: seed {training.seed} of {training.network} has another result further up")
    if not trained:
        raise UserError(f"{path} has no trainings: expected {expected}")
    return list(trained.values())
