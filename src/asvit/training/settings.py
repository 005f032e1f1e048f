"""Where a data set is, and how a training is run, as opposed to what is trained. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from asvit.complexity.usage import Precision
from asvit.errors import UserError, check_number, check_whole
from asvit.networks.architecture import MOST_CHANNELS
from asvit.runs.progress import tell
from asvit.units import ValueRange

DIGITS = "digits"
"""Name of the data set of scikit-learn's handwritten digits."""


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """Where the images are."""

    data: str
    """Folder or tar file with a part for train and one for val, each with one subfolder per class (JPEG, PNG, .npy,
    TIFF); wds:FOLDER (WebDataset shards), hf:NAME (Hugging Face), torch:NAME (torchvision), or digits
    (scikit-learn's)."""
    data_folder: Path | None = None
    """Where Hugging Face or torchvision keep their files."""
    in_chans: int | None = None
    """Read pictures in grey (1) or colour (3); of arrays, the channels that they have to have (default: those of the
    network's file, or of the images)."""
    value_range: ValueRange | None = None
    """Values of arrays that become 0 and 1; None: 0 and, of whole numbers, the largest of their type, of others 1."""

    def __post_init__(self) -> None:
        if self.data_folder is not None and not self.data.startswith(("hf:", "torch:")):
            raise UserError(
                f"--data-folder is where Hugging Face or torchvision keep their files, and {self.data} is of neither: "
                "expected --data hf:NAME or torch:NAME, or leave it out"
            )
        if self.in_chans is not None:
            check_whole("in_chans", self.in_chans, 1, MOST_CHANNELS)

    @property
    def in_memory(self) -> bool:
        """Whether the data set is there already and takes no processes to load."""
        return self.data == DIGITS


def range_to_read(name: str, *, trained: ValueRange | None, asked: ValueRange | None) -> ValueRange | None:
    """Range of values as which a trained network reads arrays: its own, unless another is asked for, which is said.

    >>> range_to_read("runs/a", trained=(0, 4095), asked=None)
    (0, 4095)
    """
    if asked is None or asked == trained:
        return trained
    own = "as their type says" if trained is None else f"{trained[0]:g} to {trained[1]:g}"
    tell(
        f"values from {asked[0]:g} to {asked[1]:g} become 0 to 1, as asked for; those that {name} was trained on: {own}"
    )
    return asked


def usual_precision(device_type: str) -> Precision:
    """Precision of trainings on a kind of device, where no other is asked for.

    >>> usual_precision("cuda"), usual_precision("cpu")
    ('bfloat16', 'float32')
    """
    return "bfloat16" if device_type == "cuda" else "float32"


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a training is run; precision, accumulation, compilation and layout change its rounding, the rest nothing."""

    workers: int = 0
    """Processes that load images; 0: the training process itself."""
    precision: Precision = "float32"
    """Precision of matrix products; weights and moments stay float32."""
    accumulate: int = 1
    """Passes over parts of a batch for one optimiser step, to fit memory."""
    compile: bool = False
    """Use torch.compile."""
    channels_last: bool = False
    """Keep images pixel by pixel in memory."""
    checkpointing: bool = False
    """Compute activations again in the backward pass rather than keep them."""
    checkpoint_minutes: float = 10.0
    """Minutes between checkpoints within an epoch."""
    keep: int = 2
    """Checkpoints that stay beside the best."""
    max_unreadable: int = 10
    """Training images that may be replaced because they cannot be read."""
    tensorboard: bool = False
    """Write TensorBoard files as well."""

    def __post_init__(self) -> None:
        check_whole("workers", self.workers, 0, 1024)
        check_whole("accumulate", self.accumulate, 1, 2**16)
        check_number("checkpoint_minutes", self.checkpoint_minutes, 0, 525_600)
        check_whole("keep", self.keep, 1, 100_000)
        check_whole("max_unreadable", self.max_unreadable, 0, 10**9)
