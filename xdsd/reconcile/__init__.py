"""The loop that turns what was observed into what is published: observe, settle, compile, publish.

A **source** (``sources``) reports services, workloads or objects, and how it is itself. What arrives waits in the
**intake** (``intake``), which alone moves it into the compiler's inputs, so that the compiler sees whole batches and never a
change in the middle of a step. Who is served, who waits to be and who left not long ago is known to the **attendance**
(``attendance``). The **reconciler** (``reconciler``) is the loop over all of them. Work is cut into **slices**
(``slices``), so that the event loop is never held for long.

Changes are let settle: the loop waits until nothing arrived for ``quiet`` seconds, at most ``longest`` after the first. A
proxy that connects waits for nobody else's changes.

Nothing is published before every source has reported all it had once: an empty mesh that is only late must not look like
an empty mesh (the streams would remove everything that their proxies have).
"""

from xdsd.reconcile.reconciler import MeshObserver, Reconciler, Settling
from xdsd.reconcile.slices import chunks, portions
from xdsd.reconcile.sources import STORE, ObjectsChange, SourceSink, SourceStatus

__all__ = [
    "STORE",
    "MeshObserver",
    "ObjectsChange",
    "Reconciler",
    "Settling",
    "SourceSink",
    "SourceStatus",
    "chunks",
    "portions",
]
