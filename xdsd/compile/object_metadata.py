"""What a resource says of the object that made it, so that it can be explained."""

from envoy.config.core.v3.base_pb2 import Metadata

from xdsd.model.problem import ObjectRef

_API = "/apis/networking.istio.io/v1/namespaces"


def note_origin(metadata: Metadata, owner: ObjectRef, place: str) -> None:
    """Notes the VirtualService, as tools made for Istio read it, and the field below its spec (``http[0].match[1]``)."""
    config = f"{_API}/{owner.namespace}/virtual-service/{owner.name}"
    metadata.filter_metadata["istio"].update({"config": config})
    metadata.filter_metadata["xdsd"].update({"field": f"spec.{place}"})


def note_turn(metadata: Metadata, turn: str) -> None:
    """Notes a turn, so that Envoy takes for another what is otherwise the same, and ends its connections."""
    if turn:
        metadata.filter_metadata["xdsd"].update({"turn": turn})
