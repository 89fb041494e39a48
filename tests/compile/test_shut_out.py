"""What becomes of config when somebody is revoked: who is refused, and which connections end."""

from dataclasses import replace

from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext

from tests.compile.worlds import Sandbox, proxy, service
from xdsd.model.catalog import Endpoint, Location, Port, Protocol
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import MeshConfig, Metadata, Object
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.shut_out import NOBODY, Scope, ShutOut, Spared, Turn
from xdsd.snapshot import CLUSTER, EXTENSION, LISTENER

ABLE = {"security.istio.io/tlsMode": "istio"}
ALICE = "spiffe://cluster.local/ns/default/sa/alice"
BOB = "spiffe://cluster.local/ns/default/sa/bob"
TCP = Port(3306, "mysql", Protocol.MYSQL, 3306)
OUT = "outbound|3306||{}.default.svc.cluster.local"


def mesh() -> tuple[Sandbox, str]:
    """``left`` is of alice and ``right`` of bob, and a proxy beside left's program calls right."""
    found = Sandbox()
    for name, address, account in (("left", "10.1.0.1", "alice"), ("right", "10.1.0.2", "bob")):
        own = (f"10.96.0.{address[-1]}",)
        declared = replace(service(name), ports=(TCP,), location=Location.MESH_INTERNAL, addresses=own)
        found.put_service(declared, Endpoint(address, {"mysql": 3306}, labels=ABLE, service_account=account))
    alice = SpiffeID("cluster.local", "default", "alice")
    node = found.attach(replace(proxy(), labels={"app": "left"}, identity=alice))
    found.settle()
    return found, node


def revoked(*identities: str, turn: str = "1") -> ShutOut:
    """These, whose connections end."""
    return ShutOut(frozenset(identities), dict.fromkeys(identities, Turn(turn)))


def changed(found: Sandbox, node: str, shut_out: ShutOut) -> set[tuple[str, str]]:
    """What a proxy is sent once somebody is shut out."""
    before = found.versions(node)
    found.compiler.set_shut_out(shut_out)
    found.settle()
    after = found.versions(node)
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def test_what_is_refused_is_told_without_a_change_of_listeners() -> None:
    """Where connections are kept, only the filters that refuse are told, and clusters whose servers are gone."""
    found, node = mesh()
    assert changed(found, node, ShutOut(frozenset({BOB}))) == {
        (EXTENSION, "envoy.filters.http.rbac|deny"),
        (EXTENSION, "envoy.filters.network.rbac|deny"),
        (CLUSTER, OUT.format("right")),
    }
    told = found.message(node, EXTENSION, "envoy.filters.http.rbac|deny")
    rules = RBAC.FromString(told.typed_config.value).rules
    (principal,) = rules.policies["revoked"].principals
    assert principal.authenticated.principal_name.exact == BOB
    assert rules.action == rules.DENY


def test_connections_end_of_peers_and_towards_whoever_is_revoked() -> None:
    """The doors of peers are made anew, and the chains and clusters that lead to the revoked, but to nobody else."""
    found, node = mesh()
    listeners = {name for kind, name in changed(found, node, revoked(BOB)) if kind == LISTENER}
    assert listeners == {"virtualInbound", "10.96.0.2_3306"}
    for name, expected in (("virtualInbound", "virtualInbound"), ("10.96.0.2_3306", OUT.format("right"))):
        listener = found.message(node, LISTENER, name)
        turned = [
            chain.name
            for chain in (*listener.filter_chains, listener.default_filter_chain)
            if "turn" in chain.metadata.filter_metadata["xdsd"].fields
        ]
        assert expected in turned
        assert "virtualInbound-blackhole" not in turned
    assert "turn" in found.message(node, CLUSTER, OUT.format("right")).metadata.filter_metadata["xdsd"].fields


def test_the_end_of_a_revocation_ends_no_connection() -> None:
    """Turns stay; the filters and the cluster are as they were."""
    found, node = mesh()
    changed(found, node, revoked(BOB))
    over = replace(revoked(BOB), identities=frozenset())
    assert {kind for kind, _ in changed(found, node, over)} == {EXTENSION, CLUSTER}
    assert changed(found, node, revoked(BOB, turn="2")) >= {(LISTENER, "virtualInbound")}
    assert (LISTENER, "virtualInbound") in changed(found, node, NOBODY)


def test_nobody_answers_for_a_service_whose_account_is_revoked() -> None:
    """Its cluster does not fall back to whoever is of the namespace."""
    found, node = mesh()
    changed(found, node, ShutOut(frozenset({BOB})))
    cluster = found.message(node, CLUSTER, OUT.format("right"))
    context = UpstreamTlsContext.FromString(
        cluster.transport_socket_matches[0].transport_socket.typed_config.value
    )
    combined = context.common_tls_context.combined_validation_context
    (name,) = combined.default_validation_context.match_typed_subject_alt_names
    assert name.matcher.exact == "spiffe://nobody.invalid/"
    assert not name.matcher.prefix


def test_workloads_that_were_spared_keep_their_doors() -> None:
    """What is spared is decided by its namespace and labels; what leads to the revoked ends all the same."""
    for scope, kept in (
        (Scope("", (("app", "left"),)), True),
        (Scope("default"), True),
        (Scope("bank"), False),
        (Scope("", (("app", "right"),)), False),
    ):
        found, node = mesh()
        turn = Turn("1", Spared(closed=(scope,)))
        listeners = {
            name
            for kind, name in changed(found, node, ShutOut(frozenset({BOB}), {BOB: turn}))
            if kind == LISTENER
        }
        assert listeners == {"10.96.0.2_3306"} | (set() if kept else {"virtualInbound"}), scope


def test_a_turn_of_everybody_is_of_each_door() -> None:
    """It takes the place of turns that are forgotten, so the doors that knew those are made anew."""
    found, node = mesh()
    changed(found, node, revoked(BOB))
    everybody = ShutOut(frozenset({BOB}), {"": Turn("2")})
    assert (LISTENER, "virtualInbound") in changed(found, node, everybody)


def test_who_is_revoked_is_so_by_the_names_of_aliases() -> None:
    """Of the mesh's own trust domain; an alias that is revoked is that name alone."""
    found, node = mesh()
    spec = MeshConfig.model_validate({"trustDomainAliases": ["old.mesh"]})
    found.put_object(Object("mesh.istio.io/v1alpha1", "MeshConfig", Metadata("istio-system", NAME), spec))
    found.settle()
    old = BOB.replace("cluster.local", "old.mesh")
    for revoked_one, refused in ((BOB, [BOB, old]), (old, [old])):
        changed(found, node, ShutOut(frozenset({revoked_one})))
        told = found.message(node, EXTENSION, "envoy.filters.http.rbac|deny")
        rules = RBAC.FromString(told.typed_config.value).rules.policies["revoked"]
        assert [each.authenticated.principal_name.exact for each in rules.principals] == refused
        cluster = found.message(node, CLUSTER, OUT.format("right"))
        context = UpstreamTlsContext.FromString(
            cluster.transport_socket_matches[0].transport_socket.typed_config.value
        )
        combined = context.common_tls_context.combined_validation_context
        names = combined.default_validation_context.match_typed_subject_alt_names
        believed = {BOB, old} - set(refused) or {"spiffe://nobody.invalid/"}
        assert {each.matcher.exact for each in names} == believed
