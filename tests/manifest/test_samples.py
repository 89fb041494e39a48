"""Whole files: those that everybody writes parse, and what is not ours is told line by line."""

from pathlib import Path

import pytest

from tests.manifest.support import DATA, FULL, SAMPLES, parse, told
from xdsd.manifest import parse_manifest
from xdsd.model.intent import DestinationRule, Gateway, VirtualService


@pytest.mark.parametrize("path", [*FULL, *SAMPLES], ids=lambda path: path.stem)
def test_valid_files_parse_without_a_problem(path: Path) -> None:
    """Each object of the file is there, and nothing is told."""
    manifest = parse_manifest(path.read_bytes(), path.name)
    assert manifest.problems == ()
    assert len(manifest.objects) == path.read_text().count("\nkind:")


def test_the_models_hold_what_was_written() -> None:
    """Weights, subsets, faults and ports arrive as values."""
    weights, rules, faults, edge = (
        parse_manifest((DATA / "samples" / name).read_bytes(), name).objects
        for name in ("weights.yaml", "rules.yaml", "faults.yaml", "edge.yaml")
    )
    spec = weights[0].object.spec
    assert isinstance(spec, VirtualService)
    assert [(each.destination.subset, each.weight) for each in spec.http[0].route] == [("v1", 80), ("v2", 20)]
    rule = rules[0].object.spec
    assert isinstance(rule, DestinationRule)
    assert rule.subsets[1].labels == {"version": "v2-mysql"}
    aborting = faults[1].object.spec.http[1]
    assert aborting.fault.abort.http_status == 555
    assert faults[0].object.spec.http[0].fault.delay.fixed_delay.total_seconds() == 7
    gateway = edge[0].object.spec
    assert isinstance(gateway, Gateway)
    assert gateway.servers[0].port.number == 8080


def test_lines_of_fields_are_known() -> None:
    """A field is on the line of its key; what was not written is on the line of what would hold it."""
    item = parse_manifest((DATA / "samples" / "weights.yaml").read_bytes(), "weights.yaml").objects[0]
    assert item.line_of() == 1
    assert item.line_of("metadata.name") == 4
    assert item.line_of("spec.http[0].route[1].weight") == 17
    assert item.line_of("spec.http[0].route[1].destination.port") == 14
    assert item.line_of("spec.http[7]") == 8


def test_lines_of_map_keys_are_known() -> None:
    """A key in brackets is text, whatever it looks like."""
    (item,) = parse(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: x\n  annotations:\n"
        '    "1": a\n    a.b/c: d\nspec:\n  address: 192.0.2.1\n'
    ).objects
    assert item.line_of("metadata.annotations[1]") == 6
    assert item.line_of("metadata.annotations[a.b/c]") == 7


DELAYED = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: stars
spec:
  hosts: [stars]
  http:
  - fault:
      delay:
        exponentialDelay: 1s
    route:
    - destination: {host: stars}
"""


def test_fields_that_are_not_compiled_are_refused_with_their_lines() -> None:
    """A leaf that would have no effect is told where it stands, and the object is not taken."""
    assert told(DELAYED) == [
        (
            "10 spec.http[0].fault.delay.exponentialDelay NotSupported: "
            "not supported yet: Envoy holds requests for a fixed time only; write fixedDelay"
        ),
    ]
    assert parse(DELAYED).objects == ()


KUBERNETES = "is an object of Kubernetes; apply it there with kubectl"


def test_objects_of_kubernetes_are_told_one_by_one() -> None:
    """Services and Deployments are known to be somebody else's, each on its own line."""
    text = """\
apiVersion: v1
kind: Service
metadata: {name: stars}
spec: {ports: []}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: stars-v1}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stars}
"""
    assert told(text) == [
        f"2 kind UnknownKind: Service (v1) {KUBERNETES}; outside of a cluster a ServiceEntry declares a service",
        f"7 kind UnknownKind: Deployment (apps/v1) {KUBERNETES}",
        f"11 kind UnknownKind: ServiceAccount (v1) {KUBERNETES}",
    ]
    assert str(parse(text).problems[1].object) == "Deployment default/stars-v1"


def test_a_problem_reads_as_file_line_object_path_and_sentence() -> None:
    """The text that people see names everything."""
    text = (DATA / "samples" / "weights.yaml").read_text().replace("20", "-5")
    assert str(parse_manifest(text.encode(), "weights.yaml").problems[0]) == (
        "weights.yaml:17: VirtualService default/comments spec.http[0].route[1].weight: -5 is below 0"
    )
