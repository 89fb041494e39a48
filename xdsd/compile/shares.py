"""How Envoy divides requests among the endpoints of a cluster, by what platforms say of their health.

A priority takes what it can bear: its share of healthy endpoints times the overprovisioning factor (140 %); the next
takes the rest. Within one, requests go by weight. What proxies find out by themselves (outliers, checks) is not known
here.
"""

from collections.abc import Sequence
from typing import NamedTuple

OVERPROVISIONED = 140


class Row(NamedTuple):
    """An endpoint as a cluster has it; ``locality_weight`` is that of its locality, 0 where localities have none."""

    priority: int
    locality: str
    weight: int
    is_well: bool
    locality_weight: int = 0


def priority_loads(healths: Sequence[tuple[int, int]]) -> list[float]:
    """The percent of requests that each priority gets, by how many of its endpoints are well, of how many."""
    able = [min(100.0, OVERPROVISIONED * well / total) if total else 0.0 for well, total in healths]
    whole = min(100.0, sum(able))
    loads: list[float] = []
    left = 100.0
    for each in able:
        load = min(left, each * 100.0 / whole) if whole else 0.0
        loads.append(load)
        left -= load
    return loads


def shares(rows: Sequence[Row]) -> list[float]:
    """The percent of requests that each endpoint gets, in their order."""
    priorities = sorted({row.priority for row in rows})
    groups = [[row for row in rows if row.priority == each] for each in priorities]
    loads = priority_loads([(sum(row.is_well for row in group), len(group)) for group in groups])
    load_of = dict(zip(priorities, loads, strict=True))
    parts = [_part(row, rows) for row in rows]
    whole = {
        each: sum(part for row, part in zip(rows, parts, strict=True) if row.priority == each)
        for each in priorities
    }
    return [
        load_of[row.priority] * part / whole[row.priority] if whole[row.priority] else 0.0
        for row, part in zip(rows, parts, strict=True)
    ]


def _part(row: Row, rows: Sequence[Row]) -> float:
    """What an endpoint takes beside the others of its priority."""
    if not row.is_well:
        return 0.0
    if not row.locality_weight:
        return float(row.weight)
    there = [each for each in rows if (each.priority, each.locality) == (row.priority, row.locality)]
    well = [each for each in there if each.is_well]
    able = min(1.0, OVERPROVISIONED / 100 * len(well) / len(there))
    return row.locality_weight * able * row.weight / sum(each.weight for each in well)
