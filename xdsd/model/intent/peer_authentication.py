"""PeerAuthentication: whether workloads take plaintext, mutual TLS, or either."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.intent.base import Finding, Message, Str, absent, invalid, missing, shown, table
from xdsd.model.intent.selector import LabelSelector


class MutualTLSMode(StrEnum):
    """What connections to a workload are taken."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


def _port_key(text: str) -> str:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    if not 1 <= number <= 65535 or str(number) != text:
        raise invalid(f"{shown(text)} is no port between 1 and 65535")
    return text


PortKey = Annotated[Str, AfterValidator(_port_key)]
"""A port number as the key of a map."""


class MutualTLS(Message):
    """Mutual TLS of a mesh, a namespace, a workload or a port; without a mode it is what the wider one says."""

    mode: MutualTLSMode | None = absent(
        "Take plaintext only (DISABLE), either (PERMISSIVE), or mutual TLS only (STRICT)."
    )


class PeerAuthentication(Message):
    """What connections the proxies of workloads take.

    In the root namespace and without a selector it is for the mesh, elsewhere without one for its namespace.
    """

    selector: LabelSelector | None = absent("Workloads it is for; the whole namespace if left out.")
    mtls: MutualTLS | None = absent("Mutual TLS of all ports; what the wider policy says if left out.")
    port_level_mtls: dict[PortKey, MutualTLS] = table(
        "Mutual TLS of single ports of the workload, by number; needs selector."
    )

    @property
    def is_wide(self) -> bool:
        """True if it is for all workloads of its namespace, or in the root namespace of the mesh."""
        return self.selector is None or not self.selector.match_labels

    def findings(self) -> Iterator[Finding]:
        if self.port_level_mtls and self.is_wide:
            yield missing("is missing; portLevelMtls is for workloads that labels select", "selector")
