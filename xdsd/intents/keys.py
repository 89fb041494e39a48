"""Where objects live in the store: ``/xdsd/objects/<plural>.<group>/<namespace>/<name>``."""

from collections.abc import Mapping

from xdsd.model.intent import Kind
from xdsd.model.problem import ObjectRef

ROOT = "/xdsd/objects/"
HISTORY = "/xdsd/history/"


class Keys:
    """Keys of objects, and objects of keys, for some kinds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._folders = {kind.kind: f"{ROOT}{kind.plural}.{kind.group}/" for kind in kinds.values()}
        self._kinds = {folder.removeprefix(ROOT): kind for kind, folder in self._folders.items()}

    def of(self, ref: ObjectRef) -> bytes:
        """The key of an object of a known kind."""
        return f"{self._folders[ref.kind]}{ref.namespace}/{ref.name}".encode()

    def prefix(self, kind: str | None = None, namespace: str | None = None) -> bytes:
        """What the keys of all objects, of a kind's, or of a kind's in a namespace begin with."""
        if kind is None:
            return ROOT.encode()
        return f"{self._folders[kind]}{namespace}/".encode() if namespace else self._folders[kind].encode()

    def history(self, ref: ObjectRef) -> bytes:
        """What the keys of an object's records begin with."""
        return self.history_prefix(ref.kind, ref.namespace, ref.name)

    def history_prefix(
        self, kind: str | None = None, namespace: str | None = None, name: str | None = None
    ) -> bytes:
        """What the keys of records begin with: of all, or of a kind, a namespace, a name as far as they are given."""
        prefix = self.prefix(kind, namespace).decode()
        full = f"{prefix}{name}/" if kind and namespace and name else prefix
        return (HISTORY + full.removeprefix(ROOT)).encode()

    def recorded(self, key: bytes) -> ObjectRef | None:
        """The object whose record a key is for."""
        folder, _, _ = key.removeprefix(HISTORY.encode()).rpartition(b"/")
        return self.ref(ROOT.encode() + folder)

    def ref(self, key: bytes) -> ObjectRef | None:
        """The object that a key is for; None for a key that none of the kinds would have."""
        try:
            folder, namespace, name = key.decode("ascii").removeprefix(ROOT).split("/")
        except ValueError:
            return None
        kind = self._kinds.get(f"{folder}/")
        return ObjectRef(kind, namespace, name) if kind and namespace and name else None
