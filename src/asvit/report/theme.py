"""How charts look: one configuration for light and one for dark pages. Charts name no other colours than these."""

from typing import Any

ACCENT = "#3a86c8"
"""Trajectories and lines."""
FOUND = "#d55e00"
"""What the job found (Okabe and Ito's vermillion: told apart from the others with every kind of colour vision)."""
SECOND = "#cc5c9a"
"""What stands beside it for comparison."""
FAINT = "#8a929c"
"""Context."""

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def config(*, text: str, grid: str, heatmap: list[str], viridis: list[float], font: str = FONT) -> dict[str, Any]:
    """Vega configuration.

    Args:
        text: colour of labels and titles.
        grid: colour of grid lines.
        heatmap: colours of a probability from 0 to 1, on all of which ``text`` is legible.
        viridis: the part of the scheme that is legible on the page.
        font: font family.
    """
    scheme = {"scheme": "viridis", "extent": viridis}
    axis = {
        "labelColor": text,
        "titleColor": text,
        "gridColor": grid,
        "domainColor": grid,
        "tickColor": grid,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "tickCount": 6,
        "labelOverlap": "greedy",
        "labelSeparation": 6,
    }
    legend = {
        "orient": "top",
        "labelColor": text,
        "titleColor": text,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "gradientLength": 110,
        "gradientThickness": 8,
        "labelLimit": 240,
        "offset": 6,
        "layout": {"top": {"margin": 28}, "bottom": {"margin": 28}},
    }
    return {
        "background": "transparent",
        "font": font,
        "axis": axis,
        "legend": legend,
        "view": {"stroke": None},
        "text": {"color": text, "fontSize": 11},
        "range": {"heatmap": heatmap, "ramp": scheme, "ordinal": scheme},
    }


LIGHT = config(text="#3b4149", grid="#e6e9ed", heatmap=["#f4f7fa", "#62aee3"], viridis=[0.0, 0.9])
DARK = config(text="#c9d0d8", grid="#2e343c", heatmap=["#20262d", "#2273b3"], viridis=[0.25, 1.0])
