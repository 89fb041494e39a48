"""Durations as the published API writes them: ``1h30m``, ``1.5s``, ``100ms``."""

import re
from datetime import timedelta

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]{0,20})(?:\.([0-9]{0,20}))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_HOW = "write a number and a unit, such as 5s, 1.5s, 100ms or 1h30m"


def parse_duration(text: str) -> timedelta:
    """Reads the published syntax; a ValueError says what is wrong with another text, to follow the text and "is"."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return timedelta()
    if not rest:
        raise ValueError(f"empty; {_HOW}")
    total, position = 0, 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None or not (part[1] or part[2]):
            raise ValueError(f"not a duration; {_HOW}")
        unit = _NANOSECONDS[part[3]]
        total += int(part[1] or 0) * unit + int(part[2] or 0) * unit // 10 ** len(part[2] or "")
        position = part.end()
    if total > 2**63 - 1:
        raise ValueError("longer than 2562047h, the longest duration there is")
    if total % 1_000_000:
        raise ValueError("finer than a millisecond")
    return sign * timedelta(milliseconds=total // 1_000_000)


def format_duration(value: timedelta) -> str:
    """Seconds with as many digits as needed: ``7s``, ``1.5s``, ``5400s``."""
    micros = value // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, rest = divmod(micros, 1_000_000)
    digits = f"{rest:06d}".rstrip("0")
    return f"{sign}{whole}.{digits}s" if digits else f"{sign}{whole}s"
