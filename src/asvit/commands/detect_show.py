"""Results of detection on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from asvit.commands.hand_over import print_record
from asvit.commands.tables import new_table, print_table, say
from asvit.detection.job import DetectorCosts, DetectorScored
from asvit.detection.results import TWELVE, ClassScores, DetectResult, whole, worst_first
from asvit.units import count, format_share, format_size

MOST_CLASSES = 20
"""Classes whose average precision is printed; --json has it for any number."""


def show_costs(costs: DetectorCosts, *, as_json: bool) -> None:
    """What a detector costs, part by part."""
    params, macs = whole(costs.parts).params, whole(costs.parts).macs
    if as_json:
        print_record("detect describe", {**msgspec.to_builtins(costs), "params": params, "macs": macs})
        return
    table = new_table()
    table.add_column("part")
    for header in ("parameters", "MACs of an image", "in training, forward"):
        table.add_column(header, justify="right")
    for part in [*costs.parts, whole(costs.parts)]:
        table.add_row(part.part, f"{part.params:,}", format_size(part.macs), format_size(part.training_macs))
    print_table(table)
    position = costs.position_embedding
    without = f" ({params - position:,} without position embedding)" if position else ""
    height, width = costs.image_size
    say(f"{params:,} parameters{without}, {macs:,} MACs at {height}x{width}")


def show_detector(result: DetectResult) -> None:
    """The best epoch."""
    best = result.best
    params = whole(result.costs).params
    say(
        f"{format_size(params)} parameters; epoch {best.epoch} of {len(result.epochs)}: "
        f"box AP {format_share(best.boxes and best.boxes.ap)}, mask AP {format_share(best.masks and best.masks.ap)}"
    )


def show_coco_scores(scored: DetectorScored) -> None:
    """COCO's twelve numbers, and each class's average precision."""
    table = new_table()
    table.add_column("%")
    for kind in scored.scores:
        table.add_column(kind, justify="right")
    for name, words in TWELVE.items():
        table.add_row(words, *(format_share(getattr(scores, name)) for scores in scored.scores.values()))
    print_table(table)
    show_classes(scored.by_class)


def show_classes(classes: Sequence[ClassScores]) -> None:
    """Average precision by class, the worst first; classes without objects are left out."""
    ranked = worst_first(classes)
    table = new_table()
    table.add_column("class", overflow="fold")
    for header in ("objects", "box AP", "mask AP"):
        table.add_column(header, justify="right")
    for one in ranked[:MOST_CLASSES]:
        table.add_row(one.name, f"{one.objects:,}", format_share(one.boxes), format_share(one.masks))
    print_table(table)
    if len(ranked) > MOST_CLASSES:
        say(f"the worst {MOST_CLASSES} of {count(len(ranked), 'class')}; --json has them all")


def show_found(rows: Sequence[Mapping[str, Any]], *, min_score: float) -> None:
    """What was found in some images."""
    nothing = f"nothing of score {min_score:g} or more (--min-score)"
    for row in rows:
        words = ", ".join(f"{entry['class']} {entry['score']:.2f}" for entry in row["objects"]) or nothing
        say(f"{row['image']}: {words} -> {row['drawn']}")
