"""What people have in their fingers from kubectl, and what cannot be meant."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from api.access.caller import Role
from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.test_access import run
from tests.xdsctl.test_catalog import catalog
from xdsd.reconcile import SourceStatus

GATEWAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "edge"},
    "spec": {
        "selector": {"app": "edge"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
    },
}


@pytest.fixture
def filled(server: Daemon, xdsctl: Xdsctl) -> Xdsctl:
    """The same daemon with a catalog."""
    server.mesh.catalog = catalog()
    return xdsctl


def written(tmp_path: Path) -> str:
    file = tmp_path / "edge.yaml"
    file.write_text(yaml.safe_dump(GATEWAY))
    return str(file)


def test_the_module_is_the_program() -> None:
    """``python -m api.cli`` does what xdsctl does, under its name, and ends as it does."""
    called = [sys.executable, "-m", "api.cli", "nonsense"]
    done = subprocess.run(called, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "Usage: xdsctl" in done.stderr


def test_a_dry_run_of_the_server_is_a_dry_run(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """As kubectl spells it; its other values are told apart, and nothing else is touched."""
    file = written(tmp_path)
    tried = xdsctl("apply", "-f", file, "--dry-run=server")
    assert tried.stdout == "gateway.networking.istio.io/edge created (server dry run)\n"
    assert "the daemon checks everything" in xdsctl("apply", "-f", file, "--dry-run=client").stderr
    assert "there is no --dry-run=maybe" in xdsctl("apply", "-f", file, "--dry-run=maybe").stderr
    assert (
        xdsctl("apply", "-f", file, "--dry-run=none").stdout == "gateway.networking.istio.io/edge created\n"
    )


def test_secrets_are_listed_of_all_namespaces(server: Daemon) -> None:
    """-A is taken, not with -n, and ``secret get`` says what there is."""
    both = run(server, "secret", "list", "-A", "-n", "edge")
    assert (both.exit_code, "use one of the two" in both.stderr) == (2, True)
    assert "No such option" not in run(server, "secret", "list", "-A").stderr
    assert "did you mean `xdsctl secret list`?" in run(server, "secret", "get").stderr


def test_nobody_shuts_oneself_out_unasked(server: Daemon) -> None:
    """``--myself`` says that it is meant; a dry run needs none."""
    token = with_token(server, "ada", binding(Role.ADMIN.value)).token
    refused = run(server, "user", "disable", "ada", TOKEN=token)
    assert refused.exit_code == 1
    assert "ada is who you are: this shuts you out" in refused.stderr
    assert "ada is who you are" in run(server, "user", "delete", "ada", TOKEN=token).stderr
    assert run(server, "user", "disable", "ada", "--dry-run", TOKEN=token).exit_code == 0
    assert run(server, "user", "disable", "ada", "--myself", TOKEN=token).exit_code == 0
    assert run(server, "whoami", TOKEN=token).exit_code == 1
    assert run(server, "user", "delete", "ada").exit_code == 0


def test_kinds_of_the_catalog_are_listed_with_others(filled: Xdsctl, tmp_path: Path) -> None:
    """A table each with names that say their kind, or one list; a name needs one kind."""
    assert filled("apply", "-f", written(tmp_path)).exit_code == 0
    result = filled("get", "svc,endpoints,gw")
    assert result.exit_code == 0, result.output
    tables = [part.splitlines() for part in result.stdout.split("\n\n")]
    assert [lines[0].split()[1] for lines in tables] == ["PORTS", "ADDRESS", "AGE"]
    assert [lines[1].split()[0] for lines in tables] == [
        "service.catalog.xdsd.io/reviews.default.svc.cluster.local",
        "endpoint.catalog.xdsd.io/reviews.default.svc.cluster.local",
        "gateway.networking.istio.io/edge",
    ]
    listed = json.loads(filled("get", "services,gateways", "-A", "-o", "json").stdout)
    assert [each["kind"] for each in listed["items"]] == ["Service", "Service", "Gateway"]
    assert len(filled("get", "svc,ep", "-o", "name", "--no-headers").stdout.splitlines()) == 3
    assert "a name needs one kind" in filled("get", "svc,ep", "reviews").stderr
    assert "services have no labels" in filled("get", "svc,ep", "-l", "a=b").stderr
    assert "a name needs one kind" in filled("get", "svc,ep/reviews").stderr


def test_endpoints_are_found_by_their_address(filled: Xdsctl) -> None:
    """As well as by the host of their service."""
    found = filled("get", "endpoints", "10.0.0.2", "--no-headers")
    assert [line.split()[1] for line in found.stdout.splitlines()] == ["10.0.0.2"]
    assert "not found" in filled("get", "endpoints", "10.0.0.9").stderr


def test_what_is_described_is_named_in_either_way(filled: Xdsctl) -> None:
    """``svc/reviews`` is ``svc reviews``; neither and both are wrong usage."""
    assert filled("describe", "svc/reviews").stdout == filled("describe", "service", "reviews").stdout
    assert filled("describe", "svc/reviews").exit_code == 0
    for words in (("svc",), ("svc/reviews", "ratings")):
        assert "name one service, such as svc/reviews" in filled("describe", *words).stderr


def test_of_words_that_are_no_kind_the_right_command_is_told(xdsctl: Xdsctl) -> None:
    """Or all kinds, those that are only read among them."""
    assert "see `xdsctl registries`" in xdsctl("get", "registries").stderr
    assert "see `xdsctl secret list`" in xdsctl("get", "secrets").stderr
    assert "and endpoints, services, workloads, which are only read" in xdsctl("get", "pods").stderr


def test_query_languages_are_refused_with_a_way(xdsctl: Xdsctl) -> None:
    """jq is one."""
    for output in ("jsonpath={.items[*].metadata.name}", "custom-columns=NAME:.metadata.name"):
        refused = xdsctl("get", "vs", "-o", output)
        assert refused.exit_code == 2
        assert "is not there: take -o json, and pick from that with jq" in refused.stderr


def test_registries_are_listed_without_a_first_line(server: Daemon, xdsctl: Xdsctl) -> None:
    """For scripts."""
    server.mesh.registries = [SourceStatus("store", synced=True)]
    (line,) = xdsctl("registries", "--no-headers").stdout.splitlines()
    assert line.split()[0] == "store"


def test_a_watch_tells_which_registries_change(server: Daemon) -> None:
    """All of them first, then each that became another, until interrupted."""
    one = SourceStatus("store", synced=True)
    server.mesh.registries = [one, SourceStatus("consul", synced=True)]
    words = ("--endpoint", server.endpoint, "registries", "--watch", "-o", "json")
    command = [sys.executable, "-m", "api.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = [json.loads(process.stdout.readline()) for _ in range(2)]
            assert [each["name"] for each in told] == ["store", "consul"]
            server.mesh.registries = [one, SourceStatus("consul", synced=True, services=3)]
            told = [json.loads(process.stdout.readline())]
            assert [(each["name"], each["services"]) for each in told] == [("consul", 3)]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
