"""Inspection: TLS that programs begin ends in their own sidecars, which read the requests and begin new TLS outward.

The kind is our own. A sidecar shows its program a certificate of the mesh's CA for the server that the program asked for, so
programs must believe that CA for such hosts. It counts in the root namespace alone: who may write one may read what programs
say to these hosts.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.intent.base import (
    Finding,
    Message,
    PortNumber,
    Str,
    invalid,
    many,
    missing,
    needed,
    shown,
    wrong,
)
from xdsd.model.intent.hosts import NamespaceName, ObjectName, name_fault

HTTPS_PORT = 443
MAX_HOSTS = 100
"""Hosts of one object; a proxy shows all hosts that are inspected for it in one certificate."""


def _inspected_host(host: str) -> str:
    fault = name_fault(host)
    if fault is None and host.startswith("*") and (not host.startswith("*.") or "." not in host[2:]):
        fault = "is no host and no wildcard of a certificate; write a name, or *.DOMAIN.TLD"
    if fault is None and "." not in host:
        fault = "is no host outside of the mesh: write its full name"
    if fault is None and host != host.lower():
        fault = f"has capital letters; write {host.lower()}"
    if fault:
        raise invalid(f"{shown(host)} {fault}")
    return host


InspectedHost = Annotated[Str, AfterValidator(_inspected_host)]


class Inspection(Message):
    """Whose TLS to which hosts is read by the sidecars of programs."""

    hosts: tuple[InspectedHost, ...] = needed("Servers that programs ask TLS for; *.DOMAIN for one label.")
    ports: tuple[PortNumber, ...] = many("Ports of these services, 443 if left out.", max_length=16)
    namespaces: tuple[NamespaceName, ...] = many("Namespaces of the programs; all if left out.")
    service_accounts: tuple[ObjectName, ...] = many("Service accounts of the programs; all if left out.")

    @property
    def served(self) -> tuple[int, ...]:
        """The ports of services that it is for."""
        return self.ports or (HTTPS_PORT,)

    def findings(self) -> Iterator[Finding]:
        if not self.hosts:
            yield missing("is empty; give at least one host", "hosts")
        if len(self.hosts) > MAX_HOSTS:
            yield wrong(f"has {len(self.hosts)} entries, which is above {MAX_HOSTS}", "hosts")
