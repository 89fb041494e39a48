"""What a peer may say: of services that it was asked for, identities of its own trust domain, and so much as the
bounds let it.

A lie is a sentence for the operators, in the order in which it was told; what is not a lie is taken.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from xdsd.ca.reading import Unreadable, read_certificates
from xdsd.model.identity import InvalidIdentity, parse_identity
from xdsd.model.intent.hosts import is_label
from xdsd.peering.values import Gateway, Shared, SharedKey, Summary, Wanted, wants

MAX_PORTS = 100
MAX_IDENTITIES = 100
MAX_LOCALITIES = 100
MAX_GATEWAYS = 64
MAX_ROOTS = 100
MAX_WEIGHT = 2**31
_LONGEST_LOCALITY = 200


def key_fault(key: SharedKey, wanted: Sequence[Wanted]) -> str | None:
    """Why a service may not be named by the peer."""
    if not (is_label(key.namespace) and is_label(key.name)):
        return f"it names a service {str(key)[:140]!r}, which cannot be a service's name"
    if not wants(wanted, key):
        return f"it offers {key}, which spec.imports does not take from it"
    return None


def shared_fault(shared: Shared, trust_domain: str) -> str | None:
    """Why what the peer says of a service is refused."""
    return next(
        (f"of {shared.key} it says what cannot be: {fault}" for fault in _faults(shared, trust_domain)), None
    )


def _faults(shared: Shared, trust_domain: str) -> Iterator[str]:
    numbers = {port.number for port in shared.ports}
    names = {port.name for port in shared.ports}
    if not shared.ports or len(shared.ports) > MAX_PORTS:
        yield f"it has {len(shared.ports)} ports; 1 to {MAX_PORTS} are allowed"
    elif len(numbers) != len(shared.ports) or len(names) != len(shared.ports):
        yield "two of its ports have one number or name"
    elif not all(1 <= each.number <= 65535 and is_label(each.name) for each in shared.ports):
        yield "a port's number or name is none"
    if len(shared.identities) > MAX_IDENTITIES:
        yield f"it is answered by {len(shared.identities)} identities; {MAX_IDENTITIES} are allowed"
    answering = (_identity_fault(each, shared.key.namespace, trust_domain) for each in shared.identities)
    yield from (fault for fault in (*answering, summaries_fault(shared.summaries)) if fault)


def _identity_fault(text: str, namespace: str, trust_domain: str) -> str:
    try:
        identity = parse_identity(text)
    except InvalidIdentity as error:
        return str(error)
    if identity.trust_domain != trust_domain:
        return f"{identity} answers for it, which is not of the peer's trust domain {trust_domain}"
    if identity.namespace != namespace:
        return f"{identity} answers for it, which is of another namespace"
    return ""


def summaries_fault(summaries: Sequence[Summary]) -> str | None:
    """Why what the peer says of a service's endpoints is refused."""
    if len(summaries) > MAX_LOCALITIES:
        return f"it has endpoints in {len(summaries)} localities; {MAX_LOCALITIES} are allowed"
    if len({each.locality for each in summaries}) != len(summaries):
        return "a locality is summed up twice"
    for each in summaries:
        parts = each.locality.split("/")
        if len(each.locality) > _LONGEST_LOCALITY or len(parts) > 3 or not each.locality.isprintable():
            return f"{each.locality[:60]!r} is no locality"
        if not 0 <= each.healthy <= each.total or not 0 <= each.weight < MAX_WEIGHT:
            return f"of {each.total} endpoints {each.healthy} are well, with the weight {each.weight}"
    return None


def gateway_fault(gateway: Gateway, *, near: bool) -> str | None:
    """Why a gateway is refused that the peer names; ``near``: the peer itself is called on this machine's loopback."""
    try:
        address = ip_address(gateway.address)
    except ValueError:
        return f"its gateway {gateway.address[:60]!r} is no IP address"
    if not 1 <= gateway.port <= 65535 or _is_nowhere(address):
        return f"nothing can be reached at its gateway {address} port {gateway.port}"
    if address.is_loopback and not near:
        return f"its gateway {address} would be each caller's own machine"
    if fault := summaries_fault((Summary(gateway.locality, 0, 0, 0),)):
        return f"of its gateway {address}, {fault}"
    return None


def _is_nowhere(address: IPv4Address | IPv6Address) -> bool:
    """True for addresses that no other machine has: of all, of none, of a link, or set aside."""
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    set_aside = mapped or (isinstance(address, IPv4Address) and address.is_reserved)
    return set_aside or address.is_unspecified or address.is_multicast or address.is_link_local


def read_roots(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The authorities of a peer's own trust domain. Raises Unreadable."""
    found = read_certificates(pem, "its bundle")
    if not found or len(found) > MAX_ROOTS:
        raise Unreadable(f"its bundle has {len(found)} certificates; 1 to {MAX_ROOTS} are allowed")
    for each in found:
        try:
            authority = each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension):
            authority = False
        if not authority:
            raise Unreadable("its bundle holds a certificate that is no authority's")
    return tuple(found)
