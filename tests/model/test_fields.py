"""The models hold the published fields, no more and no less."""

import subprocess
import sys
from pathlib import Path

import pytest

from xdsd.model.intent.kinds import KINDS, OWN_GROUPS
from xdsd.model.intent.schema import field_lines
from xdsd.model.intent.support import REFUSED_FIELDS, REFUSED_VALUES

DATA = Path(__file__).parent / "data"


def test_every_published_leaf_is_modelled_with_its_type() -> None:
    """Kind, path and type of every leaf are those of the published API."""
    published = {tuple(line.split("\t")) for line in (DATA / "fields.tsv").read_text().splitlines()}
    modelled = {(line.kind, line.path, line.type) for line in field_lines() if not _is_own(line.kind)}
    assert modelled == published


def test_the_fields_of_our_own_kinds_stay() -> None:
    """Kind, path and type of every leaf are what objects out there are written with."""
    kept = {tuple(line.split("\t")) for line in (DATA / "own_fields.tsv").read_text().splitlines()}
    assert {(line.kind, line.path, line.type) for line in field_lines() if _is_own(line.kind)} == kept


def _is_own(kind: str) -> bool:
    return KINDS[kind].group in OWN_GROUPS


def test_the_page_of_fields_is_current() -> None:
    """docs/fields.md says what the models say; `scripts/fields` makes it so."""
    script = Path(__file__).parents[2] / "scripts" / "fields"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_refusal_comes_with_what_to_write_instead() -> None:
    """A line says why its field is refused, or which values of it are."""
    notes = {(line.kind, line.path): line.note for line in field_lines()}
    assert "fixedDelay" in notes["VirtualService", "spec.http[].fault.delay.exponentialDelay"]
    assert notes["ServiceEntry", "spec.ports[].protocol"] == "not HTTP_PROXY, UDP"
    assert notes["ServiceEntry", "spec.hosts[]"] == ""


def test_no_leaf_is_listed_twice() -> None:
    """A line stands for one leaf."""
    lines = [(line.kind, line.path) for line in field_lines()]
    assert len(lines) == len(set(lines))


def test_one_kind_can_be_listed_alone() -> None:
    """The lines of a kind are those of the whole list that carry its name."""
    assert list(field_lines("Gateway")) == [line for line in field_lines() if line.kind == "Gateway"]
    with pytest.raises(KeyError):
        list(field_lines("Getaway"))


@pytest.mark.parametrize(
    ("kind", "path", "supported"),
    [
        ("VirtualService", "spec.http[].match[].headers{}.exact", True),
        ("VirtualService", "spec.http[].mirror_percent", True),
        ("VirtualService", "spec.http[].delegate.name", True),
        ("VirtualService", "spec.tcp[].route[].destination.host", True),
        ("VirtualService", "spec.tls[].match[].sniHosts[]", True),
        ("VirtualService", "spec.http[].fault.delay.exponentialDelay", False),
        ("VirtualService", "spec.http[].fault.abort.http2Error", False),
        ("DestinationRule", "spec.trafficPolicy.loadBalancer.simple", True),
        ("DestinationRule", "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize", True),
        ("DestinationRule", "spec.trafficPolicy.loadBalancer.warmupDurationSecs", True),
        ("DestinationRule", "spec.trafficPolicy.tls.mode", True),
        ("DestinationRule", "spec.subsets[].trafficPolicy.portLevelSettings[].tls.mode", True),
        ("DestinationRule", "spec.trafficPolicy.tunnel.targetHost", True),
        ("DestinationRule", "spec.trafficPolicy.retryBudget.percent", True),
        ("DestinationRule", "spec.trafficPolicy.tls.credentialName", True),
        ("Sidecar", "spec.ingress[].tls.mode", True),
        ("Sidecar", "spec.ingress[].tls.credentialName", False),
        ("Sidecar", "spec.ingress[].tls.subjectAltNames[]", True),
        ("Sidecar", "spec.ingress[].tls.tlsCertificates[].privateKey", True),
        ("Sidecar", "spec.ingress[].tls.tlsCertificates[].caCertificates", True),
        ("Sidecar", "spec.outboundTrafficPolicy.egressProxy.host", True),
        ("Sidecar", "spec.egress[].port.targetPort", True),
        ("Gateway", "spec.servers[].tls.mode", True),
        ("Gateway", "spec.servers[].tls.credentialName", True),
        ("Gateway", "spec.servers[].port.targetPort", True),
        ("ServiceEntry", "spec.subjectAltNames[]", True),
        ("ServiceEntry", "spec.endpoints[].network", True),
        ("ServiceEntry", "spec.endpoints[].locality", True),
        ("WorkloadEntry", "spec.serviceAccount", True),
        ("MeshConfig", "spec.localityLbSetting.distribute[].to{}", True),
        ("MeshConfig", "spec.rootNamespace", False),
        ("MeshConfig", "spec.defaultConfig.concurrency", True),
        ("MeshConfig", "spec.defaultConfig.discoveryAddress", False),
        ("ProxyConfig", "spec.image.imageType", False),
        ("WorkloadEntry", "spec.weight", True),
    ],
)
def test_lines_say_what_is_compiled(kind: str, path: str, *, supported: bool) -> None:
    """A leaf below a refused field is refused, and no other is."""
    assert {line.path: line.supported for line in field_lines(kind)}[path] is supported


def test_refused_fields_exist() -> None:
    """What the list of refusals names are fields of the messages it names."""
    for message, names in REFUSED_FIELDS.items():
        assert names <= {info.alias for info in message.model_fields.values()}, message
    for message, name in REFUSED_VALUES:
        assert name in {info.alias for info in message.model_fields.values()}, message
