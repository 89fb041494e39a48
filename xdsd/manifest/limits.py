"""How much one file may hold, so that a hostile one costs no more than a refusal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_nodes`` counts every value of a file as often as it occurs, aliases included."""

    max_bytes: int = 8 * 1024 * 1024
    max_depth: int = 64
    max_nodes: int = 1_000_000
    max_documents: int = 50_000
    max_problems: int = 1_000
