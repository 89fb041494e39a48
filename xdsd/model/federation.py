"""Whom the mesh trusts beside its own authority."""

from typing import NamedTuple

from xdsd.model.problem import ObjectRef


class DeclaredBundle(NamedTuple):
    """Authorities of ``trust_domains`` (none: of the mesh's own): certificates in PEM, or where a SPIFFE bundle is."""

    trust_domains: tuple[str, ...] = ()
    pem: str = ""
    url: str = ""


class Declared(NamedTuple):
    """What operators declare, with the other names of the mesh's own trust domain; ``source`` is where bundles stand."""

    aliases: tuple[str, ...] = ()
    bundles: tuple[DeclaredBundle, ...] = ()
    source: ObjectRef | None = None
