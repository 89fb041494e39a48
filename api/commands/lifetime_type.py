"""How long a token lives, as an argument: ``30d``, ``12h``, ``never``."""

from datetime import timedelta
from typing import Any

import click

from api.commands.duration_type import DURATION


class LifetimeType(click.ParamType[timedelta]):
    """Durations; ``never`` is no time at all."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span, whole seconds and at least one; what is none is wrong usage."""
        if isinstance(value, timedelta):
            return value
        if value == "never":
            return timedelta()
        span = DURATION.convert(value, param, ctx)
        if span < timedelta(seconds=1):
            self.fail(f"{value!r} is shorter than a second; write such as 30d or 12h, or never", param, ctx)
        return span


LIFETIME = LifetimeType()
