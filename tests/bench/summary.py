"""Figures from repetitions."""

from collections.abc import Sequence
from statistics import median

Figure = dict[str, float]


def figure(values: Sequence[float], digits: int = 1) -> Figure:
    """Median and spread."""
    return {
        "median": round(median(values), digits),
        "least": round(min(values), digits),
        "most": round(max(values), digits),
    }


def ratio(ours: Figure, floor: Figure) -> float:
    """Ours as a multiple of the floor, median by median."""
    return round(ours["median"] / floor["median"], 2) if floor["median"] else 0.0
