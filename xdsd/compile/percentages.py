"""Percentages in Envoy's terms."""

from envoy.config.core.v3.base_pb2 import (
    RuntimeFractionalPercent,
)
from envoy.type.v3.percent_pb2 import FractionalPercent

from xdsd.model.intent import Percent


def fraction(percentage: Percent | None, whole: int | None = None, default: float = 0.0) -> FractionalPercent:
    """``percentage``, else the older ``whole`` number, else ``default``, as parts of a million."""
    value = _percent(percentage, whole, default)
    return FractionalPercent(numerator=round(value * 10_000), denominator=FractionalPercent.MILLION)


def runtime_fraction(
    percentage: Percent | None, whole: int | None = None, default: float = 0.0
) -> RuntimeFractionalPercent:
    """The same for fields that runtime settings could override; none is named, so none does."""
    return RuntimeFractionalPercent(default_value=fraction(percentage, whole, default))


def _percent(percentage: Percent | None, whole: int | None, default: float) -> float:
    if percentage is not None:
        return percentage.value or 0.0
    return default if whole is None else float(whole)
