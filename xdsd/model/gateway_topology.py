"""What stands in front of a gateway: proxies and balancers that are believed who calls.

The MeshConfig says it for all gateways, and the node of a gateway for itself, in its metadata ``PROXY_CONFIG`` and in the
same words. Each value is decided for itself.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from xdsd.model.intent import ForwardClientCertDetails, Topology

WORD = "gatewayTopology"
"""What it is called in Istio's ProxyConfig."""

_WORDS = ("numTrustedProxies", "forwardClientCertDetails", "proxyProtocol")


class GatewayTopology(NamedTuple):
    """``trusted_proxies`` is the number of those whose ``x-forwarded-for`` is believed, ``client_certs`` what becomes of
    ``x-forwarded-client-cert``; None where nobody says. With ``proxy_protocol`` connections begin with the PROXY protocol.
    """

    trusted_proxies: int | None = None
    client_certs: ForwardClientCertDetails | None = None
    proxy_protocol: bool = False

    def over(self, other: "GatewayTopology") -> "GatewayTopology":
        """What holds where both speak: this one's values, and the other's where this one has none."""
        return GatewayTopology(
            other.trusted_proxies if self.trusted_proxies is None else self.trusted_proxies,
            other.client_certs if self.client_certs is None else self.client_certs,
            self.proxy_protocol or other.proxy_protocol,
        )

    def written(self) -> dict[str, Any]:  # Any: JSON
        """As a node says it of itself; empty where nothing is said."""
        values: dict[str, Any] = {
            "numTrustedProxies": self.trusted_proxies,
            "forwardClientCertDetails": None if self.client_certs is None else self.client_certs.value,
            "proxyProtocol": {} if self.proxy_protocol else None,
        }
        return {name: value for name, value in values.items() if value is not None}


UNSAID = GatewayTopology()


def topology_of(said: Topology | None) -> GatewayTopology:
    """What an object says."""
    if said is None:
        return UNSAID
    details = said.forward_client_cert_details
    return GatewayTopology(
        said.num_trusted_proxies,
        None if details is ForwardClientCertDetails.UNDEFINED else details,
        said.proxy_protocol is not None,
    )


def read_topology(value: Any) -> GatewayTopology:  # Any: JSON of a node
    """What a node says of itself. Raises ValueError, which says what is wrong with it."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a map")  # noqa: TRY004 - it is about the text of a node
    unknown = [name for name in value if name not in _WORDS]
    if unknown:
        raise ValueError(f"has {str(unknown[0])[:40]!r}; there are {', '.join(_WORDS)}")
    return GatewayTopology(
        _count(value.get("numTrustedProxies")),
        _details(value.get("forwardClientCertDetails")),
        _is_told(value.get("proxyProtocol")),
    )


def _count(value: Any) -> int | None:
    if value is None:
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if not 0 <= number < 1 << 32 or number != int(number):
        raise ValueError("has numTrustedProxies that is no number of proxies")
    return int(number)


def _details(value: Any) -> ForwardClientCertDetails | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in set(ForwardClientCertDetails):
        raise ValueError(
            f"has another forwardClientCertDetails than there are: {', '.join(ForwardClientCertDetails)}"
        )
    found = ForwardClientCertDetails(value)
    return None if found is ForwardClientCertDetails.UNDEFINED else found


def _is_told(value: Any) -> bool:
    if value is not None and value != {}:
        raise ValueError("has proxyProtocol with something in it; write {}")
    return value is not None
