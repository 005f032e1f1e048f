"""Which score may recipe quick go by? The rule of docs/results.md, applied to studies at a budget.

    uv run python benchmarks/default_score.py runs/cifar10 runs/imagenette --json benchmarks/results/default-score.json

Reads `result.json` of a study on each data set, of the same budget. For every score: its Kendall tau with accuracy less
that of the best plain number, with 95 % bootstrap intervals over networks. A score replaces the paper's where all these
intervals lie above 0; of several, the one with the largest mean. Else the paper's stays, and the kernel is left out of
it unless it adds to the length: all intervals of tau(length + ntk) - tau(length) above 0.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from machine import provenance

from asvit.measure.metrics import METRICS
from asvit.runs.read import RunFile, read_result, read_run
from asvit.study.correlation import Interval, kendall, rank_sum, resamples
from asvit.study.results import StudyResult

PAPERS = "length+ntk"

Values = np.ndarray
"""A number for each network, the higher the better."""


@dataclass(frozen=True)
class Study:
    """A study's networks: accuracies, and all that ranks them."""

    data: str
    accuracy: Values
    scores: Mapping[str, Values]

    @classmethod
    def of(cls, result: StudyResult, data: str) -> "Study":
        """Scores that are valid for all networks, and the paper's sum of ranks."""
        names = set.intersection(*(set(point.values) for point in result.points))
        scores = {n: METRICS[n].sign * np.array([point.values[n] for point in result.points]) for n in sorted(names)}
        scores[PAPERS] = rank_sum([scores["length"], scores["ntk"]])
        return cls(data, np.array([point.top1 for point in result.points]), scores)

    def tau(self, name: str) -> Values:
        """Kendall tau of the sample and of its resamples."""
        return kendall(self.scores[name], self.accuracy, resamples(len(self.accuracy)))

    @property
    def best_plain(self) -> str:
        """The plain number of the highest tau."""
        plain = [name for name in self.scores if name in METRICS and METRICS[name].plain]
        return max(plain, key=lambda name: np.nan_to_num(self.tau(name)[0], nan=-1.0))

    def difference(self, name: str, other: str) -> Interval | None:
        """How much better a score ranks than another; None where it is the same for all networks."""
        return Interval.of(self.tau(name) - self.tau(other))


def decide(studies: Sequence[Study]) -> dict[str, object]:
    """The score of recipe quick by the rule, and all that it follows from.

    >>> accuracy = np.linspace(0.1, 0.9, 30)
    >>> noise = np.random.default_rng(0).permutation(30).astype(float)
    >>> scores = {"length": noise, "ntk": accuracy, PAPERS: rank_sum([noise, accuracy]), "params": noise}
    >>> decide([Study("one", accuracy, scores), Study("two", accuracy, scores)])["score"]
    'ntk'
    """
    common = set.intersection(*(set(study.scores) for study in studies))
    judged = sorted(name for name in common if name == PAPERS or not METRICS[name].plain)
    over = {name: [study.difference(name, study.best_plain) for study in studies] for name in judged}
    better = {name: fmean(i.value for i in found if i) for name, found in over.items() if above_zero(found)}
    kernel = [study.difference(PAPERS, "length") for study in studies]
    score = max(better, key=lambda name: better[name]) if better else PAPERS if above_zero(kernel) else "length"
    return {
        "score": score,
        "kernel_adds": above_zero(kernel),
        "kernel": [interval and asdict(interval) for interval in kernel],
        "studies": [
            {"data": study.data, "networks": len(study.accuracy), "best_plain": study.best_plain} for study in studies
        ],
        "over_best_plain": {name: [interval and asdict(interval) for interval in over[name]] for name in judged},
    }


def above_zero(intervals: Sequence[Interval | None]) -> bool:
    """Whether all intervals lie above 0."""
    return all(interval is not None and interval.low > 0 for interval in intervals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run directories of asvit study, one for each data set")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs = [(path, read_run(path, RunFile)) for path in options.runs]
    studies = [Study.of(read_result(path, run, StudyResult), path.name) for path, run in runs]
    text = json.dumps(provenance() | decide(studies), indent=2) + "\n"
    print(text)
    if options.json is not None:
        options.json.write_text(text)


if __name__ == "__main__":
    main()
