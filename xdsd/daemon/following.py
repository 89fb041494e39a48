"""What the store holds, on its way to all who live by it."""

from collections import Counter

from xdsd.intents import Intents
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef
from xdsd.peers import Peers
from xdsd.reconcile import ObjectsChange, SourceSink
from xdsd.registration.registrar import Registrar
from xdsd.telemetry import Metrics


async def follow_intents(
    intents: Intents,
    sink: SourceSink,
    metrics: Metrics,
    machines: Registrar | None = None,
    others: Peers | None = None,
) -> None:
    """Hands what the store holds, and every change of it, to the mesh. While the store is away, what it said last holds."""
    known: set[ObjectRef] = set()
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    async for change in intents.follow(unavailable=sink.stale):
        sink.objects(ObjectsChange(change.upserts, change.removed, change.revision))
        if machines is not None:
            machines.objects(change)
        if others is not None:
            others.objects(change)
        for scope, problems in change.problems.items():
            sink.problems(scope, problems)
        sink.synced()
        gone = (*known,) if change.complete else change.removed
        counts.subtract(ref.kind for ref in known.intersection(gone))
        known.difference_update(gone)
        new = {obj.ref for obj in change.upserts} - known
        counts.update(ref.kind for ref in new)
        known |= new
        for kind, count in counts.items():
            metrics.objects.labels(kind).set(count)
