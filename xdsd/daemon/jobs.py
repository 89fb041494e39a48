"""Work that one daemon does for all that share the store, and work that the CA needs of each."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from xdsd.config import Settings
from xdsd.fleet.singletons import Job
from xdsd.fleet.statuses import StatusWriter
from xdsd.identity import Identity
from xdsd.intents import Intents
from xdsd.peers import Peers
from xdsd.reconcile import Reconciler
from xdsd.registry.base import Registry
from xdsd.registry.kubernetes.registry import KubernetesRegistry
from xdsd.server import XdsServer

_HOUR = 3600.0


def singleton_jobs(
    intents: Intents,
    statuses: StatusWriter,
    identity: Identity | None,
    options: Settings,
    further: Mapping[str, Job],
) -> Mapping[str, Job]:
    """What one daemon does for all that share the store."""
    return {
        "status": statuses.run,
        "history": lambda: _forget_history(intents, options.history_retention),
        **(identity.singletons() if identity is not None else {}),
        **further,
    }


def tellers(mesh: Reconciler, watched: Sequence[Registry]) -> Mapping[str, Job]:
    """Who writes back to each platform what is wrong with the intent that it brings."""
    found = [each for each in watched if isinstance(each, KubernetesRegistry) and each.writes]
    return {
        f"status-{each.name.replace('/', '_')}": lambda each=each: each.tell(
            lambda: None if mesh.busy else mesh.problems()
        )  # type: ignore[misc]
        for each in found
    }


def identity_jobs(
    identity: Identity | None, server: XdsServer, others: Peers
) -> Iterable[tuple[str, Coroutine[Any, Any, None]]]:
    """What keeps certificates and trust up to date, by name."""
    if identity is None:
        return ()
    follow = others.follow_trust(lambda: identity.authority.next_change)
    revoked = others.follow_revocations(lambda: identity.revocations.next_change)
    return {
        **identity.jobs(server),
        "authorities for peers": follow,
        "revocations of peers": revoked,
    }.items()


async def _forget_history(intents: Intents, retention: timedelta) -> None:
    """Drops audit records when their time is over, until cancelled."""
    while True:
        await intents.forget_history(datetime.now(UTC) - retention)
        await asyncio.sleep(min(_HOUR, retention.total_seconds() / 10))
