"""What a reader of a design may do next, with the paths of the run."""

from collections.abc import Iterator
from pathlib import Path

from asvit.design.family import Member
from asvit.design.record import DesignReport
from asvit.report.design.beside import own_networks
from asvit.report.published import of_the_paper, of_timm_near
from asvit.runs.next_steps import Step, after_design, after_search, command, training_set_of
from asvit.runs.records import read_asked


def steps_after(report: DesignReport, directory: Path) -> Iterator[Step]:
    """What comes after a search, growth or design.

    Args:
        report: records of the run.
        directory: run directory, as commands name it.
    """
    data = data_of(directory)
    if report.grown is None:
        yield from after_search(directory)
    else:
        members = {member.architecture: member for member in report.grown.family}
        yield from after_design({str(one.budget): file_of(one, directory) for one in members.values()}, data)
    beside = command("asvit", "report", directory, "--against", *_others(report))
    yield "measure it beside others on this machine", beside
    study = command("asvit", "study", *data, "--recipe", "cifar10-laptop")
    yield "test the score on your images: 30 trainings", study


def file_of(member: Member, directory: Path) -> Path:
    """Architecture file of a member of a family."""
    return directory / "family" / f"{member.budget.file_name}.json"


def data_of(directory: Path) -> list[str]:
    """Images to train on, as options: those of the run's kernel, where they are a training set."""
    return training_set_of(read_asked(directory))


def _others(report: DesignReport) -> list[str]:
    """A published network of ours and one of timm, the nearest in size."""
    _, first = own_networks(report)[0]
    paper = of_the_paper(report.task, ["seed" if report.grown is None else "small"])
    return [network.name for network in [*paper, of_timm_near(first.params(report.task))[0]]]
