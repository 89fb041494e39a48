"""Residency: in which regions the services of a namespace are served, whatever fails elsewhere.

The kind is our own. It wins over every failover: where no endpoint in these regions is left, requests fail.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.intent.base import Finding, Message, Str, invalid, many, missing, needed, shown
from xdsd.model.intent.hosts import ObjectName


def _region(text: str) -> str:
    if not text or "/" in text or "*" in text or not text.isprintable():
        raise invalid(f"{shown(text)} is no region: write the first part of a locality, such as eu")
    return text


Region = Annotated[Str, AfterValidator(_region)]


class Residency(Message):
    """Where services of the namespace are served under the names that they have in all meshes."""

    regions: tuple[Region, ...] = needed("Regions: the first parts of localities.")
    names: tuple[ObjectName, ...] = many("Names of services; all of the namespace if left out.")

    def covers(self, name: str) -> bool:
        """True if it is for a service of its namespace."""
        return not self.names or name in self.names

    def findings(self) -> Iterator[Finding]:
        if not self.regions:
            yield missing("is empty; give at least one region", "regions")
