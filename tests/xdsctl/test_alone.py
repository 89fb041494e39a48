"""Commands that need no daemon: schema, api-resources, bootstrap, completion, help."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.lab.envoy import validate
from tests.xdsctl.conftest import Xdsctl

PROGRAM = "from api.cli import main; main(prog_name='xdsctl')"


def test_api_resources_are_listed(alone: Xdsctl) -> None:
    """Names, short names, versions and kinds."""
    text = alone("api-resources").stdout.splitlines()
    assert text[0].split() == ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "READ-ONLY"]
    rows = [line.split() for line in text]
    assert ["virtualservices", "vs", "networking.istio.io/v1", "true", "VirtualService", "false"] in rows
    assert ["services", "svc", "catalog.xdsd.io/v1", "true", "Service", "true"] in rows
    names = alone("api-resources", "-o", "name").stdout.splitlines()
    assert names[0] == "authorizationpolicies.security.istio.io"
    found = json.loads(alone("api-resources", "-o", "json").stdout)["resources"]
    by_name = {each["name"]: each for each in found}
    assert {each["name"] for each in found if each["readOnly"]} == {"endpoints", "services", "workloads"}
    assert by_name["gateways"]["shortNames"] == ["gw"]
    assert (by_name["ratelimits"]["group"], by_name["ratelimits"]["versions"]) == ("policy.xdsd.io", ["v1"])
    assert "v1,v1beta1,v1alpha3" in alone("api-resources", "-o", "wide").stdout


def test_the_schema_of_a_kind_is_json_schema(alone: Xdsctl) -> None:
    """Of one kind, of all, and as YAML."""
    schema = json.loads(alone("schema", "vs").stdout)
    assert schema["properties"]["kind"] == {
        "const": "VirtualService",
        "description": "The kind of the object.",
    }
    whole = json.loads(alone("schema").stdout)
    assert {each["title"] for each in whole["oneOf"]} >= {"VirtualService", "Gateway", "Sidecar"}
    assert yaml.safe_load(alone("schema", "gw", "-o", "yaml").stdout)["title"] == "Gateway"


def test_fields_are_one_line_a_leaf(alone: Xdsctl) -> None:
    """Kind, path, type, yes or refused, separated by tabs."""
    rows = [line.split("\t") for line in alone("schema", "--fields").stdout.splitlines()]
    assert all(len(row) == 4 and row[3] in {"yes", "refused"} for row in rows)
    assert ["VirtualService", "spec.http[].route[].weight", "integer(int32)", "yes"] in rows
    assert {row[0] for row in rows} == {
        "AuthorizationPolicy",
        "DestinationRule",
        "EnvoyFilter",
        "Gateway",
        "HealthCheck",
        "Inspection",
        "Peer",
        "PeerAuthentication",
        "MeshConfig",
        "ProxyConfig",
        "RateLimit",
        "RequestAuthentication",
        "Residency",
        "ServiceEntry",
        "Sidecar",
        "Telemetry",
        "VirtualService",
        "WorkloadEntry",
        "WorkloadGroup",
    }
    one = alone("schema", "se", "--fields").stdout
    assert all(line.startswith("ServiceEntry\t") for line in one.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ("--name", "reviews-v1", "--labels", "app=reviews,version=v1", "--address", "10.0.0.1"),
        ("--id", "a", "--interception", "none", "--http-proxy-port", "15007", "--outbound-bind", "127.0.0.2"),
        (
            "--type",
            "router",
            "--name",
            "ingress",
            "-n",
            "istio-system",
            "--xds-address",
            "unix:/run/x.sock",
            "-o",
            "json",
        ),
    ],
)
@pytest.mark.e2e
async def test_a_bootstrap_is_what_envoy_takes(alone: Xdsctl, tmp_path: Path, words: tuple[str, ...]) -> None:
    """What is printed goes to a real Envoy unchanged."""
    result = alone("bootstrap", *words)
    assert result.exit_code == 0, result.output
    assert await validate(yaml.safe_load(result.stdout), tmp_path) == ""


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (("--http-proxy-port", "15007", "--outbound-bind", "10.0.0.1"), True),
        (("--http-proxy-port", "15007", "--outbound-bind", "0.0.0.0"), True),
        (("--http-proxy-port", "15007", "--outbound-bind", "127.0.0.9"), False),
        (("--http-proxy-port", "15007", "--outbound-bind", "::1"), False),
        (("--http-proxy-port", "15007"), False),
        (("--outbound-bind", "10.0.0.1"), False),
    ],
)
def test_a_proxy_that_is_open_to_others_is_warned_of(
    alone: Xdsctl, words: tuple[str, ...], warned: bool
) -> None:
    """An HTTP proxy off loopback acts for whoever reaches it; the bootstrap is printed all the same."""
    result = alone("bootstrap", "--name", "a", "--interception", "none", *words)
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["node"]
    assert ("as this workload, with its identity" in result.stderr) is warned


def test_a_bootstrap_says_how_to_run_it(alone: Xdsctl) -> None:
    """What only Envoy's command line can say stands in a comment; beside JSON, on the error stream."""
    as_yaml = alone("bootstrap", "--name", "a", "--concurrency", "2").stdout
    assert as_yaml.startswith("# Run: envoy -c FILE --concurrency 2 --drain-time-s 45")
    as_json = alone("bootstrap", "--name", "a", "--concurrency", "2", "-o", "json")
    assert json.loads(as_json.stdout)["node"]["id"] == "sidecar~127.0.0.1~a.default~default.svc.cluster.local"
    assert "--concurrency 2" in as_json.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Missing option '--name'"),
        (("--name", "a~b"), "'a~b' is not a name"),
        (("--name", "a", "-n", "A B"), "'A B' is not a namespace's name"),
        (("--name", "a", "--address", "host"), "'host' is not an IP address"),
        (("--name", "a", "--labels", "app"), "'app' is not KEY=VALUE"),
        (("--name", "a", "--http-proxy-port", "1"), "add --interception none, or leave them out"),
        (("--name", "a", "--outbound-bind", "127.0.0.1"), "add --interception none"),
        (("--name", "a", "--type", "router", "--http-proxy-port", "1"), "add --interception none"),
        (("--name", "a", "--xds-address", "10.0.0.1:15010"), "add --certificates, or --root"),
        (("--name", "a", "--xds-address", "unix:/a", "--xds-address", "127.0.0.1:1"), "cannot be mixed"),
        (("--name", "a", "--xds-address", "127.0.0.1:0"), "127.0.0.1:0 has no port"),
        (("--name", "a", "--root", "/r"), "needs --root and --join-token-file, both"),
        (("--name", "a", "--root", "/r", "--certificates", "/c"), "leave out --root and --join-token-file"),
        (
            ("--name", "a", "--certificates", "/c", "--trust-domain", "A B"),
            "'A B' is no name of a trust domain",
        ),
        (("--name", "a", "--xds-address", "x"), "write HOST:PORT, [V6]:PORT or unix:PATH"),
        (("--name", "a", "--admin-port", "0"), "0 is not in the range"),
        (("--name", "a", "--zone-aware", "--locality", "eu"), "add --locality REGION/ZONE"),
    ],
)
def test_a_bootstrap_that_makes_no_sense_is_refused(
    alone: Xdsctl, words: tuple[str, ...], sentence: str
) -> None:
    """Wrong usage ends with 2 and says what would be right."""
    result = alone("bootstrap", *words)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_this_program(shell: str) -> None:
    """The script asks xdsctl itself."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "completion", shell], capture_output=True, text=True, check=True
    )
    assert "_XDSCTL_COMPLETE" in done.stdout
    assert "xdsctl" in done.stdout


def test_a_shell_is_told_kinds_and_commands() -> None:
    """What bash asks for is answered with our words."""
    environment = {
        **os.environ,
        "_XDSCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": "xdsctl get virt",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False
    )
    assert "virtualservices" in done.stdout


def test_help_names_every_command(alone: Xdsctl) -> None:
    """One line each, without a daemon."""
    text = alone("--help").stdout
    for command in (
        "apply",
        "get",
        "delete",
        "diff",
        "api-resources",
        "schema",
        "proxies",
        "config",
        "problems",
    ):
        assert f"\n  {command} " in text
    for command in ("bootstrap", "completion", "version", "status"):
        assert f"\n  {command} " in text


def test_a_missing_daemon_is_said_with_what_to_do(tmp_path: Path) -> None:
    """As a process of a user: the default socket that was tried, how to start, exit code 1, no traceback."""
    as_user = "import os; os.geteuid = lambda: 1000"  # root's default may be there
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    environment.pop("XDSCTL_ENDPOINT", None)
    done = subprocess.run(
        [sys.executable, "-c", f"{as_user}; {PROGRAM}", "get", "vs"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: no daemon answers at unix:{tmp_path}/xdsd/admin.sock: there is no such socket\n"
        "Start one with `xdsd serve`, or say where it listens with --endpoint or XDSCTL_ENDPOINT.\n"
    )


def test_commands_start_quickly() -> None:
    """Help and schema do without the slow imports: no Envoy types, no grpc for what needs no daemon."""
    program = (
        f"import sys\ntry:\n    {PROGRAM}\nfinally:\n"
        "    print(sorted(set(sys.modules) & {'envoy_data_plane', 'envoy'}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "schema", "vs"], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
