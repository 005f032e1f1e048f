"""Results of detection on a terminal, or as JSON on stdout."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from asvit.budget import format_size
from asvit.detection.cost import PartCost, whole
from asvit.detection.results import DetectResult
from asvit.detection.scores import TWELVE, CocoScores
from asvit.records import SCHEMA, to_json
from asvit.tables import new_table, print_table


def show_costs(network: str, costs: Sequence[PartCost], size: tuple[int, int], position: int, *, as_json: bool) -> None:
    """What a detector costs, part by part.

    Args:
        network: backbone.
        costs: of its parts.
        size: height and width of the image that the backbone sees.
        position: parameters of the backbone's position embedding.
        as_json: whether a program reads it.
    """
    params, macs = whole(costs).params, whole(costs).macs
    if as_json:
        record = {"network": network, "image_size": size, "params": params, "position_embedding": position}
        record |= {"macs": macs, "parts": msgspec.to_builtins(costs)}
        print(to_json({"schema": SCHEMA, "job": "detect describe", **record}).decode(), end="")
        return
    table = new_table()
    table.add_column("part")
    for header in ("parameters", "MACs of an image", "in training, forward"):
        table.add_column(header, justify="right")
    for part in [*costs, whole(costs)]:
        table.add_row(part.part, f"{part.params:,}", format_size(part.macs), format_size(part.training_macs))
    print_table(table)
    without = f" ({params - position:,} without position embedding)" if position else ""
    print(f"{params:,} parameters{without}, {macs:,} MACs at {size[0]}x{size[1]}")


def show_detector(result: DetectResult) -> None:
    """The best epoch."""
    best = result.best
    params = whole(result.costs).params
    print(
        f"{format_size(params)} parameters; epoch {best.epoch} of {len(result.epochs)}: "
        f"box AP {shown(best.boxes and best.boxes.ap)}, mask AP {shown(best.masks and best.masks.ap)}"
    )


def show_coco_scores(scores: Mapping[str, CocoScores], record: Mapping[str, Any], *, as_json: bool) -> None:
    """COCO's twelve numbers.

    Args:
        scores: of boxes and of masks.
        record: what was scored, and what was left out.
        as_json: whether a program reads it.
    """
    if as_json:
        numbers = {kind: msgspec.to_builtins(some) for kind, some in scores.items()}
        print(to_json({"schema": SCHEMA, "job": "detect evaluate", **record, "scores": numbers}).decode(), end="")
        return
    table = new_table()
    table.add_column("%")
    for kind in scores:
        table.add_column(kind, justify="right")
    for name, words in TWELVE.items():
        table.add_row(words, *(shown(getattr(some, name)) for some in scores.values()))
    print_table(table)


def shown(share: float | None) -> str:
    """A share in per cent, as COCO's tables have it.

    >>> shown(0.5271), shown(None)
    ('52.7', 'none')
    """
    return "none" if share is None else f"{share:.1%}".removesuffix("%")


def show_found(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """What was found in some images."""
    if as_json:
        print(to_json({"schema": SCHEMA, "job": "detect predict", "images": list(rows)}).decode(), end="")
        return
    for row in rows:
        words = ", ".join(f"{one['class']} {one['score']:.2f}" for one in row["objects"]) or "nothing"
        print(f"{row['image']}: {words} -> {row['drawn']}")
