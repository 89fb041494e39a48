"""What the mesh may know of credentials that operators keep with the daemon; never what is in them."""

from typing import NamedTuple

SCHEME = "kubernetes://"
AUTHORITIES = "-cacert"
"""The end of the names under which proxies ask for the authorities alone."""


class CredentialName(NamedTuple):
    """A credential is found by both."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class CredentialParts(NamedTuple):
    """What a credential has: a certificate with its key, authorities that vouch for others. ``accounts`` are the service
    accounts that may have it; none: all of its namespace. ``names`` are the hosts that the certificate is for (in
    lower case); empty where it names none, or they are not known.
    """

    own: bool = False
    authorities: bool = False
    accounts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def credential_name(written: str) -> str:
    """The name that an object means, which may write how proxies ask for it."""
    return written.removeprefix(SCHEME)


def own_name(name: str) -> str:
    """Under which proxies ask for certificate and key, as Istio's do: ``kubernetes://shop``."""
    return f"{SCHEME}{name}"


def authorities_name(name: str) -> str:
    """Under which proxies ask for the authorities: ``kubernetes://shop-cacert``. What is called ``shop-cacert`` itself holds
    authorities alone, and is asked for by that name.
    """
    return f"{SCHEME}{name.removesuffix(AUTHORITIES)}{AUTHORITIES}"
