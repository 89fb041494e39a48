"""At which workloads connections need not end when somebody is revoked."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.authorization.applying import Subject, applying
from xdsd.authorization.facts import Facts
from xdsd.authorization.outlook import Outlook, outlook
from xdsd.authorization.sparing import MOST_SCOPES, sparing
from xdsd.model.intent import AuthorizationPolicy, Metadata, Object
from xdsd.model.shut_out import NONE_SPARED, Scope

DOMAINS = ("cluster.local", "old.mesh")
MALLORY = "spiffe://cluster.local/ns/shop/sa/mallory"
NAMES = (MALLORY, MALLORY.replace("cluster.local", "old.mesh"))
ALICE = {"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/alice"]}}]}
EVIL = {"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/mallory"]}}]}


def policy(
    spec: dict[str, Any], *, namespace: str = "shop", name: str = "one", dry: str = "false"
) -> Object[AuthorizationPolicy]:
    """A policy; ``dry`` says whether it only counts."""
    meta = Metadata(namespace, name, annotations={"istio.io/dry-run": dry})
    return Object(
        "security.istio.io/v1", "AuthorizationPolicy", meta, AuthorizationPolicy.model_validate(spec)
    )


def spares(*policies: Object[AuthorizationPolicy], app: str = "web", namespace: str = "shop") -> bool:
    """Whether the workload of this label is spared when mallory is revoked."""
    return sparing(policies, NAMES, domains=DOMAINS, root="istio-system").spares(namespace, {"app": app})


@pytest.mark.parametrize(
    ("spec", "spared"),
    [
        ({}, True),
        ({"rules": [ALICE]}, True),
        ({"rules": [ALICE, EVIL]}, False),
        ({"rules": [{}]}, False),
        ({"rules": [{"from": [{"source": {"namespaces": ["shop"]}}]}]}, False),
        ({"rules": [{"from": [{"source": {"namespaces": ["bank", "b*"]}}]}]}, True),
        ({"rules": [{"from": [{"source": {"notNamespaces": ["shop"]}}]}]}, True),
        ({"rules": [{"from": [{"source": {"serviceAccounts": ["mallory"]}}]}]}, False),
        ({"rules": [{"from": [{"source": {"serviceAccounts": ["bank/mallory"]}}]}]}, True),
        ({"rules": [{"from": [{"source": {"principals": ["old.mesh/ns/shop/sa/mallory"]}}]}]}, False),
        ({"rules": [{"from": [{"source": {"trustDomains": ["their.example"]}}]}]}, True),
        ({"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}]}, False),
        ({"rules": [{"to": [{"operation": {"paths": ["/never"]}}]}]}, False),
        ({"rules": [{"when": [{"key": "source.namespace", "values": ["bank"]}]}]}, True),
        ({"rules": [{"when": [{"key": "source.principal", "notValues": ["*/sa/mallory"]}]}]}, True),
        ({"rules": [{"when": [{"key": "destination.port", "values": ["80"]}]}]}, False),
        ({"rules": [ALICE], "selector": {"matchLabels": {"app": "web"}}}, True),
        ({"rules": [ALICE], "selector": {"matchLabels": {"app": "db"}}}, False),
        ({"action": "DENY", "rules": [EVIL]}, True),
        ({"action": "DENY", "rules": [{}]}, True),
        ({"action": "DENY", "rules": [ALICE]}, False),
        ({"action": "DENY", "rules": [{**EVIL, "to": [{"operation": {"paths": ["/x"]}}]}]}, False),
        (
            {"action": "DENY", "rules": [{**EVIL, "when": [{"key": "destination.port", "values": ["1"]}]}]},
            False,
        ),
        (
            {
                "action": "DENY",
                "rules": [{"from": [{"source": {"namespaces": ["shop"], "ipBlocks": ["10.0.0.0/8"]}}]}],
            },
            False,
        ),
        ({"action": "AUDIT", "rules": [EVIL]}, False),
        ({"targetRef": {"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "g"}}, False),
    ],
)
def test_who_is_surely_kept_out_is_spared(spec: dict[str, Any], spared: bool) -> None:
    """By who asks alone: what may let somebody in spares nobody, and what looks at more denies nobody for sure."""
    assert spares(policy(spec)) is spared


def test_policies_that_only_count_spare_nobody() -> None:
    """A dry run decides nothing."""
    assert not spares(policy({}, dry="true"))
    assert spares(policy({}, dry="false"))


def test_one_policy_that_admits_is_enough() -> None:
    """Where several apply, one that lets somebody in does; a denial counts for more; others' policies count for nothing."""
    closed, open_ = policy({}, namespace="istio-system"), policy({"rules": [EVIL]})
    assert spares(closed)
    assert spares(closed, namespace="bank")
    assert not spares(closed, open_)
    assert spares(closed, open_, namespace="bank")
    assert spares(closed, open_, policy({"action": "DENY", "rules": [EVIL]}))
    assert not spares(policy({}, namespace="bank"))
    assert not spares()


def test_policies_that_are_new_spare_nobody() -> None:
    """Connections may be open that began before they were, at the workloads that they are for."""
    web = {"rules": [ALICE], "selector": {"matchLabels": {"app": "web"}}}
    closed, opened = policy(web), policy({**web, "rules": [EVIL]})
    for recent, spared in (([closed], False), ([opened], False), ([policy({}, namespace="bank")], True)):
        found = sparing([closed], NAMES, domains=DOMAINS, root="istio-system", recent=recent)
        assert found.spares("shop", {"app": "web"}) is spared
    denied = policy({"action": "DENY", "rules": [EVIL]})
    found = sparing([denied], NAMES, domains=DOMAINS, root="istio-system", recent=[closed])
    assert not found.spares("shop", {"app": "web"})
    assert found.spares("shop", {"app": "db"})


def test_what_is_kept_is_short() -> None:
    """Scopes that others hold are left out; where there are too many, nobody is spared."""
    many = [
        policy({"rules": [ALICE], "selector": {"matchLabels": {"app": f"a{number}"}}}, name=f"p{number}")
        for number in range(MOST_SCOPES + 1)
    ]
    assert sparing(many, NAMES, domains=DOMAINS, root="istio-system") == NONE_SPARED
    found = sparing([policy({}), *many], NAMES, domains=DOMAINS, root="istio-system")
    assert found.closed == (Scope("shop"),)
    elsewhere = policy({"rules": [EVIL]}, namespace="bank")
    assert sparing([policy({}), elsewhere], NAMES, domains=DOMAINS, root="istio-system").admitting == ()


def sources() -> st.SearchStrategy[dict[str, Any]]:
    """Sources that name identities in some way, or addresses."""
    return st.sampled_from(
        [
            {"principals": ["cluster.local/ns/shop/sa/mallory"]},
            {"principals": ["*/sa/mallory"]},
            {"principals": ["cluster.local/ns/shop/sa/alice"]},
            {"namespaces": ["shop"]},
            {"namespaces": ["bank"], "notPrincipals": ["*"]},
            {"notNamespaces": ["bank"]},
            {"serviceAccounts": ["shop/mallory"]},
            {"trustDomains": ["old.mesh"]},
            {"ipBlocks": ["10.0.0.0/8"]},
        ]
    )


def rules() -> st.SearchStrategy[dict[str, Any]]:
    """Rules of such sources, for some or all of what is asked."""
    return st.fixed_dictionaries(
        {},
        optional={
            "from": st.lists(sources().map(lambda each: {"source": each}), min_size=1, max_size=2),
            "to": st.sampled_from([[{"operation": {"ports": ["80"]}}], [{"operation": {"ports": ["81"]}}]]),
            "when": st.sampled_from(
                [
                    [{"key": "source.namespace", "values": ["shop"]}],
                    [{"key": "source.principal", "values": ["a*"]}],
                ]
            ),
        },
    )


def objects() -> st.SearchStrategy[Object[AuthorizationPolicy]]:
    """Policies of several namespaces, for all workloads or some."""
    return st.builds(
        lambda action, each, namespace, app: policy(
            {
                "action": action,
                "rules": each,
                **({"selector": {"matchLabels": {"app": app}}} if app else {}),
            },
            namespace=namespace,
        ),
        st.sampled_from(["ALLOW", "DENY"]),
        st.lists(rules(), min_size=1, max_size=2),
        st.sampled_from(["shop", "bank", "istio-system"]),
        st.sampled_from(["", "web", "db"]),
    )


@given(st.lists(objects(), max_size=5))
def test_nobody_is_spared_that_lets_it_in(policies: list[Object[AuthorizationPolicy]]) -> None:
    """Whatever policies there are, a workload that is spared refuses that identity on every port and from everywhere."""
    found = sparing(policies, NAMES, domains=DOMAINS, root="istio-system")
    for namespace in ("shop", "bank"):
        for app in ("web", "db"):
            if not found.spares(namespace, {"app": app}):
                continue
            subject = Subject(namespace, {"app": app})
            mine = applying(policies, subject, "istio-system")
            for who in NAMES:
                for port in (80, 81):
                    for source in ("10.0.0.1", "192.0.2.1"):
                        facts = Facts(peer=who, source=source, remote=source, port=port)
                        assert outlook(mine, facts, domains=DOMAINS) is Outlook.DENY
