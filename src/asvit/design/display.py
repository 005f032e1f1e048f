"""What is shown of a search and of the growth after it, with one time left for both."""

import math
import time
from collections.abc import Callable, Sequence
from functools import cache
from statistics import fmean

from asvit.design.costs import Costs
from asvit.design.family import FamilySettings, narrowest
from asvit.design.forecast import Forecast, growth_ahead, middle_choice, scaled_by_macs, work_of, work_of_choices
from asvit.design.grow import OnMeasured
from asvit.design.search import SearchSettings, SearchStep
from asvit.design.words import undecided_in_words
from asvit.measure.estimates import Measurement
from asvit.measure.measurer import Measurer
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture
from asvit.networks.space import Space, Topology
from asvit.runs.progress import ProgressDisplay
from asvit.units import format_size

ENOUGH = 10
"""Topologies of a search after which the mean work of the growth that follows one of them is known well enough."""
USUAL_CHOICES = 12
"""Networks that most steps of growth compare."""


class DesignDisplay:
    """Progress of a job that searches, grows, or does one after the other.

    >>> from asvit.design.search import search
    >>> from asvit.measure.settings import Settings
    >>> from asvit.networks.architecture import Task
    >>> from asvit.networks.space import TABLE_1
    >>> from rich.console import Console
    >>> import sys
    >>> measurer = Measurer(Settings(repeats=1, angles=2, kernel_images=2), Task(32))
    >>> settings = SearchSettings(steps=1)
    >>> with ProgressDisplay(Console(file=sys.stdout)) as display:
    ...     shown = DesignDisplay(display, measurer).search(settings, TABLE_1)
    ...     run = search(measurer.architectures(), settings, on_step=shown)  # doctest: +ELLIPSIS
    search: step 1 of 1, undecided: 100 % (entropy 15.3 of 15.3 nats), best length so far ..., nothing left
    """

    def __init__(self, display: ProgressDisplay, measurer: Measurer) -> None:
        """Show what a measurer measures; its ledger says how long measurements took that are not made again."""
        self.display, self.measurer = display, measurer
        self.forecast = Forecast()
        self._measured = time.monotonic()

    def search(
        self,
        settings: SearchSettings,
        space: Space,
        *,
        run: int = 1,
        runs: int = 1,
        growth_after: Callable[[Architecture], int] = lambda start: 0,
    ) -> Callable[[SearchStep, Measurement], None]:
        """Function that shows a search's steps: how undecided it is, and the best value so far of the first measure.

        The time left is that of the steps ahead, at the mean work of those behind, and of the growth after them, at the
        mean over the first topologies that it could begin with.

        Args:
            settings: settings of the search.
            space: space that is searched.
            run: number of the search.
            runs: number of searches of the job.
            growth_after: work of the growth that follows, from a topology on.
        """
        first = settings.score[0].metric
        best = -first.sign * math.inf
        works: list[int] = []
        growths: list[int] = []

        def show(step: SearchStep, measurement: Measurement) -> None:
            nonlocal best
            if measurement.valid:
                best = first.sign * max(first.sign * value for value in (best, measurement.estimates[first.name].mean))
            architecture = Architecture(Topology.parse(step.topology))
            works.append(self._learn(architecture))
            if len(growths) < ENOUGH:
                growths.append(growth_after(architecture))
            done = step.step + 1
            steps = (settings.steps - done) + settings.steps * (runs - run)
            # A step of the search measures one network, a step of growth several.
            ahead = steps * fmean(works) / self.measurer.side_by_side()
            ahead += fmean(growths) / self.measurer.side_by_side(USUAL_CHOICES)
            self.display.update(
                f"search {run} of {runs}" if runs > 1 else "search",
                done,
                settings.steps,
                count=f"step {done} of {settings.steps}",
                facts=f"{undecided_in_words(step.entropy, space)}, best {first.name} so far {best:.3g}",
                left=self.forecast.seconds(ahead),
            )

        return show

    def growth(self, family: FamilySettings, costs: Costs) -> OnMeasured:
        """Function that shows growth: the present network and its size; progress is in factors of what it costs.

        Args:
            family: budgets and choices.
            costs: what networks cost.
        """
        start: Architecture | None = None

        def grown(architecture: Architecture) -> float:
            """Share of the way from the start to the last of the limits that a network has come, 0 to 1."""
            shares = []
            for limit in family.limits:
                begin, now = (limit.share(a, costs) for a in (start or architecture, architecture))
                shares.append(math.log(now / begin) / math.log(max(1 / begin, 1.01)))
            return max(0.0, min(*shares, 1.0))

        @cache  # the same for all choices of a step
        def after(choice: Architecture) -> int:
            return growth_ahead(choice, family, costs)

        def show(step: int, current: Architecture, choices: Sequence[Architecture], done: int) -> None:
            nonlocal start
            start = start or current
            self._learn(choices[done - 1], width_divisor=family.growth.width_divisor)
            ahead = work_of_choices(choices[done:], family) + after(middle_choice(choices))
            ahead /= self.measurer.side_by_side(USUAL_CHOICES)
            self.display.update(
                "growth",
                grown(current),
                1.0,
                count=f"step {step}, choice {done} of {len(choices)}",
                facts=f"now {current}, {format_size(current.params(family.task))} parameters",
                left=self.forecast.seconds(ahead),
            )

        return show

    def _learn(self, architecture: Architecture, *, width_divisor: int = 1) -> int:
        """Learn how long a measurement took, and return its work."""
        work = work_of(architecture, self.measurer.task, width_divisor=width_divisor)
        costs = self.measurer.costs(ArchitectureSubject(architecture, self.measurer.task, width_divisor))
        before, self._measured = self._measured, time.monotonic()
        # Seconds of one process. One that an earlier run made takes no time now, and one of several side by side less
        # than its own; one made here has, with all around it, taken no less.
        self.forecast.add(work, max(self._measured - before, sum(cost.seconds for cost in costs.values())))
        return work


def growth_after_search(family: FamilySettings, costs: Costs) -> Callable[[Architecture], int]:
    """Function from a topology to the work of growing it.

    Of latency and memory it asks only what the search has measured: those of the topology's narrowest network.

    Args:
        family: budgets and choices.
        costs: what networks cost.

    >>> from asvit.design.budget import Budget
    >>> from asvit.design.recipes import RECIPES
    >>> from asvit.networks.architecture import Task
    >>> works = []
    >>> for limit in ("3M", "10M"):
    ...     family = FamilySettings.of(RECIPES["quick"], Task(64), [Budget.parse("params", limit)])
    ...     works.append(growth_after_search(family, Costs(Task(64)))(Architecture.parse("seed")))
    >>> works[0] < works[1]
    True
    """

    def work(start: Architecture) -> int:
        known = scaled_by_macs(costs.careful, narrowest(start, fit=family.fit))
        return work_of_choices([start], family) + growth_ahead(start, family, known)

    return work
