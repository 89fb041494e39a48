"""What a machine that wants to be registered says of itself, and what its stream proved. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from xdsd.model.identity import StreamIdentity
from xdsd.model.node import Node
from xdsd.model.problem import ObjectRef

METADATA = "AUTO_REGISTER_GROUP"
"""Node metadata with the group's name, as the published agents write it."""

LONGEST_NODE = 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """A machine as it came: ``seen`` is where its connection comes from, ``proof`` what it proved (None: nothing).

    ``networks`` are where its token may be used from, ``since`` (RFC 3339) when it came.
    """

    key: str
    node: str
    group: ObjectRef
    address: str
    seen: str
    network: str
    locality: str
    proof: StreamIdentity | None
    networks: tuple[str, ...]
    since: str

    @property
    def who(self) -> str:
        """The machine, for people."""
        return f"{self.node[:200]} ({self.proof})" if self.proof else self.node[:200]

    @property
    def identity(self) -> str:
        return str(self.proof.identity) if self.proof else ""

    @property
    def credential(self) -> str:
        return f"{self.proof.proof} {self.proof.credential}" if self.proof else ""

    def is_at_home(self) -> bool:
        """True if it claims the address that its connection comes from."""
        return self.address == self.seen

    def may_claim(self, ranges: Sequence[IPv4Network | IPv6Network]) -> bool:
        """True for the address that its connection comes from, and for those that its token or one of ``ranges`` covers."""
        if self.is_at_home():
            return True
        address = ip_address(self.address)
        return any(address in each for each in (*ranges, *map(ip_network, self.networks)))


def wants_registration(node: Node) -> bool:
    """True if the node names a group."""
    return bool(node.metadata.get(METADATA))


def claim_of(
    node: Node, proof: StreamIdentity | None, seen: str, networks: tuple[str, ...], since: str
) -> Claim | str:
    """The claim of a node that names a group, or why it is none. The node id is of the form that proxies are served by."""
    group = node.metadata[METADATA]
    _, address, instance, _ = node.id.split("~")
    namespace = node.metadata.get("NAMESPACE") or instance.rpartition(".")[2]
    network = node.metadata.get("NETWORK", "")
    if not isinstance(group, str):
        return f"its metadata {METADATA} is no text; write the name of a WorkloadGroup"
    if len(node.id) > LONGEST_NODE:
        return f"its node id has {len(node.id)} characters, which is above {LONGEST_NODE}"
    canonical = plain(address)
    if not canonical or ip_address(canonical).is_unspecified:
        return f"its node id says that it is at {address!r}, which is no address of a machine"
    parts = (node.locality.region, node.locality.zone, node.locality.sub_zone)
    locality = "/".join(parts).rstrip("/")
    return Claim(
        node.key,
        node.id,
        ObjectRef("WorkloadGroup", namespace, group),
        canonical,
        plain(seen),
        network if isinstance(network, str) else "",
        locality if all(locality.split("/")) else "",
        proof,
        networks,
        since,
    )


def plain(address: str) -> str:
    """An IP address in its one form, IPv4 where it is that inside; empty for anything else."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)
