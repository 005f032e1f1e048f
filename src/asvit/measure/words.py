"""Estimates, measures and costs as people read them, on a terminal and on a page."""

import math

from asvit.complexity.usage import Usage
from asvit.measure.estimates import Estimate
from asvit.measure.metrics import METRICS
from asvit.units import format_cost, format_size


def format_estimate(estimate: Estimate) -> str:
    """Mean and standard error, both to the error's second digit; three digits where there is no error.

    >>> format_estimate(Estimate.of([1.0, 3.0])), format_estimate(Estimate.of([0.12345]))
    ('2.0 ± 1.0', '0.123')
    >>> format_estimate(Estimate.of([3379.3, 1127.6])), format_estimate(Estimate.of([3e20, 1e20]))
    ('2300 ± 1100', '2e+20 ± 1e+20')
    """
    mean, error = estimate.mean, estimate.standard_error
    if not error:
        return f"{mean:.3g}"
    if abs(mean) >= 1e7:
        return f"{mean:.3g} ± {error:.2g}"
    digits = 1 - math.floor(math.log10(error))
    return f"{round(mean, digits):.{max(digits, 0)}f} ± {round(error, digits):.{max(digits, 0)}f}"


def format_measure(metric: str, estimate: Estimate) -> str:
    """A measure's estimate; counts as sizes.

    >>> format_measure("params", Estimate.of([2327816.0])), format_measure("ntk", Estimate.of([0.12345]))
    ('2.33M', '0.123')
    >>> format_measure("memory", Estimate.of([123456789.0]))
    '123.46MB'
    """
    shown = METRICS[metric]
    return format_size(round(estimate.mean)) + shown.unit if shown.counted else format_estimate(estimate)


def in_per_cent(share: Estimate | None) -> str:
    """A share in per cent with its standard error, such as an accuracy; a dash where there is none.

    >>> in_per_cent(Estimate.of([0.5, 0.75])), in_per_cent(Estimate.of([0.48])), in_per_cent(None)
    ('62 ± 12', '48.00', '–')
    """
    if share is None:
        return "–"
    per_cent = Estimate.of([100 * value for value in share.values])
    return f"{per_cent.mean:.2f}" if not per_cent.standard_error else format_estimate(per_cent)


def or_dash(value: object, form: str = "") -> str:
    """A value in a format, or a dash where there is none.

    >>> or_dash(0.123, ".1%"), or_dash(None)
    ('12.3%', '–')
    """
    return "–" if value is None else format(value, form)


def format_usage(usage: Usage | None) -> list[str]:
    """Latency with its spread, and memory; nothing where they were not measured.

    >>> format_usage(Usage(0.0078, 0.00021, 2 * 10**8, 1, "float32", "laptop", 2)), format_usage(None)
    (['7.80 ± 0.21 ms', '200MB'], [])
    """
    if usage is None:
        return []
    digits = max(0, 2 - math.floor(math.log10(1000 * usage.latency)))
    latency = f"{1000 * usage.latency:.{digits}f} ± {1000 * usage.spread:.{digits}f} ms"
    return [latency, format_cost("memory", usage.memory)]


def how_used(usage: Usage) -> str:
    """Batch, precision and device that latency and memory hold for.

    >>> how_used(Usage(0.0078, 0.00021, 2 * 10**8, 1, "float32", "laptop", 2))
    '1 image at a time, float32, laptop, 2 threads'
    """
    threads = "" if usage.threads is None else f", {usage.threads} thread{'s' * (usage.threads != 1)}"
    images = f"{usage.batch_size} image{'s' * (usage.batch_size != 1)}"
    return f"{images} at a time, {usage.precision}, {usage.device}{threads}"
