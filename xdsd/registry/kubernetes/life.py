"""Whether the cluster that answers is the one that answered before.

A cluster that was made anew at the same address answers every list with nothing, while it still takes the certificate or the
fixed token that proves who we are. What stays the same for one life of a cluster tells it from another: the uid of its
namespace ``kube-system``, which nobody can delete. A cluster that was restored from an older backup has that uid too, and
counts its revisions from an earlier one. Who may not read namespaces sees the revisions alone.
"""

import asyncio

from xdsd.registry.kubernetes.api import Api, Refused, Unreachable
from xdsd.registry.kubernetes.facts import Json

NAMESPACE = "kube-system"
PATH = "/api/v1/namespaces"
_HIDDEN = frozenset({403, 404, 405})


class Life:
    """What is known of the life of one cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known = ""
        self._seen: str | None = None
        self._begun = 0
        self._ended = 0
        self._turn = asyncio.Lock()

    @property
    def is_known(self) -> bool:
        """False until it was looked at, and where it is hidden from us."""
        return bool(self._known)

    async def is_same(self) -> bool:
        """Looks; of those who ask at once, one looks for all. True too where nothing can be seen. Raises Unreachable."""
        asked = self._begun
        async with self._turn:
            if self._ended <= asked:
                await self._look()
        if self._seen is None:
            return True
        same = self._known in ("", self._seen)
        if same:
            self._known = self._seen
        return same

    def begin(self) -> None:
        """Another life: whatever is seen last is known from now on."""
        self._known = self._seen or ""

    async def _look(self) -> None:
        self._begun += 1
        turn = self._begun
        try:
            self._seen = _uid(await self._api.get(PATH, {"fieldSelector": f"metadata.name={NAMESPACE}"}))
        except Refused as error:
            if error.status not in _HIDDEN:
                raise Unreachable(
                    f"namespaces: {error.message} ({error.status}): whether this is still the same cluster is not known"
                ) from error
            self._seen = None
        self._ended = turn


def _uid(listed: Json) -> str:
    """Empty where the namespace is not there, as in a cluster that was made this very moment."""
    items = listed.get("items")
    for item in items if isinstance(items, list) else ():
        metadata = item.get("metadata") if isinstance(item, dict) else None
        if isinstance(metadata, dict) and metadata.get("name") == NAMESPACE:
            return str(metadata.get("uid") or "")
    return ""
