"""What holds for every test, and on which device those marked gpu run."""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of torch, here and in what tests start: more would wait for other tests' threads

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        default="cuda",
        help="where tests marked gpu run: cuda (default), cuda:i, mps, or cpu, on which they are a miniature; they are "
        "skipped where it is not there",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    device = config.getoption("--device")
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = why_missing(device) if marked else None
    if reason is not None:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With -m gpu: what has run on which card, and when."""
    if config.getoption("markexpr") == "gpu":
        benchmarks = Path(__file__).parents[1] / "benchmarks"
        sys.path.insert(0, str(benchmarks))
        from gpu_page import has_run

        terminalreporter.section("what has run on a card (benchmarks/results/gpu)")
        terminalreporter.write("".join(f"{line}\n" for line in has_run(benchmarks / "results" / "gpu")))


def why_missing(name: str) -> str | None:
    """Why tests cannot run on a device; None where they can."""
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise pytest.UsageError(f"--device {name}: expected cuda, cuda:i, mps or cpu") from error
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if (device.index or 0) < there.get(device.type, 0):
        return None
    return f"no device {name} on this machine: --device cpu runs the same tests there"
