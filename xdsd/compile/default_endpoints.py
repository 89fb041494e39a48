"""Where a gateway's server sends what no rule leads elsewhere: a program of its own machine (``defaultEndpoint``)."""

from typing import NamedTuple

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from xdsd.compile.addresses import is_unix, listen_address
from xdsd.compile.names import Direction, stat_name
from xdsd.compile.upstream import apply_http_options
from xdsd.model.admin_page import is_admin_page
from xdsd.model.catalog import Protocol


class DefaultEndpoint(NamedTuple):
    """``address`` is ``127.0.0.1:9081``, ``[::1]:9081``, ``unix:///path`` or ``unix://@name``; with ``http2`` the program
    is spoken to in HTTP/2.
    """

    address: str
    http2: bool = False

    @property
    def cluster(self) -> str:
        """``inbound|9081||127.0.0.1``: the way there."""
        host, port = self._place
        return f"{Direction.INBOUND}|{port}|{'http2' if self.http2 else ''}|{host}"

    def is_admin_page(self, admin: int) -> bool:
        """True if it is the page of a proxy that has it at the port ``admin``."""
        return is_admin_page(*self._place, admin)

    @property
    def _place(self) -> tuple[str, int]:
        if is_unix(self.address):
            return self.address, 0
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    def made(self) -> Cluster:
        """The cluster."""
        cluster = Cluster(name=self.cluster, alt_stat_name=stat_name(self.cluster), type=Cluster.STATIC)
        cluster.load_assignment.cluster_name = self.cluster
        host = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
        host.address.CopyFrom(listen_address(*self._place))
        apply_http_options(cluster, Protocol.HTTP2 if self.http2 else Protocol.HTTP, upgradable=False)
        return cluster
