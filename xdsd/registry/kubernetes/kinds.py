"""The kinds of objects that services are made of."""

from enum import StrEnum


class Kind(StrEnum):
    """Those that are watched."""

    NAMESPACE = "Namespace"
    NODE = "Node"
    POD = "Pod"
    ENDPOINT_SLICE = "EndpointSlice"
    SERVICE = "Service"
