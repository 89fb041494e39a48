"""The envelope that every object of intent comes in."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from xdsd.model.intent.base import Message
from xdsd.model.problem import ObjectRef

Spec_co = TypeVar("Spec_co", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Who an object is; from ``resource_version`` on, what the store adds. Timestamps are RFC 3339 text."""

    namespace: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Object(Generic[Spec_co]):
    """One object of intent; ``spec`` is the message named by ``kind``."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: Spec_co

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(self.kind, self.metadata.namespace, self.metadata.name)

    @property
    def age(self) -> tuple[str, str, str]:
        """Orders objects: the oldest first, then by namespace and name."""
        return (self.metadata.creation_timestamp, self.metadata.namespace, self.metadata.name)
