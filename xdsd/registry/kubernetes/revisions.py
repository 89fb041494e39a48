"""The revisions of a collection and of its objects, which only grow in one life of a cluster. Pure.

They are said to be opaque, and are counted by whatever keeps a cluster; what is no number tells nothing. A cluster that was
set back may have counted on beyond where it was, so that only an object tells which was changed since.
"""

from xdsd.registry.kubernetes.facts import Json, Name


class Revisions:
    """Those that were seen."""

    def __init__(self) -> None:
        self._newest = 0
        # By hash, since there may be very many: two of a hash would be taken for a loss once, which harms nobody.
        self._objects: dict[int, int] = {}

    def is_older(self, revision: str) -> bool:
        """Whether a list of this revision is of before what was seen."""
        return 0 < _number(revision) < self._newest

    def is_older_object(self, name: Name, obj: Json) -> bool:
        """Whether this is an object as it was before it was seen."""
        return 0 < _of(obj) < self._objects.get(hash(name), 0)

    def see(self, revision: str) -> None:
        """The collection is as of this revision."""
        self._newest = max(self._newest, _number(revision))

    def see_object(self, name: Name, obj: Json) -> None:
        """An object is like this."""
        revision = _of(obj)
        if revision:
            self._objects[hash(name)] = revision

    def drop(self, name: Name) -> None:
        """An object is gone; one that is made anew under its name counts on."""
        self._objects.pop(hash(name), None)


def _of(obj: Json) -> int:
    metadata = obj.get("metadata")
    return _number(metadata.get("resourceVersion")) if isinstance(metadata, dict) else 0


def _number(revision: object) -> int:
    return int(revision) if isinstance(revision, str) and revision.isdecimal() else 0
