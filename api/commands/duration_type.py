"""Spans of time as arguments: ``500ms``, ``60s``, ``1m30s``, ``30d``."""

from datetime import timedelta
from typing import Any

import click
from pydantic_core import PydanticCustomError

from xdsd.setting_values import parse_duration


class DurationType(click.ParamType[timedelta]):
    """As settings have them."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span; what is none is wrong usage."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except PydanticCustomError as error:
            self.fail(error.message(), param, ctx)


DURATION = DurationType()
