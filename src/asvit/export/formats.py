"""Files that other tools read: how they are written, read back and compared with the network in memory."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor

from asvit.errors import UserError, from_extra
from asvit.export.release import Release
from asvit.export.written import FormatName, Written
from asvit.networks.named import TimmModel
from asvit.networks.refusing import refusing

Images = Float[Tensor, "B in_chans height width"]
Network = Callable[[Images], Float[Tensor, "B outputs"]]

BATCHES = (1, 3)
"""Images at a time that are compared; neither is the number with which a graph is traced."""
INPUT, OUTPUT = "images", "logits"
"""Names in an ONNX graph."""


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    file: str
    """Where the weights are, in the folder that is written."""
    write: Callable[[Release, Path], None]
    """Writes a network into a folder."""
    read: Callable[[Path], Network]
    """Reads a network out of a folder, with the tool that the file is for."""
    packages: tuple[str, ...] = ()
    """Packages that it needs beside those of asvit, all in the extra ``export``."""


def write(release: Release, name: FormatName, folder: Path, *, tolerance: float) -> Written:
    """Write a network into a folder, read it back with the tool that the file is for, and compare.

    Args:
        release: the network.
        name: name of the format.
        folder: where its files go.
        tolerance: largest absolute difference of a logit that is accepted.

    Raises:
        UserError: the network cannot be written in this format, or what was written differs.
    """
    # Read back by the tool that users have: a file may be whole, and yet another network where an operation was
    # translated wrongly or a number of images fixed.
    kind = FORMATS[name]
    with refusing(release.name, f"exported to {name}", "choose another --to"):
        kind.write(release, folder)
        difference = largest_difference(release, kind.read(folder))
    if not difference <= tolerance:  # so written, nan is refused
        raise UserError(
            f"logits of {kind.file} differ from torch's by up to {difference:.2e}: expected at most {tolerance:.2e}; "
            "choose another --to, or raise --tolerance where the logits are large"
        )
    return Written(name, kind.file, (folder / kind.file).stat().st_size, difference)


@torch.no_grad()
def largest_difference(release: Release, exported: Network) -> float:
    """``max |logit - exported logit|`` over batches of normal noise of several sizes."""
    # Normal noise, for normalised images have about mean 0 and deviation 1 too; seeded, so that others get this number.
    generator = torch.Generator().manual_seed(0)
    differences = []
    for size in BATCHES:
        images = torch.randn(size, release.task.in_chans, *release.task.image_size, generator=generator)
        differences.append((exported(images) - release.model(images)).abs().max())
    return torch.stack(differences).max().item()


def require(name: FormatName) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        UserError: one is missing.
    """
    with from_extra("export"):
        for package in FORMATS[name].packages:
            import_module(package)


def model_config(release: Release) -> dict[str, Any]:
    """What timm cannot read off the model itself."""
    config: dict[str, Any] = {"label_names": list(release.classes)} if release.classes else {}
    if isinstance(release.network, TimmModel) and release.network.arguments:
        config["network_name"] = release.name
    if release.looking.value_range is not None:
        config["value_range"] = release.looking.value_range
    return config


def write_timm(release: Release, folder: Path) -> None:
    """Write ``model.safetensors`` and ``config.json`` as timm does for the Hugging Face hub."""
    timm.models.save_for_hf(
        release.model,
        str(folder),
        model_config=model_config(release),
        data_config=release.preprocessing,
        safe_serialization=True,
    )
    shutil.copymode(folder / "config.json", folder / FORMATS["timm"].file)  # which safetensors keeps to its owner


def read_timm(folder: Path) -> Network:
    """The model in a folder that timm wrote."""
    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()


def write_onnx(release: Release, folder: Path) -> None:
    """Write ``model.onnx``, weights included, for any number of images."""
    # From torch.export's trace, which the release keeps: both formats have the same graph, and it is made once.
    program = torch.onnx.export(
        release.program,
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        verbose=False,
    )
    assert program is not None  # it is where no file is named
    program.model.metadata_props["asvit"] = release.description
    program.save(folder / FORMATS["onnx"].file)


def read_onnx(folder: Path) -> Network:
    """The graph in onnxruntime, on the CPU."""
    with from_extra("export"):
        import onnxruntime

    session = onnxruntime.InferenceSession(folder / FORMATS["onnx"].file, providers=["CPUExecutionProvider"])

    def network(images: Images) -> Float[Tensor, "B outputs"]:
        (logits,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(logits)

    return network


def write_torch(release: Release, folder: Path) -> None:
    """Write ``model.pt2``, a program of torch.export that runs without any source of ours."""
    torch.export.save(release.program, folder / FORMATS["torch"].file, extra_files={"asvit.json": release.description})


def read_torch(folder: Path) -> Network:
    """The program of torch.export."""
    return torch.export.load(folder / FORMATS["torch"].file).module()


FORMATS: Mapping[FormatName, Format] = MappingProxyType(
    {
        "timm": Format("model.safetensors", write_timm, read_timm),
        "onnx": Format("model.onnx", write_onnx, read_onnx, ("onnx", "onnxscript", "onnxruntime")),
        "torch": Format("model.pt2", write_torch, read_torch),
    }
)
