"""The envelope: who an object is, and which objects are ours."""

import pytest

from tests.manifest.support import parse, told
from xdsd.manifest import object_to_dict, parse_manifest, parse_object
from xdsd.model.intent import Object, WorkloadEntry
from xdsd.model.problem import ObjectRef, Reason


def _entry(metadata: str = "{name: x}", more: str = "", version: str = "networking.istio.io/v1") -> str:
    return f"apiVersion: {version}\nkind: WorkloadEntry\nmetadata: {metadata}\nspec: {{address: 192.0.2.1}}\n{more}"


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_all_served_versions_are_one(version: str) -> None:
    """An object is the same in each version, and is written in the preferred one."""
    (item,) = parse(_entry(version=f"networking.istio.io/{version}")).objects
    assert object_to_dict(item.object)["apiVersion"] == "networking.istio.io/v1"


def test_metadata_is_kept() -> None:
    """What the store adds is read back; what servers write for themselves is dropped."""
    (item,) = parse(
        _entry(
            "{name: x, namespace: web, labels: {a: b}, annotations: {c/d: e}, uid: u, resourceVersion: '7',"
            " generation: 2, creationTimestamp: 2026-01-31T12:00:00Z, managedFields: [{manager: m}], selfLink: /x}",
            "status: {conditions: [], observedGeneration: '1'}\n",
        )
    ).objects
    metadata = item.object.metadata
    assert (metadata.namespace, metadata.name, metadata.labels, metadata.annotations) == (
        "web",
        "x",
        {"a": "b"},
        {"c/d": "e"},
    )
    assert (metadata.uid, metadata.resource_version, metadata.generation) == ("u", "7", 2)
    assert metadata.creation_timestamp == "2026-01-31T12:00:00Z"
    assert item.object.ref == ObjectRef("WorkloadEntry", "web", "x")
    assert set(object_to_dict(item.object)) == {"apiVersion", "kind", "metadata", "spec"}


def test_the_namespace_may_be_given_from_outside() -> None:
    """An object without a namespace is in the default one of whoever reads it."""
    assert parse(_entry()).objects[0].object.metadata.namespace == "default"
    text = _entry().encode()
    assert parse_manifest(text, "f", default_namespace="vm").objects[0].object.metadata.namespace == "vm"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_entry("{}"), "3 metadata.name MissingField: is missing; name the object"),
        (_entry("null"), "3 metadata MissingField: is missing; name the object"),
        (_entry("[]"), "3 metadata WrongType: a list is not a map"),
        (_entry("{name: 5}"), "3 metadata.name WrongType: 5 is not text; put it in quotes"),
        (
            _entry("{name: A_b}"),
            (
                "3 metadata.name InvalidValue: 'A_b' is no name: "
                "write small letters, digits, inner hyphens and dots, 253 at most"
            ),
        ),
        (
            _entry("{name: x, namespace: a.b}"),
            (
                "3 metadata.namespace InvalidValue: 'a.b' is no namespace: "
                "write small letters, digits, inner hyphens, 63 at most"
            ),
        ),
        (
            _entry("{name: x, nmespace: a}"),
            "3 metadata.nmespace UnknownField: unknown field; did you mean namespace?",
        ),
        (
            _entry("{name: x, finalizers: [a]}"),
            "3 metadata.finalizers NotSupported: has no effect here; take it out",
        ),
        (
            _entry("{name: x, ownerReferences: []}"),
            "3 metadata.ownerReferences NotSupported: has no effect here; take it out",
        ),
        (
            _entry("{generateName: x-}"),
            "3 metadata.generateName NotSupported: names are not made up here; write metadata.name",
        ),
        (
            _entry("{name: x, labels: {a: 1}}"),
            "3 metadata.labels[a] WrongType: 1 is not text; put it in quotes",
        ),
        (
            _entry("{name: x, labels: {a b: c}}"),
            (
                "3 metadata.labels[a b] InvalidValue: 'a b' is no label key: "
                "write [PREFIX/]NAME of letters, digits, - _ and ."
            ),
        ),
        (
            _entry("{name: x, creationTimestamp: today}"),
            "3 metadata.creationTimestamp InvalidValue: 'today' is no time such as 2026-01-31T12:00:00Z",
        ),
        (_entry("{name: x, generation: -1}"), "3 metadata.generation OutOfRange: -1 is no count"),
        (_entry(more="sepc: {}\n"), "5 sepc UnknownField: unknown field; did you mean spec?"),
        (
            _entry(more="status: {mine: 1}\n"),
            "5 status.mine UnknownField: is not a status that servers write; take it out",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: x}\n",
            "1 spec MissingField: is missing; say what the Sidecar does",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: x}\nspec: []\n",
            "4 spec WrongType: a list is not a map of fields",
        ),
        ("kind: Sidecar\n", "1 apiVersion MissingField: is missing"),
        (
            "apiversion: a\nkind: Sidecar\n",
            "1 apiVersion MissingField: is missing; apiversion is there instead",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: 5\n",
            "2 kind WrongType: 5 is not text; put it in quotes",
        ),
        (
            _entry(version="networking.istio.io/v2"),
            (
                "1 apiVersion InvalidValue: 'networking.istio.io/v2' does not serve WorkloadEntry; write "
                "networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3"
            ),
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: x}\n",
            "2 kind UnknownKind: unknown kind VirtualServce (networking.istio.io/v1); did you mean VirtualService?",
        ),
        (
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: x}\n",
            "2 kind NotSupported: WasmPlugin is not supported yet",
        ),
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: x}\n",
            (
                "2 kind UnknownKind: Gateway (gateway.networking.k8s.io/v1) is of the Kubernetes Gateway API; "
                "here networking.istio.io/v1 has Gateway and VirtualService"
            ),
        ),
        (
            "apiVersion: example.com/v1\nkind: Sidecar\nmetadata: {name: x}\n",
            "1 apiVersion UnknownKind: Sidecar (example.com/v1) is not ours; ours is networking.istio.io/v1",
        ),
        (
            "just text\n",
            "1  WrongType: 'just text' is not an object, a map with apiVersion, kind, metadata and spec",
        ),
    ],
)
def test_envelopes_that_are_wrong(text: str, expected: str) -> None:
    """Each mistake has its line, its path and a way out."""
    assert told(text) == [expected]


def test_lists_are_read_item_by_item() -> None:
    """A list is its items, with their own lines and paths; lists and documents mix."""
    text = """\
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: networking.istio.io/v1
  kind: WorkloadEntry
  metadata: {name: a}
  spec: {address: 192.0.2.1}
- apiVersion: networking.istio.io/v1
  kind: WorkloadEntry
  metadata: {name: b}
  spec:
    address: 192.0.2.1
    weight: -1
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntryList
items: []
"""
    manifest = parse(text)
    assert [item.object.metadata.name for item in manifest.objects] == ["a"]
    assert manifest.objects[0].line_of("spec.address") == 8
    assert [str(problem) for problem in manifest.problems] == [
        "f.yaml:14: WorkloadEntry default/b spec.weight: -1 is below 0"
    ]


def test_an_object_is_in_a_file_once() -> None:
    """The second of two objects of one name is told with the line of the first."""
    text = _entry() + "---\n" + _entry("{name: x, namespace: default}")
    assert told(text) == ["6  DuplicateObject: is in this file twice, first on line 1; keep one of them"]
    assert parse(text).problems[0].reason is Reason.DUPLICATE_OBJECT
    assert len(parse(text).objects) == 1


def test_decoded_json_is_held_to_the_same_rules() -> None:
    """The other door knows no lines, and lets nothing else through."""
    good = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": "x"},
        "spec": {"address": "192.0.2.1"},
    }
    made = parse_object(good, default_namespace="vm")
    assert isinstance(made, Object)
    assert made.spec == WorkloadEntry(address="192.0.2.1")
    assert made.ref == ObjectRef("WorkloadEntry", "vm", "x")
    found = parse_object({**good, "spec": {"address": 5, "extra": None}})
    assert isinstance(found, list)
    assert [str(problem) for problem in found] == [
        (
            "WorkloadEntry default/x spec.extra: unknown field; "
            "the fields here are address, labels, locality, network, ports, serviceAccount, weight"
        ),
        "WorkloadEntry default/x spec.address: 5 is not text; put it in quotes",
    ]
    assert isinstance(parse_object(None), list)
    assert isinstance(parse_object([1]), list)


def test_objects_are_ordered_by_age() -> None:
    """The oldest comes first; equals go by namespace and name."""
    texts = [
        _entry("{name: b, creationTimestamp: 2026-01-02T00:00:00Z}"),
        _entry("{name: c, creationTimestamp: 2026-01-01T00:00:00Z}"),
        _entry("{name: a, creationTimestamp: 2026-01-02T00:00:00Z}"),
    ]
    objects = [item.object for item in parse("---\n".join(texts)).objects]
    assert [each.metadata.name for each in sorted(objects, key=lambda each: each.age)] == ["c", "a", "b"]
