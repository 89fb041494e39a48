"""Every write as a structured log line: who, from where, what, before and after."""

from collections.abc import Callable, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from xdsd.intents import Record
from xdsd.manifest import AnyObject, object_to_dict


def audit_log(logger: FilteringBoundLogger) -> Callable[[Sequence[Record]], None]:
    """What logs records, a line each."""

    def tell(records: Sequence[Record]) -> None:
        for record in records:
            logger.info(
                "audit",
                who=record.author.who,
                origin=record.author.origin,
                verdict=record.verdict.value,
                kind=record.ref.kind,
                namespace=record.ref.namespace,
                name=record.ref.name,
                revision=record.revision,
                before=_said(record.before),
                after=_said(record.after),
            )

    return tell


def _said(obj: AnyObject | None) -> Any:  # Any: JSON
    return object_to_dict(obj) if obj else None
