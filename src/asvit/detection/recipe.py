"""Recipes of detector training: the paper's values (Section 5.3, Appendix A), and shorter ones for data at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from asvit.detection.settings import MOST_PIXELS, DetectorSettings, Resize
from asvit.errors import UserError, check_number, check_whole
from asvit.training.recipe import MOST_EPOCHS, LoopRecipe


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to training images."""

    flip: float = 0.5
    """Probability that an image is mirrored."""
    jitter: tuple[float, float] | None = None
    """Least and largest random scale, then a random crop (large-scale jitter); None: off."""

    def __post_init__(self) -> None:
        check_number("flip", self.flip, 0, 1)
        for scale in self.jitter or ():
            check_number("jitter", scale, 0, 100, above=True)
        if self.jitter is not None and self.jitter[0] > self.jitter[1]:
            raise UserError(f"jitter goes from {self.jitter[0]} to {self.jitter[1]}: expected two rising numbers")


@dataclass(frozen=True, kw_only=True)
class DetectRecipe(LoopRecipe):
    """How a detector is trained."""

    backbone_size: int
    """Image side for which the backbone's windows and position embedding are laid out, where it starts afresh."""
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    evaluate_every: int = 1
    """Epochs from one evaluation to the next; the last epoch is always followed by one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("backbone_size", self.backbone_size, 8, MOST_PIXELS)
        check_whole("evaluate_every", self.evaluate_every, 1, MOST_EPOCHS)


RECIPES: Mapping[str, DetectRecipe] = MappingProxyType(
    {
        "coco": DetectRecipe(
            backbone_size=224,
            epochs=36,
            batch_size=256,
            lr=1e-3,
            warmup_epochs=1,
            weight_decay=1e-4,
            clip=1.0,
            drop_path=0.3,
            evaluate_every=3,
        ),
        "small": DetectRecipe(
            backbone_size=224,
            epochs=36,
            batch_size=4,
            lr=5e-4,
            warmup_epochs=1,
            weight_decay=1e-4,
            clip=1.0,
            drop_path=0.1,
            detector=DetectorSettings(
                resize=Resize.to_square(224),
                channels=64,
                hidden=256,
                anchor_scale=4.0,
                proposals=300,
                box_samples=64,
                detections=30,
            ),
            augmentation=Augmentation(jitter=(0.5, 1.5)),
            evaluate_every=6,
        ),
        "smoke": DetectRecipe(
            backbone_size=64,
            epochs=2,
            batch_size=4,
            lr=1e-3,
            warmup_epochs=1,
            weight_decay=1e-4,
            drop_path=0.1,
            ema=0.9,
            detector=DetectorSettings(
                resize=Resize.to_square(96),
                channels=16,
                hidden=32,
                anchor_scale=4.0,
                proposals=50,
                anchor_samples=32,
                box_samples=16,
                detections=10,
            ),
            augmentation=Augmentation(jitter=(0.5, 2.0)),
        ),
    }
)
"""``coco``: the paper's size, batch, learning rate, decay and epochs; what it does not state (warm-up, rate of
stochastic depth, clipping) as is common. ``small``: ours, for hundreds of photographs on two CPU cores. ``smoke``:
seconds, for tests."""
