"""Jobs find what they found on the machine that wrote `tests/golden/values.json`, to three digits."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import values  # noqa: E402

OF_ONE_PROCESSOR = {"weights"}
"""Digests: they hold where every bit does."""


def differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Places where two records are not alike: numbers to three digits, all else exactly."""
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        return [
            d for k in expected if k not in OF_ONE_PROCESSOR for d in differences(found[k], expected[k], f"{path}/{k}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        return [
            d for i, pair in enumerate(zip(found, expected, strict=True)) for d in differences(*pair, f"{path}/{i}")
        ]
    try:
        alike = math.isclose(float(found), float(expected), rel_tol=1e-3, abs_tol=1e-9)
    except (TypeError, ValueError):
        alike = found == expected
    return [] if alike else [f"{path}: {found!r}, not {expected!r}"]


@pytest.mark.slow
def test_jobs_find_what_they_found(tmp_path):
    expected = json.loads((GOLDEN / "values.json").read_text())
    found = json.loads(json.dumps(values.values(tmp_path)))
    assert differences(found, expected) == []


def test_differences_are_seen():
    expected = {"a": [1.0, {"b": "seed"}], "weights": "0f"}
    assert differences({"a": [1.0004, {"b": "seed"}], "weights": "1e"}, expected) == []
    assert differences({"a": [1.002, {"b": "base"}], "weights": "0f"}, expected) == [
        "/a/0: 1.002, not 1.0", "/a/1/b: 'base', not 'seed'",
    ]  # fmt: skip
    assert differences({"a": [1.0], "weights": "0f"}, expected) == [
        "/a: [1.0], not [1.0, {'b': 'seed'}]",
    ]  # fmt: skip
