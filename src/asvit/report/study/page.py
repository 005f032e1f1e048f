"""The page of a study."""

from pathlib import Path

from asvit.report.markup import tag
from asvit.report.parts import Page, head, images, next_steps
from asvit.report.study.record import StudyReport, read_study
from asvit.report.study.sections import figures_section, networks_section, noise_section, scores_section
from asvit.report.symbols import typeset_html
from asvit.runs.next_steps import after_study
from asvit.runs.records import read_asked
from asvit.units import count

PAPER_TOPOLOGIES, PAPER_EPOCHS = 87, 300


def study_page(directory: Path) -> Page:
    """Page of study, from a run directory."""
    report = read_study(directory)
    run, result = report.run, report.result
    title = f"Do the measures predict accuracy? {images(result.task)}"
    words = f"{run.config.sampled}, trained, and ranked by measures taken before."
    answer = [
        tag("p", tag("strong", typeset_html(result.sentence))),
        tag("p", _shorter(report), class_="note"),
        next_steps(after_study(directory, read_asked(directory))),
    ]
    return Page(
        title,
        [
            *head(run, title, words, [run.config.seed], answer=answer),
            *scores_section(result),
            *figures_section(result),
            *noise_section([("pilot", result.pilot), ("all trained repeatedly", result.variance)]),
            *networks_section(result),
        ],
    )


def _shorter(report: StudyReport) -> str:
    config, result = report.run.config, report.result
    done = len(result.trained)
    words = f"{len(result.points)} {'topologies' if config.budget is None else 'networks'}"
    words += f" in {count(done, 'training')}"
    words += f" of {result.planned} planned; " if done < result.planned else "; "
    words += f"{config.in_words()}. The paper trained {PAPER_TOPOLOGIES} for {PAPER_EPOCHS} epochs of ImageNet."
    return words
