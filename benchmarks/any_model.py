"""Which measures do families of timm admit? One repeat of every measure of each, or the reason why there is none.

uv run python benchmarks/any_model.py --json benchmarks/results/any-model.json
"""

import argparse
import json
from pathlib import Path

from machine import provenance

from asvit.errors import UserError
from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS
from asvit.measure.settings import Settings
from asvit.measure.side_by_side import Entrant, measure_side_by_side
from asvit.measure.subject import subject_of
from asvit.networks.architecture import Task
from asvit.networks.named import parse_network

FAMILIES = (
    "resnet18", "regnetx_002", "mobilenetv3_small_100", "efficientnet_b0", "convnext_atto", "convnextv2_atto",
    "nf_resnet26", "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "swin_tiny_patch4_window7_224",
    "pvt_v2_b0", "xcit_nano_12_p16_224", "mixer_s32_224", "poolformer_s12", "levit_128s", "mobilevit_xxs",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=FAMILIES)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    task = Task(image_size=(options.side, options.side), num_classes=10)
    settings = Settings(repeats=1, angles=2, kernel_images=4)
    names = [name for name in METRICS if name not in ("depth", "width", "expansion", "kernel")]
    rows = []
    for model in options.models:
        row: dict[str, object] = {"model": model}
        try:
            subject = subject_of(parse_network(f"timm:{model}"), task)
            (found,) = measure_side_by_side(Measurer(settings, task, metrics=names), [Entrant(model, subject)])
            row["values"] = {n: cell.estimate.mean for n, cell in found.cells.items() if cell.estimate is not None}
            row["missing"] = {n: cell.missing for n, cell in found.cells.items() if cell.missing is not None}
            print(f"{model}: {len(found.cells) - len(row['missing'])} of {len(names)}", flush=True)
            for name, reason in row["missing"].items():
                print(f"    {name}: {reason}", flush=True)
        except UserError as error:
            row["refused"] = str(error)
            print(f"{model}: {error}", flush=True)
        rows.append(row)
        if options.json:
            record = {**provenance(), "side": options.side, "measures": names, "models": rows}
            options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
