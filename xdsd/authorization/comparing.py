"""How single values of policies are compared with single facts."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from xdsd.authorization.facts import SPIFFE, identity
from xdsd.model.intent.authorization_values import ANY_PATH, ANY_SEGMENT, is_template


def fits(pattern: str, text: str) -> bool:
    """``*`` takes any text but none, ``abc*`` and ``*abc`` what begins or ends so, others themselves."""
    if pattern == "*":
        return bool(text)
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def within(block: str, address: str) -> bool:
    """True if the address is one of a range; an empty address is in none."""
    return bool(address) and ip_address(address) in ip_network(block, strict=False)


def host_fits(pattern: str, host: str) -> bool:
    """Hosts have no case."""
    return fits(pattern.lower(), host.lower())


def path_fits(pattern: str, path: str) -> bool:
    """Paths have; ``{*}`` takes one segment that is not empty, ``{**}`` all between two slashes or up to the end."""
    if not is_template(pattern):
        return fits(pattern, path)
    return path.startswith("/") and _segments_fit(pattern[1:].split("/"), path[1:].split("/"))


def _segments_fit(wanted: list[str], found: list[str]) -> bool:
    if not wanted:
        return not found
    first, *rest = wanted
    if not found:
        return False
    if first == ANY_PATH:
        return any(_segments_fit(rest, found[count:]) for count in range(1, len(found) + 1))
    return (bool(found[0]) if first == ANY_SEGMENT else found[0] == first) and _segments_fit(rest, found[1:])


def principal_fits(pattern: str, peer: str, domains: Iterable[str]) -> bool:
    """A pattern that names one of the mesh's own trust domains, or ``cluster.local``, means all of them."""
    name = peer.removeprefix(SPIFFE)
    if pattern == "*":
        return bool(peer)
    if not peer.startswith(SPIFFE):
        return False
    return fits(pattern, name) or _aliased(pattern, name, tuple(domains))


def _aliased(pattern: str, name: str, own: tuple[str, ...]) -> bool:
    domain, *path = pattern.split("/")
    if len(path) != 4 or domain == "*":
        return False
    if domain != "cluster.local" and not any(fits(domain, each) for each in own):
        return False
    found, slash, rest = name.partition("/")
    return found in own and bool(slash) and fits("/".join(path), rest)


def namespace_fits(pattern: str, peer: str) -> bool:
    """The namespace of an identity."""
    known = identity(peer)
    return known is not None and fits(pattern, known.namespace)


def account_fits(account: str, peer: str, namespace: str) -> bool:
    """``ACCOUNT`` is one of the policy's ``namespace``."""
    known = identity(peer)
    owner, slash, name = account.rpartition("/")
    return known is not None and (known.namespace, known.service_account) == (
        owner if slash else namespace,
        name,
    )


def domain_fits(pattern: str, peer: str, domains: Iterable[str]) -> bool:
    """The trust domain of an identity; one of the mesh's own means all of them."""
    if not peer.startswith(SPIFFE):
        return False
    domain = peer.removeprefix(SPIFFE).partition("/")[0]
    own = tuple(domains)
    return fits(pattern, domain) or (pattern in own and domain in own)


def token_principal_fits(pattern: str, claims: Mapping[str, Any] | None) -> bool:
    """``ISSUER/SUBJECT``; a wildcard stands within one of them, behind or before the last slash."""
    issuer, subject = (claims or {}).get("iss"), (claims or {}).get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str):
        return False
    if "*" not in (pattern[0], pattern[-1]):
        return f"{issuer}/{subject}" == pattern
    if pattern == "*":
        return bool(issuer) and bool(subject)
    wanted, slash, name = pattern.rpartition("/")
    if slash:
        return fits(wanted, issuer) and fits(name, subject)
    if pattern.startswith("*"):
        return bool(issuer) and fits(pattern, subject)
    return fits(pattern, issuer) and bool(subject)


def claim_fits(pattern: str, claims: Mapping[str, Any] | None, path: Iterable[str]) -> bool:
    """A claim that is text, or a list with such a text in it."""
    value: Any = claims
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return any(
        isinstance(each, str) and fits(pattern, each)
        for each in (value if isinstance(value, list) else [value])
    )


def metadata_fits(pattern: str, value: Any) -> bool:
    """What a filter knows: ``[abc]`` is a list with such a text in it."""
    if pattern.startswith("[") and pattern.endswith("]"):
        return isinstance(value, list) and any(
            isinstance(each, str) and fits(pattern[1:-1], each) for each in value
        )
    return isinstance(value, str) and fits(pattern, value)
