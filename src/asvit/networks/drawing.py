"""The text form of an architecture, explained with its own numbers. Needs no torch."""

from asvit.networks.architecture import Architecture
from asvit.networks.space import STAGES
from asvit.units import count


def legend(architecture: Architecture) -> list[tuple[str, str]]:
    """What every field of a text form means: the field as it is written, and its numbers in words.

    >>> for field, meaning in legend(Architecture.parse("8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88")):
    ...     print(f"{field:8} {meaning}")
    8,2,3,3  stage 1: K = 8, tokens see 8x8 pixels, one every 4; S = 2, 2x2 attention windows; E = 3, FFN 3 times as wide; L = 3 blocks
    4,1,2,1  stage 2: K = 4, tokens see 4x4 tokens, one every 2; S = 1, attention over the whole map; E = 2, FFN twice as wide; L = 1 block
    4,1,4,4  stage 3: K = 4, tokens see 4x4 tokens, one every 2; S = 1, attention over the whole map; E = 4, FFN 4 times as wide; L = 4 blocks
    4,1,6,2  stage 4: K = 4, tokens see 4x4 tokens, one every 2; S = 1, attention over the whole map; E = 6, FFN 6 times as wide; L = 2 blocks
    32,88    32 attention heads in the last stage (before it 4, 8, 16); C = 88 channels in the first (after it 176, 352, 704)
    """  # noqa: E501 (what is printed)
    meanings = [_stage(architecture, i) for i in range(STAGES)]
    *before, last = map(str, architecture.heads)
    first, *after = map(str, architecture.dims)
    meanings.append(
        f"{last} attention heads in the last stage (before it {', '.join(before)}); "
        f"C = {first} channels in the first (after it {', '.join(after)})"
    )
    fields = str(architecture).split("|")
    if len(fields) > len(meanings):
        every = architecture.topology.base_stride
        meanings.append(f"base stride {every}: a token of the first stage every {count(every, 'pixel')}")
    return list(zip(fields, meanings, strict=True))


def _stage(architecture: Architecture, i: int) -> str:
    """The four numbers of a stage: kernel, attention splits, expansion, blocks."""
    topology = architecture.topology
    kernel, splits, expansion = topology.kernels[i], topology.splits[i], topology.expansions[i]
    seen, every = ("pixels", topology.base_stride) if i == 0 else ("tokens", 2)
    words = [
        f"K = {kernel}, tokens see {kernel}x{kernel} {seen}, one " + ("at each" if every == 1 else f"every {every}"),
        f"S = {splits}, " + ("attention over the whole map" if splits == 1 else f"{splits}x{splits} attention windows"),
        f"E = {expansion}, FFN {'twice' if expansion == 2 else f'{expansion} times'} as wide",
        f"L = {count(architecture.depths[i], 'block')}",
    ]
    return f"stage {i + 1}: " + "; ".join(words)
