"""Registries as users name them: short with a query, or long in the file."""

from pathlib import Path

import pytest

from xdsd.config import ConfigError, dump, load
from xdsd.model.catalog import Protocol
from xdsd.registry.consul import Consistency, ConsulOptions, Hosts, Warned
from xdsd.registry.kubernetes import Cluster
from xdsd.setting_registries import RegistrySource, parse_registry

LONG = """\
registry:
- machines:/etc/xdsd/vms
- consul:
    url: https://consul.example:8501/
    token-file: /etc/xdsd/consul.token
    ca: /etc/xdsd/consul-ca.pem
    cert: /etc/xdsd/consul.pem
    key: /etc/xdsd/consul.key
    datacenter: dc2
    namespace: team_a
    consistency: stale
    warning: unhealthy
    tag-separators: "|"
    address: [wan, service, node]
    hosts: mesh
    mesh-namespace: shop
    network: east
    port: 80
    protocol: http
    connections: 6000
    hold: 10m
"""
OPTIONS = ConsulOptions(
    token_file=Path("/etc/xdsd/consul.token"),
    ca=Path("/etc/xdsd/consul-ca.pem"),
    cert=Path("/etc/xdsd/consul.pem"),
    key=Path("/etc/xdsd/consul.key"),
    datacenter="dc2",
    namespace="team_a",
    consistency=Consistency.STALE,
    warning=Warned.UNHEALTHY,
    tag_separators="|",
    address=("wan", "service", "node"),
    hosts=Hosts.MESH,
    mesh_namespace="shop",
    network="east",
    port=80,
    protocol=Protocol.HTTP,
    connections=6000,
    hold=600.0,
)


def flagged(*values: object) -> tuple[RegistrySource, ...]:
    """What the flag ``--registry`` makes of these values."""
    return load(None, {"HOME": "/h"}, {"registry": values}, uid=1).registry


def refused(*values: object) -> str:
    """The sentence with which these are refused."""
    with pytest.raises(ConfigError) as error:
        flagged(*values)
    return str(error.value)


def test_a_consul_has_options_in_the_file(tmp_path: Path) -> None:
    """Every option can be said in a mapping beside the URL."""
    file = tmp_path / "xdsd.yaml"
    file.write_text(LONG)
    loaded = load(file, {"HOME": "/h"}, {}, uid=1)
    assert loaded.registry == (
        RegistrySource("machines", "/etc/xdsd/vms"),
        RegistrySource("consul", "https://consul.example:8501", OPTIONS),
    )


def test_a_consul_has_options_in_a_query_too() -> None:
    """The short form says the same by the same names."""
    long = RegistrySource("consul", "https://consul.example:8501", OPTIONS)
    assert flagged(str(long)) == (long,)
    assert flagged("consul:http://127.0.0.1:8500?hosts=mesh&protocol=GRPC-Web") == (
        RegistrySource(
            "consul",
            "http://127.0.0.1:8500",
            ConsulOptions(hosts=Hosts.MESH, protocol=Protocol.GRPC_WEB),
        ),
    )


def test_what_is_dumped_loads_to_the_same(tmp_path: Path) -> None:
    """A dump holds the options, and no others than those that were given."""
    file = tmp_path / "xdsd.yaml"
    file.write_text(LONG)
    loaded = load(file, {"HOME": "/h"}, {}, uid=1)
    file.write_text(dump(loaded))
    assert load(file, {}, {}, uid=1) == loaded
    assert str(flagged("consul:http://localhost")[0]) == "consul:http://localhost:8500"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://127.0.0.1", "http://127.0.0.1:8500"),
        ("https://consul.example", "https://consul.example:8501"),
        ("https://[fd00::1]", "https://[fd00::1]:8501"),
        ("http://[::1]:1234/", "http://[::1]:1234"),
        ("unix:///run/consul.sock", "unix:///run/consul.sock"),
    ],
)
def test_addresses_of_consul(url: str, meant: str) -> None:
    """Ports may be left out; agents listen on sockets too."""
    assert flagged(f"consul:{url}")[0].location == meant


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("consul:ftp://127.0.0.1", "is not the address of a Consul: write http://127.0.0.1:8500"),
        ("consul:http://user:secret@127.0.0.1", "a token stands in token-file"),
        ("consul:http://127.0.0.1/v1", "is not the address of a Consul"),
        ("consul:http://10.0.0.1:8500", "write https://10.0.0.1:8500, or ask an agent on this machine"),
        ("consul:http://127.0.0.1?tokenfile=x", "tokenfile is not an option; did you mean token-file?"),
        ("consul:http://127.0.0.1?token=x", "token is not an option; did you mean token-file?"),
        ("consul:http://127.0.0.1?consistency=fresh", "consistency: 'fresh' is refused: input should be"),
        ("consul:http://127.0.0.1?port=0", "port: '0' is refused: input should be greater than or equal"),
        ("consul:http://127.0.0.1?hold=9", "hold: '9' is not a duration: write 9s for seconds"),
        ("consul:http://127.0.0.1?port=1&port=2", "says an option twice"),
        ("consul:http://127.0.0.1?ca=/x", "ca, cert and key are for TLS; write https://"),
        ("consul:https://127.0.0.1?cert=/x", "cert needs key beside it"),
        ("consul:https://127.0.0.1?hosts=datacenter", "hosts=datacenter needs a datacenter beside it"),
        ("consul:https://127.0.0.1?network=", "network: '' is refused"),
        ("consul:https://127.0.0.1?address=", "address: [] is refused"),
        ("consul:https://127.0.0.1?mesh-namespace=A.b", "mesh-namespace: 'A.b' is refused"),
        ({"consul": {"port": 80}}, "consul: url is missing; write http://127.0.0.1:8500"),
        ({"consul": "http://127.0.0.1"}, "is not a registry; write consul: {url: URL, …}"),
        ({"nomad": {"url": "x"}}, "is not a registry"),
        (7, "7 is not a registry; write machines:PATH, consul:URL or kubernetes[:KUBECONFIG]"),
    ],
)
def test_mistakes_are_named(given: object, said: str) -> None:
    """Each says what would be right; a token has no place but a file."""
    assert said in refused(given)


@pytest.mark.parametrize(
    "form", ["consul:http://user:secret@127.0.0.1:8500", {"consul": {"url": "secret@h"}}]
)
def test_no_message_repeats_a_password(form: object) -> None:
    """Messages go to the journal: the part of an address that may be secret does not."""
    said = refused(form)
    assert "takes no user and password in its address: leave them out; a token stands in token-file" in said
    assert "secret" not in said


def test_a_cluster_has_options_too(tmp_path: Path) -> None:
    """In a query, or in the file; without a kubeconfig it is the one that the daemon runs in."""
    cluster = Cluster(
        Path("/etc/xdsd/east.yaml"),
        "admin",
        "east",
        "net",
        ("shop", "desk"),
        ("shop",),
        ("edge/shop-tls", "till/*"),
        ("all",),
        ("10.0.0.1", "lb.example"),
        90.0,
    )
    file = tmp_path / "xdsd.yaml"
    file.write_text(
        "registry: [kubernetes, {kubernetes: {kubeconfig: /etc/xdsd/east.yaml, context: admin, name: east, "
        "network: net, namespaces: [shop, desk], intent: shop, secrets: [edge/shop-tls, till/*], "
        "ingress: all, ingress-address: [10.0.0.1, lb.example], hold: 90s}}]\n"
        "xds-tls-address: 127.0.0.1:15012\n"
    )
    loaded = load(file, {}, {}, uid=1)
    here, east = loaded.registry
    assert here == RegistrySource("kubernetes", "", Cluster())
    assert east == RegistrySource("kubernetes", "/etc/xdsd/east.yaml", cluster)
    assert [here.name, east.name] == ["kubernetes", "kubernetes:east"]
    assert (parse_registry(str(here)), parse_registry(str(east))) == (here, east)
    file.write_text(dump(loaded))
    assert load(file, {}, {}, uid=1) == loaded


def test_intent_of_a_cluster_is_asked_for() -> None:
    """None is what is meant where nothing is said."""
    (none, every, some) = flagged(
        "kubernetes?intent=none", "kubernetes?name=b&intent=all", "kubernetes?name=c&intent=d,e"
    )
    assert [each.options for each in (none, every, some)] == [
        Cluster(),
        Cluster(name="b", intent=("all",)),
        Cluster(name="c", intent=("d", "e")),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("kubernetes?context=a", "a context is one of a kubeconfig; write kubernetes:KUBECONFIG"),
        ("kubernetes?names=a", "kubernetes: names is not an option; did you mean name?"),
        ("kubernetes?name=a/b", "kubernetes: name: 'a/b' is refused"),
        ("kubernetes?namespaces=", "kubernetes: namespaces: [] is refused"),
        ("kubernetes?namespaces=A", "kubernetes: namespaces: 'A' is refused"),
        ("kubernetes?intent=all,shop", "intent: all stands alone; write all, none or names of namespaces"),
        ("kubernetes?intent=A", "kubernetes: intent: 'A' is refused"),
        ("kubernetes?ingress-address=10.0.0.1", "ingress-address is for Ingresses; set ingress"),
        ("kubernetes?hold=long", "kubernetes: hold: "),
        ("kubernetes?ingres=all", "kubernetes: ingres is not an option; did you mean ingress?"),
        ("kubernetes?secrets=shop", "kubernetes: secrets: 'shop' is refused"),
        ("kubernetes?secrets=*/shop", "kubernetes: secrets: '*/shop' is refused"),
        ({"kubernetes": "x"}, "write consul: {url: URL, …} or kubernetes: {kubeconfig: PATH, …}"),
    ],
)
def test_mistakes_about_clusters_are_named(given: object, said: str) -> None:
    """Each says what would be right."""
    assert said in refused(given)


def test_every_mistake_of_one_consul_is_told() -> None:
    """Not only the first one."""
    found = refused("consul:http://127.0.0.1?port=x&warning=maybe&spare=1")
    assert all(word in found for word in ("port", "warning", "spare is not an option"))


def test_two_sources_of_one_name_are_refused() -> None:
    """The same Consul twice would be one source with two minds; two datacenters of it are two."""
    assert "is given twice" in refused("consul:http://127.0.0.1", "consul:http://127.0.0.1?hosts=mesh")
    assert len(flagged("consul:http://127.0.0.1", "consul:http://127.0.0.1?datacenter=dc2")) == 2
