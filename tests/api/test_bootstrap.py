"""Bootstraps, checked by value and by a real Envoy."""

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from google.protobuf import json_format

from api.bootstrap import BootstrapOptions, bootstrap, bootstrap_json
from api.decode import lazy_pool
from tests.lab.envoy import Envoy, validate
from xdsd.compile.proxies import proxy_of
from xdsd.model.mesh import Interception, Proxy, Role
from xdsd.model.node import Node
from xdsd.settings import Address, TcpAddress, UnixAddress

LOCAL = TcpAddress("127.0.0.1", 15010)


def sidecar(*xds: Address, **more: Any) -> BootstrapOptions:
    return BootstrapOptions(Role.SIDECAR, "reviews-v1", "default", "10.0.0.1", xds or (LOCAL,), **more)


def parsed(options: BootstrapOptions) -> Bootstrap:
    """The bootstrap read by other code than that which wrote it."""
    return json_format.ParseDict(bootstrap_json(options), Bootstrap(), descriptor_pool=lazy_pool())


def test_a_machine_that_registers_itself_reports_its_health() -> None:
    """It names its group, and asks the daemon what to ask its program; others do neither."""
    made = parsed(sidecar(group="reviews"))
    assert json_format.MessageToDict(made.node.metadata)["AUTO_REGISTER_GROUP"] == "reviews"
    (service,) = made.hds_config.grpc_services
    assert service.envoy_grpc.cluster_name == "xds-grpc"
    assert not parsed(sidecar()).HasField("hds_config")


def test_the_node_says_who_the_proxy_is() -> None:
    """What the daemon reads from the node is what was asked for."""
    message = parsed(
        sidecar(
            labels={"app": "reviews", "version": "v1"},
            interception=Interception.NONE,
            http_proxy_port=15007,
            outbound_bind="127.0.0.2",
            cluster_id="east",
            network="vpc-1",
            locality="eu/eu-1/a",
            service_account="reviews",
        )
    )
    assert message.node.id == "sidecar~10.0.0.1~reviews-v1.default~default.svc.cluster.local"
    assert message.node.cluster == "reviews.default"
    metadata = json_format.MessageToDict(message.node.metadata)
    assert (metadata["NAME"], metadata["NAMESPACE"]) == ("reviews-v1", "default")
    assert metadata["SERVICE_ACCOUNT"] == "reviews"
    assert message.node.locality.sub_zone == "a"
    assert proxy_of(Node(message.node.id, metadata=metadata)) == Proxy(
        node_id=message.node.id,
        role=Role.SIDECAR,
        address="10.0.0.1",
        name="reviews-v1",
        namespace="default",
        domain="default.svc.cluster.local",
        labels={"app": "reviews", "version": "v1"},
        cluster="east",
        network="vpc-1",
        interception=Interception.NONE,
        http_proxy_port=15007,
        bind="127.0.0.2",
        metadata={key: value for key, value in metadata.items() if key != "LABELS"},
    )


def test_a_gateway_says_nothing_of_interception() -> None:
    """Its node id begins with router, and nothing is intercepted."""
    message = parsed(BootstrapOptions(Role.ROUTER, "ingress", "istio-system", "10.0.0.9", (LOCAL,)))
    assert message.node.id == "router~10.0.0.9~ingress.istio-system~istio-system.svc.cluster.local"
    assert "INTERCEPTION_MODE" not in message.node.metadata


def test_config_comes_by_incremental_ads_with_keepalive() -> None:
    """Delta ADS over HTTP/2 pings, clusters and listeners awaited without a limit."""
    message = parsed(sidecar())
    ads = message.dynamic_resources.ads_config
    assert ads.api_type == ads.DELTA_GRPC
    assert ads.grpc_services[0].envoy_grpc.cluster_name == "xds-grpc"
    for source in (message.dynamic_resources.cds_config, message.dynamic_resources.lds_config):
        assert source.WhichOneof("config_source_specifier") == "ads"
        assert source.HasField("initial_fetch_timeout")
        assert source.initial_fetch_timeout.ToSeconds() == 0
    (cluster,) = message.static_resources.clusters
    options = cluster.typed_extension_protocol_options[
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    ]
    written = json_format.MessageToDict(options, descriptor_pool=lazy_pool())
    keepalive = written["explicitHttpConfig"]["http2ProtocolOptions"]["connectionKeepalive"]
    assert keepalive == {"interval": "30s", "timeout": "10s"}


@pytest.mark.parametrize(
    ("xds", "kind"),
    [
        (LOCAL, "STATIC"),
        (TcpAddress("::1", 15010), "STATIC"),
        (TcpAddress("localhost", 15010), "STRICT_DNS"),
        (UnixAddress(Path("/run/xds.sock")), "STATIC"),
    ],
)
def test_the_daemon_is_found_by_ip_name_or_socket(xds: Address, kind: str) -> None:
    """A name is resolved by Envoy; an IP or a socket is taken as it is."""
    (cluster,) = parsed(sidecar(xds)).static_resources.clusters
    assert cluster.DiscoveryType.Name(cluster.type) == kind
    address = cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address
    if isinstance(xds, UnixAddress):
        assert address.pipe.path == "/run/xds.sock"
    else:
        assert (address.socket_address.address, address.socket_address.port_value) == (xds.host, xds.port)


def test_daemons_that_share_a_store_stand_in_for_each_other() -> None:
    """Each is an endpoint of the cluster that the configuration comes from."""
    (cluster,) = parsed(sidecar(LOCAL, TcpAddress("127.0.0.1", 15011))).static_resources.clusters
    (locality,) = cluster.load_assignment.endpoints
    ports = [each.endpoint.address.socket_address.port_value for each in locality.lb_endpoints]
    assert ports == [15010, 15011]


def test_the_admin_page_is_on_loopback() -> None:
    """Nobody off the machine reaches it, and no connection limit shuts it."""
    admin = parsed(sidecar(admin_port=15999)).admin
    assert admin.address.socket_address.address == "127.0.0.1"
    assert admin.address.socket_address.port_value == 15999
    assert admin.ignore_global_conn_limit


def test_a_proxy_may_ask_for_its_like() -> None:
    """Its metadata says so, and Envoy knows the cluster of its like, whose endpoints come over ADS."""
    message = parsed(sidecar(locality="eu/eu-1", zone_aware=True))
    assert json_format.MessageToDict(message.node.metadata)["ENABLE_SELF_DISCOVERY"] == "true"
    assert message.cluster_manager.local_cluster_name == "local_cluster"
    _, own = message.static_resources.clusters
    assert (own.name, own.eds_cluster_config.eds_config.HasField("ads")) == ("local_cluster", True)
    assert not parsed(sidecar()).HasField("cluster_manager")


def test_misspelt_values_are_refused_when_made() -> None:
    """The typed messages check what they are given."""
    with pytest.raises(ValueError, match="validation error"):
        bootstrap(sidecar(admin_port="many"))


@pytest.mark.e2e
@pytest.mark.parametrize(
    "options",
    [
        sidecar(labels={"app": "reviews"}, locality="eu/eu-1"),
        sidecar(TcpAddress("localhost", 15010), interception=Interception.NONE, http_proxy_port=15007),
        sidecar(UnixAddress(Path("/run/xds.sock"))),
        sidecar(locality="eu/eu-1", zone_aware=True),
        sidecar(LOCAL, TcpAddress("localhost", 15011)),
        BootstrapOptions(Role.ROUTER, "ingress", "istio-system", "::1", (TcpAddress("::1", 15010),)),
    ],
    ids=["sidecar", "explicit", "socket", "zones", "two daemons", "router"],
)
async def test_envoy_accepts_it(options: BootstrapOptions, tmp_path: Path) -> None:
    """A real Envoy takes each sort of bootstrap."""
    assert await validate(bootstrap_json(options), tmp_path) == ""


@pytest.mark.e2e
async def test_statistics_have_the_names_that_dashboards_know(tmp_path: Path) -> None:
    """A cluster's statistics carry its whole name, dots and bars included, as the tag cluster_name."""
    config = bootstrap_json(sidecar())
    name = "outbound|9080|v1|reviews.default.svc.cluster.local"
    config["staticResources"]["clusters"].append(
        {"name": name, "altStatName": f"{name};", "type": "STATIC", "connectTimeout": "1s"}
    )
    async with (
        Envoy(config, tmp_path, ready=False) as envoy,
        aiohttp.ClientSession() as session,
        session.get(f"http://{envoy.admin}/stats/prometheus") as response,
    ):
        text = await response.text()
    assert re.search(
        rf'^envoy_cluster_membership_total{{cluster_name="{re.escape(name)}"}} 0$', text, re.MULTILINE
    )
    assert 'cluster_name="xds-grpc"' in text
