"""How long a token lives, as an argument: ``30d``, ``12h``, ``never``."""

import re
from datetime import timedelta
from typing import Any

import click

from api.commands.duration_type import DURATION


class LifetimeType(click.ParamType[timedelta]):
    """Durations, and days; ``never`` is no time at all."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span, whole seconds and at least one; what is none is wrong usage."""
        if isinstance(value, timedelta):
            return value
        if value == "never":
            return timedelta()
        days = re.fullmatch(r"([0-9]{1,5})d", str(value))
        span = timedelta(days=int(days[1])) if days else DURATION.convert(value, param, ctx)
        if span < timedelta(seconds=1):
            self.fail(f"{value!r} is shorter than a second; write such as 30d or 12h, or never", param, ctx)
        return span


LIFETIME = LifetimeType()
