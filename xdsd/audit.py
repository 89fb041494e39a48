"""Every write as a structured log line: who, from where, what, before and after.

Logs go to more places than the store does, so what may be a secret there is left out of the line: values of headers, query
parameters, annotations and labels whose names say so, as ``authorization`` or ``x-api-key`` does; those in paths too.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from xdsd.intents import Record
from xdsd.manifest import AnyObject, object_to_dict

HIDDEN = "***"
_SECRET = re.compile(
    r"authorization|(?<!from)cookie|token|secret|pass|credential(?!name)|api[-_]?key|private[-_]?key|last-applied"
    r"|jwt(?!Rules)|^jwks$|^proxy-|session|sig(?!ner)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"([?&])([^?&=#]+)=([^?&#]*)")


def audit_log(logger: FilteringBoundLogger) -> Callable[[Sequence[Record]], None]:
    """What logs records, a line each."""

    def tell(records: Sequence[Record]) -> None:
        for record in records:
            logger.info(
                "audit",
                who=record.author.who,
                origin=record.author.origin,
                verdict=record.verdict.value,
                rolled_back_to=record.rolled_back_to or None,
                kind=record.ref.kind,
                namespace=record.ref.namespace,
                name=record.ref.name,
                revision=record.revision,
                time=record.time,
                before=_said(record.before),
                after=_said(record.after),
            )

    return tell


def _said(obj: AnyObject | None) -> Any:  # Any: JSON
    return _shown(object_to_dict(obj)) if obj else None


def _shown(value: Any, *, secret: bool = False) -> Any:
    """The value; texts below a name that tells of a secret are hidden."""
    if isinstance(value, dict):
        return {
            name: _shown(inner, secret=secret or bool(_SECRET.search(name))) for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_shown(inner, secret=secret) for inner in value]
    if isinstance(value, str) and value:
        return HIDDEN if secret else _PARAMETER.sub(_shown_parameter, value)
    return value


def _shown_parameter(found: re.Match[str]) -> str:
    mark, name, value = found.groups()
    return f"{mark}{name}={HIDDEN if _SECRET.search(name) else value}"
