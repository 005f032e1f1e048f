"""How a race trains: the recipe that was asked for, fitted to the images, without what short trainings cannot have."""

from dataclasses import replace

from asvit.complexity.usage import Precision
from asvit.errors import UserError
from asvit.measure.settings import Measuring
from asvit.networks.architecture import Architecture
from asvit.study.settings import StudySettings, Workers
from asvit.training.fitting import AskedTraining, DataFacts
from asvit.training.schedule import named_schedule
from asvit.training.settings import ImageData
from asvit.training.settled import usual_size
from asvit.training.sources import Source


def race_settings(
    data: ImageData,
    train: Source,
    asked: AskedTraining,
    *,
    measuring: Measuring,
    workers: Workers = Workers(),
    precision: Precision | None = None,
) -> StudySettings:
    """What a race asks of its trainings.

    All tokens from the start: coarse ones would make rounds' accuracies those of other networks. Resident images are
    cropped and mirrored only.

    Args:
        data: images.
        train: those to learn from, opened.
        asked: recipe, and what was said in the place of its values.
        measuring: how designed networks are measured before they run.
        workers: what trains.
        precision: precision of the trainings' matrix products.

    Raises:
        UserError: a schedule was asked for.
    """
    if asked.stage_epochs or "schedule" in asked.changes:
        raise UserError(
            "a race trains with all tokens, for as many epochs as fit into its --minutes, up to --epochs: leave "
            "--schedule and --stage-epochs out"
        )
    contents = train.contents
    facts = DataFacts(images=len(train), channels=train.channels, arrays=contents.arrays, size=contents.size)
    recipe, _ = asked.fit(facts, usual_size=usual_size(Architecture.parse("seed"), facts))
    recipe = replace(recipe, schedule="none")
    if workers.resident:
        recipe = replace(recipe, randaugment=None, random_erasing=0.0)
    return StudySettings(
        recipe_name=asked.recipe,
        data=data,
        train=recipe,
        schedule=named_schedule("none", recipe.epochs),
        resident=bool(workers.resident),
        images=None,
        measuring=measuring,
        workers=workers,
        precision=precision,
    )
