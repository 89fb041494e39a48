"""``xdsctl analyze``: files without a daemon, and a mesh with one."""

import json
from pathlib import Path

import pytest
import yaml

from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import BOTH, REVIEWS, RULE
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1, labels: {version: v1}}]
"""

SIDECAR = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: only, namespace: prod}
spec:
  workloadSelector: {labels: {app: web}}
  egress: [{hosts: ["./nothing.prod.svc.cluster.local"]}]
"""


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_files_without_mistakes_are_clean(alone: Xdsctl, tmp_path: Path) -> None:
    """A folder, with no daemon anywhere."""
    write(tmp_path, both=BOTH, service=SERVICE)
    result = alone("analyze", "-f", str(tmp_path))
    assert (result.exit_code, result.output) == (0, "No problems found.\n")
    assert json.loads(alone("analyze", "-f", str(tmp_path), "-o", "json").stdout) == {"problems": []}


def test_every_stage_tells_file_line_object_and_field(alone: Xdsctl, tmp_path: Path) -> None:
    """What cannot be read, what stands twice, what does not fit the rest, and what a proxy could not be served."""
    write(
        tmp_path,
        a_bad=REVIEWS.replace("weight: 90", "weight: -5").replace("name: reviews", "name: bad"),
        b_reviews=REVIEWS.replace("subset: v3", "subset: v9"),
        c_again=REVIEWS,
        d_rule=RULE,
        e_service=SERVICE,
        f_sidecar=SIDECAR,
        g_rule=RULE.replace("name: reviews", "name: second", 1),
    )
    result = alone("analyze", "-f", str(tmp_path))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert any(
        "a_bad.yaml:15: VirtualService default/bad spec.http[0].route[0].weight: -5" in line for line in lines
    )
    assert any("c_again.yaml:1: VirtualService default/reviews: is in" in line for line in lines)
    subset = [line for line in lines if "'v9'" in line]
    assert len(subset) == 1
    assert subset[0].startswith(f"warning: {tmp_path}/b_reviews.yaml:18: VirtualService default/reviews ")
    assert subset[0].endswith("; there are v1, v3 (BrokenReference)")
    assert any("f_sidecar.yaml:6: Sidecar prod/only spec.egress[0].hosts[0]: " in line for line in lines)
    assert (
        sum(
            "g_rule.yaml" in line and "DestinationRule default/second spec.subsets[" in line for line in lines
        )
        == 2
    )
    assert len(lines) == 7, result.stdout


def test_hosts_are_known_where_something_declares_any(alone: Xdsctl, tmp_path: Path) -> None:
    """Of files alone nobody knows what registries report; with services or a machine list, a host can be missing."""
    write(tmp_path, both=BOTH)
    unknown = alone("analyze", "-f", str(tmp_path))
    assert (unknown.exit_code, unknown.stdout) == (0, "No problems found.\n")
    assert unknown.stderr == "hosts of registries were not checked; name --machines\n"
    machines = tmp_path / "machines"
    machines.mkdir()
    write(machines, other=SERVICE.replace("reviews", "other"))
    words = ("analyze", "-f", str(tmp_path), "--machines", str(machines))
    assert "nothing declares the host reviews.default.svc.cluster.local" in alone(*words).stdout
    write(machines, reviews=SERVICE)
    assert alone(*words).output == "No problems found.\n"
    write(machines, broken="kind: [")
    assert "machines/broken.yaml" in alone(*words).stdout
    missing = alone("analyze", "-f", str(tmp_path), "--machines", str(tmp_path / "no"))
    assert "No such file" in missing.stderr


def test_what_fails_can_be_chosen(alone: Xdsctl, tmp_path: Path) -> None:
    """With --fail-on error, warnings are told and the exit code is 0."""
    write(tmp_path, reviews=REVIEWS)
    result = alone("analyze", "-f", str(tmp_path), "--fail-on", "error", "-o", "json")
    found = json.loads(result.stdout)["problems"]
    assert result.exit_code == 0
    assert {each["severity"] for each in found} == {"warning"}
    assert found[0]["line"] == 14
    assert alone("analyze", "-f", str(tmp_path)).exit_code == 1
    as_yaml = alone("analyze", "-f", str(tmp_path), "-o", "yaml").stdout
    assert yaml.safe_load(as_yaml)["problems"] == found


def test_files_that_are_not_there_are_problems(alone: Xdsctl, tmp_path: Path) -> None:
    """A folder that is empty, too."""
    assert "has no .yaml, .yml or .json file" in alone("analyze", "-f", str(tmp_path)).stdout
    assert "cannot be read: no such file" in alone("analyze", "-f", str(tmp_path / "x.yaml")).stdout


def test_objects_come_from_the_standard_input(alone: Xdsctl) -> None:
    """Those without a namespace are of that of -n."""
    result = alone("analyze", "-f", "-", "-n", "shop", input=REVIEWS)
    assert "stdin:14: VirtualService shop/reviews spec.http[0].route[0].destination.subset: " in result.stdout


def test_a_live_mesh_is_analyzed_whole(server: Daemon, xdsctl: Xdsctl) -> None:
    """What the mesh says, and what admission would remark of every stored object, each once."""
    assert xdsctl("analyze").stdout == "No problems found.\n"
    xdsctl("apply", "-f", "-", input=REVIEWS)
    xdsctl("apply", "-n", "prod", "-f", "-", input=REVIEWS)
    ref = ObjectRef("VirtualService", "default", "reviews")
    path = "spec.http[0].route[0].destination.subset"
    server.mesh.found = [
        Problem(Reason.BROKEN_REFERENCE, "the same in other words", ref, path, severity=Severity.WARNING),
        Problem(Reason.REJECTED_BY_PROXY, "an Envoy rejects a cluster"),
    ]
    result = xdsctl("analyze", "-o", "json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["problems"]
    assert [each["reason"] for each in found] == ["BrokenReference"] * 4 + ["RejectedByProxy"]
    assert [each["object"]["namespace"] for each in found if each["object"]] == ["default"] * 2 + ["prod"] * 2
    assert len(xdsctl("analyze", "-n", "prod").stdout.splitlines()) == 2
    xdsctl("apply", "-f", "-", input=RULE)
    assert len(xdsctl("analyze", "--fail-on", "error", "-A").stdout.splitlines()) == 4
    server.mesh.found = []
    assert xdsctl("analyze", "--fail-on", "error").exit_code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-n", "a", "-A"), "use one of the two"),
        (("--machines", "x"), "--machines and -R go with -f"),
        (("--fail-on", "all"), "is not one of 'error', 'warning'"),
    ],
)
def test_what_cannot_be_analyzed_is_wrong_usage(alone: Xdsctl, words: tuple[str, ...], sentence: str) -> None:
    """Said without a daemon."""
    result = alone("analyze", *words)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_what_is_odd_comes_with_the_write_and_stays_known(xdsctl: Xdsctl) -> None:
    """A dangling subset, a host that another routes, a rule that nothing reaches: apply warns, and so does analyze."""
    older = REVIEWS.replace("name: reviews", "name: older", 1)
    assert xdsctl("apply", "-f", "-", input=f"{RULE}---\n{older}").stderr == ""
    odd = REVIEWS.replace("subset: v3", "subset: v9") + REVIEWS[REVIEWS.index("  - route:") :]
    applied = xdsctl("apply", "-f", "-", input=odd)
    assert applied.exit_code == 0
    places = [
        "spec.http[0].route[1].destination.subset: no DestinationRule",
        "spec.hosts[0]: sidecars that see VirtualService default/older",
        "spec.http[1]: is never reached: spec.http[0] takes every request (UnreachableRule)",
    ]
    lines = applied.stderr.splitlines()
    assert all(line.startswith("warning: stdin:") for line in lines)
    assert [place in line for place, line in zip(places, lines, strict=True)] == [True] * 3
    live = xdsctl("analyze")
    assert live.exit_code == 1
    assert [any(place in line for line in live.stdout.splitlines()) for place in places] == [True] * 3
    assert len(live.stdout.splitlines()) == 3
