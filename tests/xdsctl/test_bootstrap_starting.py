"""What ProxyConfigs and the MeshConfig make of bootstraps, command lines and units' environments."""

import json
from pathlib import Path

import pytest
import yaml

from tests.lab.envoy import validate
from tests.xdsctl.conftest import Xdsctl

OBJECTS = """
apiVersion: mesh.xdsd.io/v1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec:
  defaultConfig:
    concurrency: 4
    drainDuration: 20s
    proxyAdminPort: 15090
    proxyMetadata: {ISTIO_META_MESH_ID: shop}
    runtimeValues: {envoy.reloadable_features.example: "true", overload.global_downstream_max_connections: "500"}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  concurrency: 2
  environmentVariables: {TZ: "Europe/Rome", NOTE: it's $5, ISTIO_META_TEAM: front}
"""
WEB = ("bootstrap", "--name", "web-1", "--labels", "app=web")
RUN = (
    """# Run: NOTE='it'"'"'s $5' TZ=Europe/Rome envoy -c FILE --concurrency 2"""
    " --drain-time-s 20 --parent-shutdown-time-s 35"
)


@pytest.mark.e2e
async def test_a_bootstrap_says_what_objects_say(alone: Xdsctl, tmp_path: Path) -> None:
    """Metadata, runtime and admin port stand in it, workers and environment on the command line; Envoy takes it."""
    result = alone(*WEB, "-f", "-", input=OBJECTS)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == RUN
    made = yaml.safe_load(result.stdout)
    metadata = made["node"]["metadata"]
    assert (metadata["MESH_ID"], metadata["TEAM"]) == ("shop", "front")
    assert metadata["PROXY_CONFIG"] == {
        "concurrency": 2,
        "drainDuration": "20s",
        "proxyAdminPort": 15090,
        "proxyMetadata": {
            "ISTIO_META_MESH_ID": "shop",
            "ISTIO_META_TEAM": "front",
            "NOTE": "it's $5",
            "TZ": "Europe/Rome",
        },
        "runtimeValues": {
            "envoy.reloadable_features.example": "true",
            "overload.global_downstream_max_connections": "500",
        },
    }
    static = made["layeredRuntime"]["layers"][0]["staticLayer"]
    assert static["envoy.reloadable_features.example"] is True
    assert static["overload.global_downstream_max_connections"] == 500
    assert made["admin"]["address"]["socketAddress"]["portValue"] == 15090
    assert await validate(made, tmp_path) == ""


def test_the_daemon_s_objects_are_asked_for(xdsctl: Xdsctl) -> None:
    """By --patched, and by nothing else."""
    assert xdsctl("apply", "-f", "-", input=OBJECTS).exit_code == 0
    assert xdsctl(*WEB, "--patched").stdout.splitlines()[0] == RUN
    assert "PROXY_CONFIG" not in yaml.safe_load(xdsctl(*WEB).stdout)["node"]["metadata"]


def test_options_of_the_command_count_more(alone: Xdsctl) -> None:
    """A variable that an option contradicts is warned of; workers, port and metadata are the command's."""
    words = ("--concurrency", "0", "--admin-port", "15001", "--metadata", "TEAM=back", "-o", "json")
    result = alone(*WEB, *words, "-f", "-", input=OBJECTS)
    made = json.loads(result.stdout)
    assert made["admin"]["address"]["socketAddress"]["portValue"] == 15001
    assert made["node"]["metadata"]["TEAM"] == "back"
    assert "Run: NOTE=" in result.stderr
    assert "--concurrency" not in result.stderr
    assert (
        "warning: ISTIO_META_TEAM is 'front' in a ProxyConfig or the MeshConfig, and has no effect: the options of this"
        " command say 'back'" in result.stderr
    )


def test_others_proxies_are_started_as_the_mesh_says(alone: Xdsctl) -> None:
    """A selector chooses by the labels of the bootstrap."""
    other = alone("bootstrap", "--name", "a", "--labels", "app=other", "-f", "-", input=OBJECTS).stdout
    assert other.splitlines()[0].startswith("# Run: envoy -c FILE --concurrency 4 --drain-time-s 20 ")
    assert alone("bootstrap", "--name", "a", "-f", "-", input="").exit_code == 0


def test_a_unit_s_environment_is_written(alone: Xdsctl, tmp_path: Path) -> None:
    """As systemd reads it: quoted, with the words for Envoy in variables of their own."""
    file = tmp_path / "web.env"
    assert alone(*WEB, "-f", "-", "--environment-file", str(file), input=OBJECTS).exit_code == 0
    assert file.read_text().splitlines() == [
        'NOTE="it\'s \\$5"',
        'TZ="Europe/Rome"',
        'ENVOY_DRAIN_TIME_S="20"',
        'ENVOY_OPTIONS="--concurrency 2"',
    ]
    assert alone(*WEB, "--environment-file", str(file)).exit_code == 0
    assert file.read_text() == ""


def test_a_proxy_says_of_itself_what_its_annotation_would(alone: Xdsctl, tmp_path: Path) -> None:
    """Over what objects say and under what options say; what objects said is remembered, and what stands in front."""
    own = "{concurrency: 3, proxyAdminPort: 15099, proxyMetadata: {TZ: Asia/Tokyo}, gatewayTopology: {numTrustedProxies: 2}}"
    result = alone(*WEB, "--type", "router", "--proxy-config", own, "-f", "-", input=OBJECTS)
    assert result.exit_code == 0, result.output
    assert "TZ=Asia/Tokyo envoy -c FILE --concurrency 3 --drain-time-s 20" in result.stdout.splitlines()[0]
    made = yaml.safe_load(result.stdout)
    assert made["admin"]["address"]["socketAddress"]["portValue"] == 15099
    remembered = made["node"]["metadata"]["PROXY_CONFIG"]
    assert (remembered["concurrency"], remembered["gatewayTopology"]) == (2, {"numTrustedProxies": 2})
    file = tmp_path / "config"
    file.write_text("gatewayTopology:\n  proxyProtocol: {}\n")
    words = ("--type", "router", "--name", "a", "--proxy-config", f"@{file}", "--admin-port", "15001")
    metadata = yaml.safe_load(alone("bootstrap", *words).stdout)["node"]["metadata"]
    assert metadata["PROXY_CONFIG"] == {"gatewayTopology": {"proxyProtocol": {}}}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{gatewayTopology: {numTrustedProxies: 2}}", "is for gateways: add --type router"),
        ("{gatewayTopology: {trustedProxies: 2}}", "gatewayTopology.trustedProxies: unknown field"),
        ("{concurrency: many}", "concurrency: "),
        ("[]", "is not a map"),
        ("# nothing", "holds no map"),
        ("{", "line 1: not YAML"),
        ("@/no/such", "/no/such cannot be read"),
    ],
)
def test_what_a_proxy_says_wrongly_of_itself_is_refused(alone: Xdsctl, said: str, told: str) -> None:
    """With the field that is wrong."""
    result = alone("bootstrap", "--name", "a", "--proxy-config", said)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
