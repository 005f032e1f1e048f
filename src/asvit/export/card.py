"""The model card: how a network was found, trained and scored, what it reads, and how to load it."""

import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from timm.models._hub import generate_readme

from asvit.complexity.cost import count_macs, count_params
from asvit.errors import harmless
from asvit.export.release import Release
from asvit.export.written import Written
from asvit.networks.named import TimmModel
from asvit.training.results import accuracies
from asvit.training.schedule import share_of_tokens
from asvit.units import format_size

CITATION = """@inproceedings{chen2022autoscaling,
  title     = {Auto-scaling Vision Transformers without Training},
  author    = {Chen, Wuyang and Huang, Wei and Du, Xianzhi and Song, Xiaodan and Wang, Zhangyang and Zhou, Denny},
  booktitle = {International Conference on Learning Representations},
  year      = {2022}
}"""

DESIGNED = "A Vision Transformer of the search space of As-ViT (ICLR 2022), which designs networks without training."
"""What an architecture of ours is, in one sentence."""

YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""Words that YAML takes for something else than text."""
NAMED = 20
"""Classes whose names the card lists; ``config.json`` has them all."""


def model_card(release: Release, origin: str, files: Sequence[Written], *, source: str, license: str) -> dict[str, Any]:
    """The card as timm's ``generate_readme`` and ``push_to_hf_hub`` take it.

    Args:
        release: the network.
        origin: how its architecture was found.
        files: files that were written.
        source: where they are: ``local-dir:FOLDER`` or ``hf-hub:OWNER/NAME``.
        license: identifier of the weights' licence.
    """
    height, width = release.task.image_size
    images = torch.zeros(1, release.task.in_chans, height, width)
    params, macs = count_params(release.model), count_macs(release.model, images)
    details: dict[str, Any] = {
        "Architecture": f"`{release.name}`",
        "Found": harmless(origin),
        "Trained": trained(release),
        "Scored": scored(release),
        "Size": f"{params:,} parameters ({format_size(params)}), {format_size(macs)} MACs at {height}x{width}",
        "Input": reads(release),
        "Outputs": outputs(release),
        "Licence": license,
        "Files": [
            f"`{file.file}` ({format_size(file.bytes)}B): logits differ from torch's by at most {file.difference:.1g}"
            for file in files
        ],
        "Made with": f"asvit {version('asvit')}, torch {version('torch')}, timm {version('timm')}",
    }
    return {
        "license": in_yaml(license),
        "tags": ["image-classification", "timm", "asvit"],
        "description": "An image classifier of timm." if isinstance(release.network, TimmModel) else DESIGNED,
        "details": details,
        "usage": "\n".join(USAGE[file.format](release, source) for file in files),
        "citation": CITATION,
    }


def write_card(card: dict[str, Any], folder: Path, name: str) -> None:
    """Write ``README.md``."""
    (folder / "README.md").write_text(generate_readme(card, in_markdown(name)), encoding="utf-8")


def in_markdown(text: str) -> str:
    """A name as Markdown shows it: no link, no markup, no HTML, and on one line.

    >>> in_markdown("n/a [/] <b>")
    'n/a \\\\[/\\\\] \\\\<b\\\\>'
    """
    return re.sub(r"([\\`*_\[\]<>|~&$#!])", r"\\\1", harmless(text))


def in_python(text: str) -> str:
    """A text as a program has it, in double quotes.

    >>> in_python('a "b"')
    '"a \\\\"b\\\\""'
    """
    return json.dumps(text)


def in_yaml(text: str) -> str:
    """A word as YAML has it, in quotes where it would be read as something else.

    >>> in_yaml("apache-2.0"), in_yaml("no")
    ('apache-2.0', '"no"')
    """
    return json.dumps(text) if text.lower() in YAML_WORDS or text[0].isdigit() else text


def trained(release: Release) -> str:
    """Recipe, data and epochs."""
    if release.seed is not None:
        return f"not at all: the weights are a draw with seed {release.seed}"
    if release.training is None:
        return "by `asvit train`; its run directory was not at hand"
    asked = release.training
    recipe = asked["train"]
    stages = ", ".join(
        f"{stage['epochs']} with {share_of_tokens(stage['coarseness'])} of the tokens"
        if stage["coarseness"] > 1
        else f"{stage['epochs']} with all tokens"
        for stage in asked["schedule"]
    )
    average = f", moving average of the weights with decay {recipe['ema']}" if recipe["ema"] is not None else ""
    return (
        f"by `asvit train` on {asked['images']['train']:,} images of {in_markdown(data_name(asked['data']))}: recipe "
        f"{asked['recipe']}, {recipe['epochs']} epochs ({stages}), batches of {recipe['batch_size']}, AdamW with "
        f"learning rate {recipe['lr']:g} and weight decay {recipe['weight_decay']:g}{average}; seed {asked['seed']}, "
        f"{asked['precision']}"
    )


def data_name(data: str) -> str:
    """Images as the card names them: of a path, which is nobody's business, the last part.

    >>> data_name("/home/me/flowers"), data_name("hf:owner/flowers"), data_name("digits")
    ('flowers', 'hf:owner/flowers', 'digits')
    """
    return data if data.startswith(("hf:", "torch:")) else Path(data).name


def scored(release: Release) -> str:
    """Accuracy on the validation images."""
    epoch = release.epoch
    if epoch is None:
        return "not at all"
    images = "the validation images"
    if release.training is not None:
        images = f"{release.training['images']['val']:,} validation images"
    right = accuracies(epoch.top1, epoch.top5, release.task.num_classes)
    return f"after epoch {epoch.epoch} on {images}: {right}, loss {epoch.loss:.4f}"


def reads(release: Release) -> str:
    """Channels, size and normalisation."""
    how = release.preprocessing
    channels, height, width = how["input_size"]
    mean, std = (", ".join(map(str, how[name])) for name in ("mean", "std"))
    part = "the whole image" if how["crop_pct"] == 1 else f"the central {how['crop_pct']:g} of a side"
    return (
        f"{channels} x {height} x {width}, {values(release)}, less the mean {mean}, over {std}; "
        f"{how['interpolation']}, {part}"
    )


def values(release: Release) -> str:
    """What numbers become values from 0 to 1."""
    if release.looking.value_range is not None:
        low, high = release.looking.value_range
        return f"numbers less {low:g}, over {high - low:g}"
    if release.task.in_chans in (1, 3):
        return "values from 0 to 1"
    return "numbers over the largest of their type, such as 255 of 8 bits, or floats from 0 to 1"


def outputs(release: Release) -> str:
    """Classes by name."""
    count, names = release.task.num_classes, ", ".join(map(in_markdown, release.classes[:NAMED]))
    return f"{count} logits" + (f": {names}" if names else "") + (", ..." if len(release.classes) > NAMED else "")


def timm_usage(release: Release, source: str) -> str:
    """Load with timm."""
    shape = ", ".join(map(str, release.preprocessing["input_size"]))
    ours = not isinstance(release.network, TimmModel)
    # timm's transform is for pictures, which have at most three channels.
    pictures = release.task.in_chans in (1, 3) and release.looking.value_range is None
    config = "timm.data.resolve_data_config(model=model)"
    transform = f"transform = timm.data.create_transform(**{config})  # for PIL images\n" if pictures else ""
    registered = "import asvit.zoo  # registers the architecture; pip install asvit\n" if ours else ""
    return f"""```python
import timm
import torch
{registered}
model = timm.create_model({in_python(source)}, pretrained=True).eval()
{transform}logits = model(torch.zeros(2, {shape}))
backbone = timm.create_model({in_python(source)}, pretrained=True, features_only=True)
```
"""


def onnx_usage(release: Release, source: str) -> str:
    """Load with onnxruntime."""
    shape = ", ".join(map(str, release.preprocessing["input_size"]))
    return f"""```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession({in_python(source.removeprefix("local-dir:") + "/model.onnx")})
(logits,) = session.run(None, {{"images": np.zeros((2, {shape}), np.float32)}})  # any number of images
```
"""


def torch_usage(release: Release, source: str) -> str:
    """Load with torch alone."""
    shape = ", ".join(map(str, release.preprocessing["input_size"]))
    return f"""```python
import torch

model = torch.export.load({in_python(source.removeprefix("local-dir:") + "/model.pt2")}).module()  # without asvit
logits = model(torch.zeros(2, {shape}))  # any number of images
```
"""


USAGE = {"timm": timm_usage, "onnx": onnx_usage, "torch": torch_usage}
"""How to load a file of each format."""
