"""What an Envoy is for, and how it comes by its traffic."""

from enum import StrEnum


class Role(StrEnum):
    """What an Envoy is for; the first word of its node id."""

    SIDECAR = "sidecar"
    ROUTER = "router"


class Interception(StrEnum):
    """How traffic reaches a sidecar: redirected by the kernel, or sent to it on purpose (no root needed)."""

    REDIRECT = "REDIRECT"
    NONE = "NONE"
