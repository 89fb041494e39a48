"""Whose TLS is read by their own sidecars, as those who make certificates for that want to know it."""

from typing import NamedTuple

SECRET = "inspection"  # noqa: S105 - a name
"""The secret with the certificate that a sidecar shows its program, and its key."""


class Inspected(NamedTuple):
    """One Inspection: for programs of these ``namespaces`` and service ``accounts`` (empty: all) the sidecar stands for
    ``hosts``.
    """

    hosts: tuple[str, ...]
    namespaces: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    def concerns(self, namespace: str, account: str | None) -> bool:
        """True if it is for programs of a service account; None is one that nobody proved, who may be anybody."""
        if self.namespaces and namespace not in self.namespaces:
            return False
        return account is None or not self.accounts or account in self.accounts


def names_for(inspected: tuple[Inspected, ...], namespace: str, account: str) -> tuple[str, ...]:
    """All hosts for which the sidecars of a service account stand."""
    found = (host for each in inspected if each.concerns(namespace, account) for host in each.hosts)
    return tuple(sorted(set(found)))


def stands_for(pattern: str, host: str) -> bool:
    """True if a certificate's name is one for a host, as certificates compare: a wildcard is one label."""
    if pattern == host:
        return True
    return pattern.startswith("*.") and not host.startswith("*") and pattern[2:] == host.partition(".")[2]
