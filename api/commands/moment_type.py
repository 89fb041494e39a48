"""Moments as arguments: a revision, how long ago, or a time: ``42``, ``1h``, ``2026-01-31T12:00:00Z``."""

from datetime import UTC, datetime
from typing import Any

import click
from pydantic_core import PydanticCustomError

from xdsd.setting_values import parse_duration

Moment = int | datetime
"""A revision of the store, or an aware time."""

_WHAT = (
    "is neither a revision, nor how long ago (such as 1h or 7d), nor a time (such as 2026-01-31T12:00:00Z)"
)


class MomentType(click.ParamType[Moment]):
    """Three ways to say when."""

    name = "REVISION|AGO|TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """The moment; what is none is wrong usage."""
        if isinstance(value, int | datetime):
            return value
        text = str(value)
        if text.isascii() and text.isdecimal() and len(text) < len(str(1 << 63)):
            return int(text)
        try:
            return datetime.now(UTC) - parse_duration(text)
        except (PydanticCustomError, OverflowError):
            return self._time(text, param, ctx)

    def _time(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} {_WHAT}", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{text!r} does not say its time zone; end it with Z or +02:00", param, ctx)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.fail(f"{text!r} {_WHAT}", param, ctx)


MOMENT = MomentType()
