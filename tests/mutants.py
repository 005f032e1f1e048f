"""Damage done to whole files, by a random generator: bytes, words, fields of JSON, and what checksums would give away.

The generator may be Python's, or Hypothesis' own (``st.randoms()``), which then finds the smallest damage.
"""

import copy
import json
import random
import sqlite3
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any

STRANGE = (None, "", "x", True, -1, 0, 10**30, -(10**12), 1e308, -1e-308, [], {}, [None], {"x": None}, ...)
"""What takes the place of a value in JSON; dots: nothing."""
WORDS = (
    *("", "0", "-1", "1.5", "1e308", "nan", "inf", "9" * 25, "null", "x" * 400, "../x", "/", "%s", "\0", "\n"),
    *("\ufeff", "\u202e", "é", "'", '"', "[", "{", "=1+1", "--", "@", ":", "true", "2147483648", "1_0", "٣"),
)
"""What takes the place of a word in a text."""
NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)
"""What takes the place of a number in bytes."""

Mutate = Callable[[bytes, random.Random], bytes]


def mutated(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A file with one to three things done to its bytes; some of it may come from other files."""
    for _ in range(rng.randint(1, 3)):
        content = rng.choice(OPERATIONS)(content, rng) if content else rng.randbytes(rng.randint(0, 8))
    if others and rng.random() < 0.1:
        content = spliced(content, rng.choice(others), rng)
    return content


def bit(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def replaced(content: bytes, rng: random.Random) -> bytes:
    at, new = rng.randrange(len(content)), rng.randbytes(rng.randint(1, 4))
    return content[:at] + new + content[at + len(new) :]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def put_in(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 8)) + content[at:]


def left_out(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randint(1, 64) :]


def zeroed(content: bytes, rng: random.Random) -> bytes:
    at, count = rng.randrange(len(content)), rng.choice((1, 8, 64, 512))
    return content[:at] + bytes(min(count, len(content) - at)) + content[at + count :]


def swapped(content: bytes, rng: random.Random) -> bytes:
    changed, one, other = bytearray(content), rng.randrange(len(content)), rng.randrange(len(content))
    changed[one], changed[other] = content[other], content[one]
    return bytes(changed)


def repeated(content: bytes, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(content)), rng.choice((1, 4, 32, 512))
    return content[: at + length] + content[at : at + length] * rng.randint(1, 20) + content[at + length :]


def number(content: bytes, rng: random.Random) -> bytes:
    """A number of two, four or eight bytes, in either order, in the place of another."""
    kind = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(kind)
    new = struct.pack(kind, rng.choice(NUMBERS) % 2 ** (8 * size))
    at = rng.randrange(len(content))
    return content[:at] + new + content[at + size :]


def word(content: bytes, rng: random.Random) -> bytes:
    """Another word, or another digit, in the place of letters and digits around a place."""
    start = end = rng.randrange(len(content))
    alone = rng.random() < 0.5  # one character of it
    while not alone and start and content[start - 1 : start].isalnum():
        start -= 1
    while end < len(content) and content[end : end + 1].isalnum() and not (alone and end > start):
        end += 1
    new = rng.choice(WORDS) if rng.random() < 0.5 else str(rng.randrange(1000))
    return content[:start] + new.encode() + content[end:]


OPERATIONS: tuple[Mutate, ...] = (
    bit, replaced, word, number, cut, put_in, left_out, zeroed, swapped, repeated
)  # fmt: skip


def spliced(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """The beginning of a file and the end of another."""
    return content[: rng.randint(0, len(content))] + other[rng.randint(0, len(other)) :]


def leaves(tree: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all values in JSON, those of lists and objects among them."""
    own = [path] if path else []
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return own + [leaf for key, child in children for leaf in leaves(child, (*path, key))]


def changed(document: Any, rng: random.Random, places: Sequence[tuple] | None = None) -> tuple[tuple, Any, Any]:
    """JSON with one value changed, where, and to what."""
    document = copy.deepcopy(document)
    places = leaves(document) if places is None else places
    if not places:
        return (), None, rng.choice(STRANGE[:-1])
    path, value = rng.choice(places), rng.choice(STRANGE)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return path, value, document


def nearly(document: Any, rng: random.Random) -> Any:
    """JSON with a value or two changed, most of them only a little, or to another of its values."""
    for _ in range(1 if rng.random() < 0.7 else 2):
        places = leaves(document)
        if rng.random() < 0.4 or not places:
            _, _, document = changed(document, rng, places)
            continue
        document, path = copy.deepcopy(document), rng.choice(places)
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        own = path if rng.random() < 0.7 else rng.choice(places)
        parent[path[-1]] = shifted(document, own, rng)
    return document


def shifted(document: Any, path: tuple, rng: random.Random) -> Any:
    """A value of a document, or one near it."""
    value = document
    for key in path:
        value = value[key]
    if isinstance(value, bool | None):
        return not value
    if isinstance(value, int | float):
        return rng.choice((value + 1, value - 1, 2 * value, -value, value * 1000, value / 3, str(value)))
    if isinstance(value, str):
        return mutated(value.encode(errors="surrogatepass"), rng).decode(errors="replace")
    if isinstance(value, list):
        return copy.deepcopy(rng.choice((value * 2, value[1:], value[::-1], [value])))
    return copy.deepcopy(value)


def text_or_bytes(content: bytes, rng: random.Random) -> bytes:
    """JSON with other values or, less often, other bytes."""
    if rng.random() < 0.3:
        return mutated(content, rng)
    return json.dumps(nearly(json.loads(content), rng)).encode()


def png(content: bytes, rng: random.Random) -> bytes:
    """A PNG file, mostly with checksums that are right again, without which nothing of it would be read."""
    content = mutated(content, rng)
    return content if rng.random() < 0.3 else with_checksums(content)


def with_checksums(content: bytes) -> bytes:
    """A PNG file whose chunks have the checksums of what is in them."""
    found, at = bytearray(content), 8
    while at + 12 <= len(found):
        end = at + 8 + int.from_bytes(found[at : at + 4], "big")
        if end + 4 > len(found):
            break
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[at + 4 : end]))
        at = end + 4
    return bytes(found)


def tar(content: bytes, rng: random.Random) -> bytes:
    """A tar file, mostly with headers whose sums are right again."""
    content = mutated(content, rng)
    if rng.random() < 0.3:
        return content
    found = bytearray(content)
    for at in range(0, len(found) - 511, 512):
        if found[at + 257 : at + 262] == b"ustar":
            total = 256 + sum(found[at : at + 148]) + sum(found[at + 156 : at + 512])
            found[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(found)


def safetensors(content: bytes, rng: random.Random) -> bytes:
    """A file of tensors: other bytes; or other fields of its header, of which no digest tells."""
    if rng.random() < 0.3:
        return mutated(content, rng)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    about = header.get("__metadata__", {})
    about.pop("digests", None)
    if "asvit" in about and rng.random() < 0.8:
        about["asvit"] = json.dumps(nearly(json.loads(about["asvit"]), rng))
    else:
        header = nearly(header, rng)
    said = json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + content[end:]


def database(content: bytes, rng: random.Random) -> bytes:
    """A file of SQLite: other bytes; or another value in a cell."""
    if rng.random() < 0.5:
        return mutated(content, rng)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        full = [name for name in tables if connection.execute(f"SELECT 1 FROM {name}").fetchone()]
        table = rng.choice(full)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column, row = rng.choice(columns), rng.randint(1, 4)
        value = rng.choice((*WORDS[:6], *WORDS[8:12], None, -1, 0, 2**40, 9e999, -9e999, 0.5, b"\xff\0", "[]", "{}"))
        with suppress(sqlite3.Error):  # a rule of the table against it
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid >= ?", (value, row))
            connection.commit()
        return connection.serialize()


def words(content: bytes, rng: random.Random) -> bytes:
    """Words, one a line, of which the first mostly stays."""
    first, _, rest = content.partition(b"\n")
    if rng.random() < 0.1 or not rest:
        return mutated(content, rng)
    return first + b"\n" + mutated(rest, rng)


KINDS: dict[str, Mutate] = {
    ".png": png, ".tar": tar, ".json": text_or_bytes, ".safetensors": safetensors, ".sqlite": database,
    ".sqlite3": database, ".words": words,
}  # fmt: skip
"""What is done to files by the ends of their names; to others :func:`mutated`."""


def mutant(name: str, content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A file with some damage of its kind."""
    own = KINDS.get(name[name.rindex(".") :])
    return mutated(content, rng, others) if own is None else own(content, rng)
