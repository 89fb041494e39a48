"""Who may reach whom, asked by name."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from xdsd.authorization.outlook import Outlook
from xdsd.authorization.parties import UnknownError
from xdsd.authorization.reach import Question, Verdict, can, matrix
from xdsd.authorization.sites import NOTHING_SEEN, Seen, Site, site_of
from xdsd.manifest import parse_manifest
from xdsd.model.mesh import MeshSettings
from xdsd.registry.catalog import Catalog
from xdsd.registry.entries import Entries

BASE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}, {number: 5432, name: tcp, protocol: TCP}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{address: 10.0.0.1, labels: {app: web, security.istio.io/tlsMode: istio}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: client}
spec:
  hosts: [client.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{address: 10.0.0.2, labels: {app: client}}]
"""


def policy(name: str, spec: dict[str, Any], kind: str = "AuthorizationPolicy") -> str:
    head = {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": {"name": name}}
    return yaml.safe_dump({**head, "spec": spec})


def site(*documents: str, seen: Seen = NOTHING_SEEN) -> Site:
    manifest = parse_manifest("\n---\n".join((BASE, *documents)).encode(), "mesh.yaml")
    assert not manifest.problems, [str(problem) for problem in manifest.problems]
    objects = [parsed.object for parsed in manifest.objects]
    catalog = Catalog()
    catalog.apply("store", Entries("store", "cluster.local").apply(put=objects))
    services = dict(catalog.services())
    endpoints = {key: catalog.endpoints(key) for key in services}
    return site_of(objects, services, endpoints, MeshSettings(), seen)


def only(found: tuple[Verdict, ...]) -> Verdict:
    (verdict,) = found
    return verdict


READERS = policy(
    "readers",
    {
        "rules": [
            {
                "from": [{"source": {"principals": ["cluster.local/ns/default/sa/reader"]}}],
                "to": [{"operation": {"methods": ["GET"], "paths": ["/books/*"]}}],
            }
        ]
    },
)


def test_without_policies_everything_is_allowed() -> None:
    """Nothing is closed by default."""
    assert only(can(site(), Question("anonymous", "web"))).allowed


def test_the_rule_that_allows_is_named() -> None:
    """By policy and place; the target's port is where its workload is served."""
    verdict = only(can(site(READERS), Question("default/reader", "web", path="/books/1")))
    assert verdict.allowed
    assert str(verdict.decision.by) == "AuthorizationPolicy default/readers rules[0]"
    assert verdict.port == 8080


def test_the_nearest_miss_says_what_is_wanted() -> None:
    """Of the closest rule, each field that does not hold."""
    verdict = only(
        can(site(READERS), Question("default/reader", "web.default", method="POST", path="/books/1"))
    )
    assert not verdict.allowed
    assert verdict.decision.nearest is not None
    told = [str(failure) for failure in verdict.decision.nearest.failures]
    assert told == ["to[0].operation.methods wants GET; it is POST"]


def test_services_call_as_their_workloads() -> None:
    """With the account that their endpoints have, or the default one."""
    allowed = policy("clients", {"rules": [{"from": [{"source": {"serviceAccounts": ["default"]}}]}]})
    assert only(can(site(allowed), Question("client", "web"))).allowed
    assert not only(can(site(allowed), Question("10.0.0.2", "web"))).allowed


def test_a_deny_with_fields_of_http_denies_connections() -> None:
    """What is left of the rule is everything, as published."""
    denied = policy("posts", {"action": "DENY", "rules": [{"to": [{"operation": {"methods": ["POST"]}}]}]})
    assert only(can(site(denied), Question("client", "web"))).allowed
    assert not only(can(site(denied), Question("client", "web", port=5432))).allowed


def test_tokens_count_where_they_are_believed() -> None:
    """A token of an issuer that nobody believes is refused; without one a request has no identity of a token."""
    tokens = policy("tokens", {"jwtRules": [{"issuer": "https://issuer.example"}]}, "RequestAuthentication")
    wanted = policy(
        "wanted", {"rules": [{"from": [{"source": {"requestPrincipals": ["https://issuer.example/*"]}}]}]}
    )
    here = site(tokens, wanted)
    assert only(can(here, Question("client", "web", claims={"sub": "alice"}))).allowed
    assert not only(can(here, Question("client", "web"))).allowed
    stranger = only(can(here, Question("client", "web", claims={"iss": "https://other.example"})))
    assert stranger.refused.startswith("401")


def test_spellings_of_a_path_are_one() -> None:
    """As proxies normalize them."""
    denied = policy("admin", {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin*"]}}]}]})
    for path in ("/admin", "//admin", "/%2fadmin", "/x/../admin", "/./admin/", "/%61dmin"):
        assert not only(can(site(denied), Question("client", "web", path=path))).allowed, path


@pytest.mark.parametrize(
    ("source", "target", "port", "message"),
    [
        ("nobody", "web", 0, "there is no service nobody"),
        ("client", "nothing", 0, "there is no service nothing; there are client.default"),
        ("client", "web", 81, "has no port 81; its ports are 80, 5432"),
        ("spiffe://broken", "web", 0, "is no identity"),
        ("default/", "web", 0, "default/ is no identity; write NAMESPACE/ACCOUNT"),
        ("/client", "web", 0, "is no identity"),
        ("default/client/more", "web", 0, "is no identity"),
    ],
)
def test_who_is_unknown_is_told(source: str, target: str, port: int, message: str) -> None:
    """With what there is instead."""
    with pytest.raises(UnknownError, match=message):
        can(site(), Question(source, target, port=port))


def test_the_matrix_tells_what_depends_on_requests() -> None:
    """Always, never, or it depends."""
    allowed = policy(
        "some",
        {
            "selector": {"matchLabels": {"app": "web"}},
            "rules": [
                {
                    "from": [{"source": {"namespaces": ["default"]}}],
                    "to": [{"operation": {"paths": ["/open"]}}, {"operation": {"ports": ["5432"]}}],
                }
            ],
        },
    )
    found = {
        (cell.source, cell.target.partition(".")[0], cell.port): cell.outlook
        for cell in matrix(site(allowed))
    }
    client = "client.default.svc.cluster.local"
    assert found[client, "web", 80] is Outlook.SOME
    assert found[client, "web", 5432] is Outlook.DENY
    assert found["anonymous", "web", 80] is Outlook.DENY
    assert found["anonymous", "client", 80] is Outlook.ALLOW


def peers(name: str, spec: dict[str, Any], namespace: str = "default") -> str:
    head = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication"}
    return yaml.safe_dump({**head, "metadata": {"name": name, "namespace": namespace}, "spec": spec})


STRICT = peers("default", {"mtls": {"mode": "STRICT"}}, "istio-system")
OPEN_PORT = {
    "selector": {"matchLabels": {"app": "web"}},
    "mtls": {"mode": "UNSET"},
    "portLevelMtls": {"8080": {"mode": "PERMISSIVE"}},
}


def test_who_has_no_identity_is_refused_where_mutual_tls_alone_is_taken() -> None:
    """By the mesh's word unless the namespace, the workload or its port says otherwise; and the policy is named."""
    strict = site(STRICT)
    refused = only(can(strict, Question("anonymous", "web")))
    assert not refused.allowed
    assert refused.refused == "plaintext is refused: PeerAuthentication istio-system/default is STRICT"
    assert not only(can(strict, Question("10.9.9.9", "web"))).allowed
    assert only(can(strict, Question("client", "web"))).allowed
    opened = site(STRICT, peers("web", OPEN_PORT))
    assert only(can(opened, Question("anonymous", "web"))).allowed
    assert not only(can(opened, Question("anonymous", "web", port=5432))).allowed
    assert only(
        can(site(STRICT, peers("all", {"mtls": {"mode": "PERMISSIVE"}})), Question("anonymous", "web"))
    ).allowed
    cells = {
        (each.source, each.port): each.outlook for each in matrix(opened) if each.target.startswith("web")
    }
    assert cells["anonymous", 80] is Outlook.ALLOW
    assert cells["anonymous", 5432] is Outlook.DENY
    assert cells["client.default.svc.cluster.local", 5432] is Outlook.ALLOW


def test_nobody_has_an_identity_where_mutual_tls_is_disabled() -> None:
    """Policies that ask for one let nobody in."""
    closed = site(READERS, peers("web", {"mtls": {"mode": "DISABLE"}}))
    verdict = only(can(closed, Question("default/reader", "web", path="/books/1")))
    assert not verdict.allowed
    assert verdict.source.peer == ""


def test_who_is_revoked_is_so_by_the_names_of_aliases() -> None:
    """Of the mesh's own trust domain; an alias that is revoked is that name alone."""
    own, old = (f"spiffe://{domain}/ns/default/sa/reader" for domain in ("cluster.local", "old.mesh"))
    mesh = yaml.safe_dump(
        {
            "apiVersion": "mesh.xdsd.io/v1",
            "kind": "MeshConfig",
            "metadata": {"name": "default", "namespace": "istio-system"},
            "spec": {"trustDomainAliases": ["old.mesh"]},
        }
    )
    assert site(mesh, seen=Seen(frozenset({own}))).revoked == {own, old}
    assert site(mesh, seen=Seen(frozenset({old}))).revoked == {old}


class Counted(tuple[Any, ...]):
    """Counts how often it was gone through."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        type(self).times += 1
        return super().__iter__()


def test_a_matrix_looks_through_policies_once_for_all_cells() -> None:
    """And not again for each caller at each port."""
    here = site(READERS, STRICT)
    counted = Counted(here.policies)
    many = replace(here, policies=counted)
    assert len(matrix(many)) == 6
    assert Counted.times == 1
    assert matrix(many) == matrix(here)


@pytest.mark.parametrize("told", ["unknown", "10.0.0.1:80", "[::1]", "203.0.113.9, -"])
def test_what_is_no_address_says_nothing_of_the_client(told: str) -> None:
    """As Envoy takes it, the client is who connects then."""
    blocks = {"action": "DENY", "rules": [{"from": [{"source": {"remoteIpBlocks": ["10.0.0.2/32"]}}]}]}
    headers = (("x-forwarded-for", told),)
    verdict = only(can(site(policy("blocks", blocks)), Question("client", "web", headers=headers)))
    assert not verdict.allowed
    elsewhere = (("x-forwarded-for", "203.0.113.9"),)
    assert only(can(site(policy("blocks", blocks)), Question("client", "web", headers=elsewhere))).allowed
