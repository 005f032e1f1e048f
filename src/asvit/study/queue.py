"""The trainings of a study in an Optuna storage: any number of workers on any number of machines take from it.

A training is an Optuna trial, first waiting, then running, then complete; optuna-dashboard shows them live. A worker
that runs one sends heartbeats. When they stop, or a worker says that it cannot go on, the trial has failed, and
whoever looks next queues the training again: what is queued is always what is planned and neither done nor given up.
"""

import json
import math
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import msgspec

from asvit.errors import UserError, one_line
from asvit.networks.architecture import Architecture
from asvit.networks.named import Network, parse_network
from asvit.networks.space import PAPER, SpaceName, table_at
from asvit.runs.differences import refuse_difference
from asvit.runs.records import Json
from asvit.runs.surroundings import of_surroundings
from asvit.study.optuna_search import import_optuna
from asvit.study.plan import Planned
from asvit.study.results import Trained
from asvit.study.storage import (
    StorageError,
    check_pages,
    damaged,
    explaining,
    one_at_a_time,
    opening,
    patient,
    reading,
    storage_url,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PLANNED, TRAINED, WORKER, SHARE, ERROR, CONFIG = "planned", "trained", "worker", "share", "error", "config"
"""Attributes of a trial, and of the study."""
ATTEMPTS = 2
"""Errors of a training after which it is given up; workers that die are not counted."""


@dataclass(frozen=True)
class Claim:
    """A training that this worker, and no other, is to do."""

    planned: Planned
    number: int
    """Number of the trial."""
    trial_id: int


class Queue:
    """A study's trainings, shared by all that know the storage's URL and the study's name."""

    def __init__(self, url: str, name: str, plan: Sequence[Planned], config: Json, *, heartbeat: int) -> None:
        """Create the study in the storage, or join it.

        Args:
            url: URL of a database as SQLAlchemy writes it, such as ``sqlite:///study.sqlite3`` or
                ``postgresql+psycopg://user@host/database``.
            name: name of the study in the storage.
            plan: all trainings, the most urgent first.
            config: all that accuracies depend on; joining a study with another is refused.
            heartbeat: seconds between signs of life; after twice that a worker counts as dead.

        Raises:
            UserError: the storage cannot be used, or holds a study of that name with other settings.
        """
        self.url, self.name, self.plan, self.heartbeat = url, name, list(plan), heartbeat
        self._space: SpaceName = config.get("space", PAPER)
        self._optuna = import_optuna()
        self._parsed = storage_url(url)
        warnings.filterwarnings("ignore", category=self._optuna.exceptions.ExperimentalWarning)  # heartbeats
        # One lock for all methods, which may be entered again: finish may call add, and claim give a claim up.
        self._one_at_a_time = one_at_a_time(self._parsed)
        with opening(self._parsed):
            timeout = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
            plain = url.replace("{", "{{").replace("}", "}}")  # Optuna fills in templates
            # The first to come makes the tables, which two at a time would both try.
            with self._one_at_a_time:
                self._storage = self._optuna.storages.RDBStorage(plain, timeout, heartbeat_interval=heartbeat)
        try:
            with opening(self._parsed):
                check_pages(self._parsed, self._storage.engine)
            self._join(json.loads(json.dumps(config)))
            self.refill()
        except BaseException:
            self.close()
            raise

    def _join(self, config: Json) -> None:
        """Create the study, or compare its settings."""
        with self._explaining(), self._one_at_a_time:
            self._study = self._optuna.create_study(
                storage=self._storage, study_name=self.name, direction="maximize", load_if_exists=True
            )
            self._study_id = self._storage.get_study_id_from_name(self.name)
            earlier = self._study.user_attrs.get(CONFIG)
            if earlier is None:
                if self._study.get_trials(deepcopy=False):
                    raise UserError(
                        f"the storage holds a study {self.name!r} of another program: choose another --name"
                    )
                self._study.set_metric_names(["top-1 accuracy"])
                self._study.set_user_attr(CONFIG, config)
            else:
                refuse_difference(f"the study {self.name!r}", earlier, config, "another --name")

    def __enter__(self) -> "Queue":
        """Use it, then close it."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    @patient
    def refill(self) -> None:
        """Queue what is planned and neither waiting, running, done nor given up, such as what dead workers had."""
        with self._explaining(), self._one_at_a_time:
            # Nobody is in charge: whoever looks here finds the dead. Heartbeats are written and compared by the clock
            # of the database, so the workers' own need not agree.
            self._optuna.storages.fail_stale_trials(self._study)
            known = {planned_of(trial) for trial in self._trials("WAITING", "RUNNING", "COMPLETE")}
            known |= self.given_up().keys()
            for planned in self.plan:
                if planned not in known:
                    self._study.add_trial(self._trial(planned, "WAITING"))

    def add(self, trained: Sequence[Trained]) -> int:
        """Enter trainings that were done elsewhere, as far as they are planned; returns how many are."""
        planned = [training for training in trained if training.planned in self.plan]
        with self._explaining(), self._one_at_a_time:
            done = {planned_of(trial) for trial in self._trials("COMPLETE")}
            for training in planned:
                if training.planned not in done:
                    self._study.add_trial(self._trial(training.planned, "COMPLETE", training))
        return len(planned)

    @patient
    def claim(self, worker: str, allowed: Collection[Planned]) -> Claim | None:
        """The first waiting training among those allowed; None where none is waiting.

        Args:
            worker: who asks, as :meth:`give_back` will call it.
            allowed: what may be done now.
        """
        with self._explaining(), self._one_at_a_time:
            for trial in self._trials("WAITING"):
                planned, trial_id = planned_of(trial), self._id(trial.number)
                if planned not in allowed:
                    continue
                self._storage.record_heartbeat(trial_id)  # before the claim: a claim without would never go stale
                if not self._set_state(trial_id, "RUNNING"):
                    continue
                # Two that refill at the same time may have queued it twice: then the first trial counts.
                others = [t for t in self._trials("RUNNING", "COMPLETE") if planned_of(t) == planned]
                if any(t.state.name == "COMPLETE" or t.number < trial.number for t in others):
                    self._fail(trial_id)
                    continue
                self._storage.set_trial_user_attr(trial_id, WORKER, worker)
                return Claim(planned, trial.number, trial_id)
        return None

    @contextmanager
    def beating(self, claim: Claim, share: Callable[[], float]) -> Iterator[None]:
        """Send heartbeats for a claim; after an error, give it back.

        Args:
            claim: claim of the training.
            share: says what share of it is done, which goes with the heartbeats.
        """
        stop = Event()
        thread = Thread(target=self._beat, args=(claim.trial_id, share, stop), daemon=True)
        thread.start()
        try:
            yield
        except BaseException as error:
            # A worker that is told to stop, or whose machine has no room, says nothing against its training: that is
            # not counted as an attempt. Where there is no room to give it back either, its heartbeats end.
            against = not isinstance(error, KeyboardInterrupt | SystemExit) and not of_surroundings(error)
            with nullcontext() if against else suppress(StorageError):
                self._fail(claim.trial_id, error if against else None)
            raise
        finally:
            stop.set()
            thread.join()

    @patient
    def finish(self, claim: Claim, trained: Trained, shown: Mapping[str, float]) -> None:
        """Enter a training, also where the claim was meanwhile taken for dead: who has it now finds the same.

        Args:
            claim: claim of the training.
            trained: what was found.
            shown: further numbers for the dashboard.
        """
        with self._explaining(), self._one_at_a_time:
            try:
                for name, value in shown.items():
                    self._storage.set_trial_user_attr(claim.trial_id, name, value)
                self._storage.set_trial_user_attr(claim.trial_id, TRAINED, asdict(trained))
                self._storage.set_trial_state_values(claim.trial_id, self._state("COMPLETE"), [trained.top1])
            except self._optuna.exceptions.UpdateFinishedTrialError:
                self.add([trained])

    @patient
    def give_back(self, worker: str) -> None:
        """Queue again what a worker had that is known to be dead."""
        with self._explaining():
            for trial in self._trials("RUNNING"):
                if trial.user_attrs.get(WORKER) == worker:
                    self._fail(self._id(trial.number))
        self.refill()

    @patient
    def trained(self) -> list[Trained]:
        """What has been done of the plan, in its order."""
        with self._explaining():
            # Of a training that was done twice the first trial counts, as in claim: the last to enter the dictionary.
            done = {planned_of(trial): self._trained_of(trial) for trial in reversed(self._trials("COMPLETE"))}
        return [done[planned] for planned in self.plan if planned in done]

    def given_up(self) -> dict[Planned, str]:
        """Trainings that failed too often, and the last error of each."""
        errors: dict[Planned, list[str]] = {}
        with self._explaining():
            for trial in self._trials("FAIL"):
                if ERROR in trial.user_attrs:
                    errors.setdefault(planned_of(trial), []).append(str(trial.user_attrs[ERROR]))
        return {planned: messages[-1] for planned, messages in errors.items() if len(messages) >= ATTEMPTS}

    @patient
    def running(self) -> dict[Planned, str]:
        """What is being done now, and by which worker."""
        with self._explaining():
            return {planned_of(trial): str(trial.user_attrs.get(WORKER, "")) for trial in self._trials("RUNNING")}

    @patient
    def under_way(self) -> float:
        """Shares that are done of what is being done now, all together, as of the last heartbeats."""
        with self._explaining():
            return math.fsum(
                msgspec.convert(trial.user_attrs.get(SHARE, 0.0), float) for trial in self._trials("RUNNING")
            )

    def _trials(self, *states: str) -> "list[FrozenTrial]":
        return self._study.get_trials(deepcopy=False, states=tuple(map(self._state, states)))

    def _trained_of(self, trial: "FrozenTrial") -> Trained:
        trained = msgspec.convert(trial.user_attrs[TRAINED], Trained)
        if trained.planned != planned_of(trial):
            raise damaged(self._parsed, f"trial {trial.number} is a training of {trained.network}")
        return trained

    def _trial(self, planned: Planned, state: str, trained: Trained | None = None) -> Any:
        """A trial as the dashboard shows it."""
        network = parse_network(planned.network)
        attributes: Json = {PLANNED: asdict(planned)}
        if trained is not None:
            attributes[TRAINED] = asdict(trained)
        return self._optuna.create_trial(
            state=self._state(state),
            value=None if trained is None else trained.top1,
            user_attrs=attributes,
            **self._choices(network),
        )

    def _choices(self, network: Network) -> Json:
        """The choices of a network of the study's space, as parameters of its trial."""
        if not isinstance(network, Architecture):
            return {}
        table, choices = table_at(network.topology.base_stride, self._space), network.topology.choices()
        if any(value not in table[name] for name, value in choices.items()):
            return {}  # Optuna has the same values for all trials of a study
        distributions = {
            name: self._optuna.distributions.CategoricalDistribution(values) for name, values in table.items()
        }
        return {"params": choices, "distributions": distributions}

    def _fail(self, trial_id: int, error: BaseException | None = None) -> None:
        with self._explaining(), self._one_at_a_time:
            if error is not None:
                with suppress(self._optuna.exceptions.UpdateFinishedTrialError):
                    self._storage.set_trial_user_attr(trial_id, ERROR, one_line(error))
            self._set_state(trial_id, "FAIL")

    def _set_state(self, trial_id: int, state: str) -> bool:
        """Whether this call, and no other, has brought the trial into the state."""
        # What makes a claim exclusive: the storage runs a trial only if it was waiting, and holds a lock of its row
        # meanwhile, or with SQLite ours of the file.
        try:
            return self._storage.set_trial_state_values(trial_id, self._state(state))
        except self._optuna.exceptions.UpdateFinishedTrialError:
            return False

    def _state(self, name: str) -> Any:
        return self._optuna.trial.TrialState[name]

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _beat(self, trial_id: int, share: Callable[[], float], stop: Event) -> None:
        while not stop.wait(self.heartbeat):
            # The database may be away for a while; or somebody has taken this worker for dead meanwhile.
            with suppress(UserError, self._optuna.exceptions.UpdateFinishedTrialError), self._explaining():
                self._storage.record_heartbeat(trial_id)
                self._storage.set_trial_user_attr(trial_id, SHARE, share())

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        with explaining(self._parsed), reading(self._parsed):
            yield


def planned_of(trial: "FrozenTrial") -> Planned:
    """Which training a trial is."""
    return msgspec.convert(trial.user_attrs[PLANNED], Planned)
