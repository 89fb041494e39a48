"""``xdsctl proxies``, ``config``, ``problems``, ``status`` and ``version``."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from api.commands.output import readable
from storage.base import StoreStatus, Unavailable
from tests.api.daemon import Daemon
from tests.api.mesh import NODE, OTHER, REVIEWS, snapshot, status
from tests.xdsctl.conftest import Xdsctl
from xdsd.health import Check
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.secret import SecretStatus
from xdsd.protocol.watch import State
from xdsd.reconcile import SourceStatus
from xdsd.snapshot import VIRTUAL_HOST


@pytest.fixture
def mesh(server: Daemon) -> Daemon:
    """A daemon with two proxies."""
    server.mesh.snapshot = snapshot()
    server.proxies.streams = [status(NODE), status(OTHER)]
    return server


def test_proxies_are_listed_with_how_far_they_are(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """istioctl's words for each type, and what was rejected below."""
    result = xdsctl("proxies")
    assert result.stdout.splitlines() == [
        "NAME                     ROLE      CDS      LDS        EDS     RDS      SDS        ECDS       VERSION",
        "productpage-v1.default   sidecar   SYNCED   NOT SENT   STALE   NACKED   NOT SENT   NOT SENT   1.40.0",
        "productpage-v1.other     sidecar   SYNCED   NOT SENT   STALE   NACKED   NOT SENT   NOT SENT   1.40.0",
    ]
    assert result.stderr.splitlines()[0] == "productpage-v1.default rejects RDS: 9080: duplicate domain"


def test_virtual_hosts_have_a_column_where_somebody_discovers_them(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """Others have none to discover, and a table that is narrower."""
    found = status(OTHER)
    hosts = replace(found.types[0], type_url=VIRTUAL_HOST, state=State.STALE)
    mesh.proxies.streams = [status(NODE), replace(found, types=(*found.types, hosts))]
    head, first, second = xdsctl("proxies").stdout.splitlines()
    at = head.index("VHDS")
    assert first[at:].startswith("NOT SENT")
    assert second[at:].startswith("STALE")


def test_proxies_as_data(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """-o json has everything, one proxy where it is named."""
    (found,) = json.loads(xdsctl("proxies", NODE, "-o", "json").stdout)["proxies"]
    assert found["node"] == NODE
    assert (found["name"], found["namespace"], found["address"]) == ("productpage-v1", "default", "10.0.0.1")
    assert found["peer"] == "ipv4:127.0.0.1:4711"
    assert found["connected"].startswith("2026-01-0")
    assert found["types"]["rds"]["state"] == "NACKED"
    assert found["types"]["rds"]["error"] == "9080: duplicate domain"
    assert found["types"]["cds"]["resources"] == 3
    assert found["types"]["eds"]["resources"] == 2
    wide = xdsctl("proxies", "productpage-v1.default", "-o", "wide").stdout
    assert wide.splitlines()[1].endswith(NODE)


def test_no_proxies_is_said(xdsctl: Xdsctl) -> None:
    """And one that is not connected is a failure."""
    assert xdsctl("proxies").stderr == "No proxies are connected.\n"
    result = xdsctl("proxies", "none")
    assert result.exit_code == 1
    assert result.stderr == 'Error: proxy "none" is not connected; `xdsctl proxies` lists those that are\n'


def test_clusters_are_a_table(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """istioctl's columns, sorted; filters narrow; wide has the name."""
    assert xdsctl("config", "cluster", "productpage-v1.default").stdout.splitlines() == [
        "SERVICE FQDN                        PORT   SUBSET   DIRECTION   TYPE",
        "-                                   9080   -        inbound     STATIC",
        "BlackHoleCluster                    -      -        -           STATIC",
        "reviews.default.svc.cluster.local   9080   v1       outbound    EDS",
    ]
    narrowed = xdsctl(
        "config", "cluster", NODE, "--fqdn", "reviews.default.svc.cluster.local", "--port", "9080"
    )
    assert len(narrowed.stdout.splitlines()) == 2
    assert REVIEWS in xdsctl("config", "cluster", NODE, "-o", "wide").stdout


def test_listeners_are_a_table(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """A line a filter chain; a port narrows."""
    assert xdsctl("config", "listener", NODE, "--port", "9080").stdout.splitlines() == [
        "ADDRESS   PORT   MATCH   DESTINATION",
        "0.0.0.0   9080   ALL     Route: 9080",
    ]


def test_routes_are_a_table_with_inline_ones(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """The owner stands in its column; -o json has the route tables."""
    text = xdsctl("config", "route", NODE).stdout
    assert "reviews + 1 more" in text
    assert "reviews.default" in text
    assert "inbound|9080||" in text
    assert "inbound|9080||" not in xdsctl("config", "route", NODE, "--name", "9080").stdout
    (table,) = json.loads(xdsctl("config", "route", NODE, "-o", "json").stdout)
    assert table["name"] == "9080"
    assert table["resource"]["virtualHosts"][0]["domains"] == ["reviews", "reviews.default"]
    assert table["version"]


def test_endpoints_are_a_table(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """Health in words; a cluster narrows; YAML is the same data."""
    text = xdsctl("config", "endpoint", NODE, "--cluster", REVIEWS, "--status", "healthy").stdout
    assert text.splitlines() == [
        "ENDPOINT        STATUS    CLUSTER",
        f"10.0.1.1:9080   HEALTHY   {REVIEWS}",
    ]
    (found,) = yaml.safe_load(xdsctl("config", "endpoint", NODE, "-o", "yaml").stdout)
    assert found["resource"]["clusterName"] == REVIEWS


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ("productpage-v1", f"'productpage-v1' may be any of {NODE}, {OTHER}; use one of these"),
        (
            "productpage-v1.defaul",
            'proxy "productpage-v1.defaul" is not known; did you mean productpage-v1.default?',
        ),
        ("x", 'proxy "x" is not known; `xdsctl proxies` lists those that are'),
    ],
)
def test_a_node_must_be_known(mesh: Daemon, xdsctl: Xdsctl, node: str, sentence: str) -> None:
    """An ambiguous or unknown name is refused with what it may mean."""
    result = xdsctl("config", "cluster", node)
    assert (result.exit_code, result.stderr) == (1, f"Error: {sentence}\n")


def test_problems_are_listed(server: Daemon, xdsctl: Xdsctl) -> None:
    """A line each, warnings marked; of a namespace; as data."""
    assert xdsctl("problems").stdout == "No problems found.\n"
    server.mesh.found = [
        Problem(
            Reason.OUT_OF_RANGE,
            "-5 is below 0",
            ObjectRef("VirtualService", "default", "reviews"),
            "spec.x",
            "a.yaml",
            3,
        ),
        Problem(
            Reason.BROKEN_REFERENCE,
            "no such host",
            ObjectRef("VirtualService", "prod", "x"),
            severity=Severity.WARNING,
        ),
    ]
    assert xdsctl("problems").stdout.splitlines() == [
        "a.yaml:3: VirtualService default/reviews spec.x: -5 is below 0 (OutOfRange)",
        "warning: VirtualService prod/x: no such host (BrokenReference)",
    ]
    (found,) = json.loads(xdsctl("problems", "-n", "prod", "-o", "json").stdout)["problems"]
    assert (found["reason"], found["severity"], found["object"]["name"]) == (
        "BrokenReference",
        "warning",
        "x",
    )


def test_status_fails_until_ready(server: Daemon, xdsctl: Xdsctl) -> None:
    """What is missing is said; registries have their counts."""
    server.health.parts = [Check("store", ok=True), Check("xds port", ok=False, detail="not listening yet")]
    server.mesh.registries = [SourceStatus("machines:/vms", synced=True, services=3, workloads=5)]
    result = xdsctl("status")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines.pop(2).startswith("Store: memory")
    assert lines == [
        "xdsd one 1.2.3 is not ready, since 2026-01-02T03:04:05Z.",
        "0 proxies connected, 0 problems, generation 0, compiled up to revision 0.",
        "",
        "CHECK      STATE     DETAIL",
        "store      ok",
        "xds port   missing   not listening yet",
        "",
        "REGISTRY        STATE    SERVICES   WORKLOADS   ENDPOINTS",
        "machines:/vms   SYNCED   3          5           0",
    ]
    server.health.parts = [Check("store", ok=True)]
    ready = xdsctl("status", "-o", "json")
    assert ready.exit_code == 0
    assert json.loads(ready.stdout)["registries"][0]["workloads"] == 5


def test_status_tells_of_the_store_and_of_the_work_for_all(server: Daemon, xdsctl: Xdsctl) -> None:
    """Its kind, revision, room and members; that it cannot be asked; and what this daemon does for the others."""
    server.mesh.revision = 1
    server.health.held = ("garbage", "status")
    found = json.loads(xdsctl("status", "-o", "json").stdout)
    assert (found["name"], found["compiledRevision"]) == ("one", 1)
    assert found["singletons"] == ["garbage", "status"]
    assert (found["store"]["kind"], found["store"]["revision"], found["store"]["unavailable"]) == (
        "memory",
        1,
        "",
    )
    server.health.told = StoreStatus(
        "etcd", "3.5.16", 90, 40, 2_500_000, 20_000, leader="b:2379", members=("a:2379", "b:2379")
    )
    text = xdsctl("status").stdout
    assert "It does for all daemons: garbage, status." in text
    assert "Store: etcd 3.5.16, revision 90, compacted at 40, 2.5 MB of which 20 kB used." in text
    assert "  a:2379\n  b:2379 (leader)\n" in text
    server.health.outage = Unavailable("no member answers")
    away = xdsctl("status")
    assert "The store cannot be asked: no member answers" in away.stdout
    assert re.search(r"^store +stale +no member answers$", away.stdout, re.MULTILINE)
    assert away.exit_code == 1
    found = json.loads(xdsctl("status", "-o", "json").stdout)
    assert found["ready"]
    assert found["checks"] == [
        {"name": "store", "ok": False, "state": "stale", "detail": "no member answers"}
    ]


def test_status_of_a_store_that_went_back_in_time(server: Daemon, xdsctl: Xdsctl) -> None:
    """What is compiled of a store that was restored from an older snapshot since is nothing of what it holds now."""
    server.mesh.revision = 7
    found = json.loads(xdsctl("status", "-o", "json").stdout)
    assert (found["compiledRevision"], found["store"]["revision"]) == (0, 1)


def test_sizes_are_said_as_people_say_them() -> None:
    """Two digits at least, in the unit that fits."""
    sizes = (0, 999, 1000, 9_940, 20_480, 999_499, 999_500, 3_000_000_000, 4_000_000_000_000)
    assert [readable(size) for size in sizes] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "9.9 kB",
        "20 kB",
        "999 kB",
        "1.0 MB",
        "3.0 GB",
        "4000 GB",
    ]


def test_version_tells_both_sides(xdsctl: Xdsctl, server: Daemon) -> None:
    """This program's even where no daemon answers, which is a failure all the same."""
    assert json.loads(xdsctl("version", "-o", "json").stdout)["daemon"]["version"] == "1.2.3"
    alone = xdsctl("--endpoint", "unix:/nonexistent/x.sock", "version")
    assert alone.exit_code == 1
    assert alone.stdout.startswith("client: ")
    assert "no daemon answers at unix:/nonexistent/x.sock: there is no such socket" in alone.stderr
    assert xdsctl("--endpoint", "unix:/nonexistent/x.sock", "version", "--client").exit_code == 0


def test_certificates_of_a_proxy_are_shown_and_no_key(mesh: Daemon, xdsctl: Xdsctl) -> None:
    """Whose they are, until when, and how to tell them apart: serials whole, to be revoked by. A root has no renewal."""
    begins, ends = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    own = SecretStatus("default", "spiffe://td/ns/a/sa/b", "ab" * 10, "cd" * 32, begins, ends, begins)
    mesh.proxies.given[NODE] = (own, SecretStatus("ROOTCA", "O=td", "1", "ef" * 32, begins, ends))
    result = xdsctl("config", "secret", NODE)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["NAME", "SUBJECT", "VALID", "UNTIL", "RENEWAL", "SERIAL", "FINGERPRINT"],
        [
            *("default", "spiffe://td/ns/a/sa/b", "2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00"),
            *("ab" * 10, "cdcdcdcdcdcd…"),
        ],
        ["ROOTCA", "O=td", "2026-01-02T00:00:00+00:00", "-", "1", "efefefefefef…"],
    ]
    found = json.loads(xdsctl("config", "secret", NODE, "-o", "json").stdout)
    assert found[0]["fingerprint"] == "cd" * 32
    assert set(found[0]) == {
        *("name", "subject", "serial", "fingerprint", "validFrom", "validUntil", "renewal")
    }
    assert "cd" * 32 in xdsctl("config", "secret", NODE, "-o", "wide").stdout
    assert xdsctl("config", "secret", "nobody").exit_code == 1
