"""What the backward pass of one image through a measured network keeps, in closed form: no network is drawn."""

from asvit.networks.architecture import Architecture, Stage, Task
from asvit.networks.model import overlap_padding

FLOAT32 = 4
"""Bytes of a number."""


def kept_bytes(architecture: Architecture, task: Task) -> int:
    """Bytes that :func:`asvit.complexity.cost.activation_bytes` counts on the network from an image to its features.

    Without position embedding, as it is measured; tests hold the two together.

    >>> kept_bytes(Architecture.parse("seed"), Task(image_size=(32, 32)))
    367672
    """
    (height, width), channels, kept = task.image_size, task.in_chans, 0
    for i, stage in enumerate(architecture.stages(task)):
        if i == 0:
            # The convolution keeps its padded input, and the norm what it sees.
            margin = sum(overlap_padding(stage.kernel, stage.stride))
            kept += channels * padded(height, stage.stride, margin) * padded(width, stage.stride, margin)
            kept += norm(stage.tokens, stage.dim)
        else:
            unfolded = stage.kernel**2 * channels
            kept += norm(stage.tokens, unfolded) + stage.tokens * unfolded
        kept += stage.depth * block(stage)
        channels = stage.dim
    return FLOAT32 * kept


def padded(side: int, stride: int, margin: int) -> int:
    """Pixels of a padded side.

    >>> padded(30, 4, margin=4)
    36
    """
    return side + margin + -side % stride


def norm(tokens: int, channels: int) -> int:
    """Numbers that a LayerNorm keeps: its input, and mean and deviation of each token."""
    return tokens * (channels + 2)


def block(stage: Stage) -> int:
    """Numbers that a block keeps: two norms, the inputs of four linear layers, GELU's, and what attention keeps."""
    hidden = stage.expansion * stage.dim
    return 2 * norm(stage.tokens, stage.dim) + stage.tokens * (2 * stage.dim + 2 * hidden) + attention(stage)


def attention(stage: Stage) -> int:
    """Numbers that attention and the projection behind it keep: q, k and v, a sum for each query, mask and output."""
    (height, width), (window_h, window_w) = stage.resolution, stage.window
    rows, columns = -(-height // window_h), -(-width // window_w)
    inside = rows * window_h * columns * window_w
    inner = stage.heads * stage.head_dim
    mask = inside if inside > stage.tokens else 0
    # Windows that lie across each other in the map are copied into it; a map that was padded to the right is cut out of
    # that, which is a copy of its own and all that is kept.
    if columns * window_w > width and height > 1:
        projected = stage.tokens
    elif columns > 1 and window_h > 1:
        projected = inside
    else:
        projected = 0
    return inside * (4 * inner + stage.heads) + mask + projected * inner
