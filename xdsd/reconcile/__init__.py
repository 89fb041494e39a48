"""The loop that turns what was observed into what is published: observe, settle, compile, publish.

A **source** (``sources``) reports services, workloads or objects, and how it is itself. What arrives waits in the
**intake** (``intake``), which alone moves it into the compiler's inputs, so that the compiler sees whole batches and never a
change in the middle of a step; where several sources declare one object, ``declared`` says whose word holds. Who is served,
who waits to be and who left not long ago is known to the **attendance** (``attendance``), and which services their workloads
left to the **departures** (``departures``). The **reconciler** (``reconciler``) is the loop over all of them. Work is cut
into **slices** (``slices``), so that the event loop is never held for long.

Changes are let settle: the loop waits until nothing arrived for ``quiet`` seconds, at most ``longest`` after the first. A
proxy that connects waits for nobody else's changes. Of each source so much is taken in at a time (``intake.ROUND``) that
another's change is published soon, however much one of them reports; a change is published whole.

Nothing is published before every source has reported all it had once: an empty mesh that is only late must not look like
an empty mesh (the streams would remove everything that their proxies have). What is there before that is taken in
(``beginning``), so that operators see it, and how long a registry is waited for may be bounded.
"""

from xdsd.reconcile.reconciler import MeshObserver, Reconciler, Settling
from xdsd.reconcile.slices import chunks, portions
from xdsd.reconcile.sources import STORE, SourceSink, SourceState, SourceStatus
from xdsd.registry.base import ObjectsChange

__all__ = [
    "STORE",
    "MeshObserver",
    "ObjectsChange",
    "Reconciler",
    "Settling",
    "SourceSink",
    "SourceState",
    "SourceStatus",
    "chunks",
    "portions",
]
