"""What is wrong with the objects that services are made of. Pure."""

from collections.abc import Iterable, Mapping

from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.kubernetes.facts import Backend, Name, Remark
from xdsd.registry.kubernetes.former import is_former
from xdsd.registry.kubernetes.kinds import Kind


class Notes:
    """Remarks on the objects of one source, of which those are problems that are otherwise than before."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._noted: set[tuple[Kind, Name, str]] = set()

    def take(self) -> Mapping[str, tuple[Problem, ...]]:
        """The problems of objects that have others than when it was last asked; none where they are mended."""
        found, self._problems = self._problems, {}
        return found

    def note(self, kind: Kind, name: Name, remarks: Iterable[Remark], aspect: str = "") -> None:
        """All that is wrong with an object, or with one aspect of it; what was right and is right is not worth a word."""
        which, found = (kind, name, aspect), tuple(remarks)
        if not found and which not in self._noted:
            return
        (self._noted.add if found else self._noted.discard)(which)
        ref = ObjectRef(kind.value, name.namespace, name.name)
        self._problems[f"{kind} {name}{aspect}"] = tuple(
            Problem(each.reason, each.message, ref, each.path, self._source, severity=each.severity)
            for each in found
        )

    def waiting(self, name: Name, backends: Iterable[Backend]) -> None:
        """The endpoints of a slice that wait for their pods."""
        if is_former(name):
            return
        remarks = (
            Remark(
                "endpoints",
                f"the endpoint {each.address} waits for the pod {each.pod}, which is not there or has ended",
                Reason.BROKEN_REFERENCE,
                Severity.WARNING,
            )
            for each in backends
        )
        self.note(Kind.ENDPOINT_SLICE, name, remarks, " pods")
