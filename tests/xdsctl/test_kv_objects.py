"""``xdsctl kv`` on a daemon: objects are keys, and admission is asked about them before anything is written."""

import json

import pytest

from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import BOTH

FOLDER = "/xdsd/objects/virtualservices.networking.istio.io/default"
ROUTED = {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}}]}]}


def virtual_service(name: str, **spec: object) -> str:
    return json.dumps(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {**ROUTED, **spec},
        }
    )


def test_a_dry_run_says_what_admission_says(server: Daemon, xdsctl: Xdsctl) -> None:
    """Created, configured, refused with its problems, or misplaced; and nothing is written."""
    before = server.run(server.store.revision())
    good = xdsctl("kv", "put", f"{FOLDER}/a", "--dry-run", input=virtual_service("a"))
    assert good.stdout == "virtualservice.networking.istio.io/a created (server dry run)\n"
    bad = xdsctl("kv", "put", f"{FOLDER}/a", "--dry-run", input=virtual_service("a", http=[]))
    assert bad.exit_code == 1
    assert "VirtualService default/a spec" in bad.stderr
    assert bad.stdout == ""
    moved = xdsctl("kv", "put", f"{FOLDER}/b", "--dry-run", "-o", "json", input=virtual_service("a"))
    assert moved.exit_code == 1
    found = json.loads(moved.stdout)
    assert (found["accepted"], found["problems"][0]["reason"]) == (False, "Conflict")
    assert (
        found["problems"][0]["message"] == "the value is VirtualService default/a; put it under its own key"
    )
    stray = xdsctl("kv", "put", "/xdsd/objects/nonsense", "x", "--dry-run")
    assert "is no key of an object" in stray.stderr
    assert server.run(server.store.revision()) == before


def test_a_dry_run_of_removals_warns_of_what_breaks(server: Daemon, xdsctl: Xdsctl) -> None:
    """As ``delete --dry-run`` does, beside keys of others."""
    xdsctl("apply", "-f", "-", input=BOTH)
    server.run(server.store.put(b"/xdsd/other", b"1"))
    before = server.run(server.store.revision())
    result = xdsctl("kv", "del", "/xdsd/objects/destinationrules", "--prefix", "--dry-run")
    assert result.stdout == "destinationrule.networking.istio.io/reviews deleted (server dry run)\n"
    assert "defines the subset 'v1'" in result.stderr
    both = xdsctl("kv", "del", "/xdsd/objects/virtualservices", "/xdsd/p", "--dry-run")
    assert both.stdout.splitlines() == [
        "/xdsd/other deleted (dry run)",
        "virtualservice.networking.istio.io/reviews deleted (server dry run)",
    ]
    assert server.run(server.store.revision()) == before


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_put_of_an_invalid_object_is_refused_in_the_words_of_apply(
    server: Daemon, xdsctl: Xdsctl, dry_run: bool
) -> None:
    """Whether it is tried or meant."""
    broken = virtual_service("a", http=[{"route": [{"destination": {"host": "x"}, "weight": -5}]}])
    words = ("--dry-run",) if dry_run else ()
    result = xdsctl("kv", "put", f"{FOLDER}/a", *words, input=broken)
    assert result.exit_code == 1
    assert "VirtualService default/a spec.http[0].route[0].weight: -5 is below 0" in result.stderr
    assert server.run(server.store.get(f"{FOLDER}/a".encode())) is None


def test_remarks_of_a_write_are_warnings(server: Daemon, xdsctl: Xdsctl) -> None:
    """On the error stream, beside what etcdctl prints."""
    route = {"route": [{"destination": {"host": "reviews", "subset": "v9"}}]}
    result = xdsctl("kv", "put", f"{FOLDER}/a", input=virtual_service("a", http=[route]))
    assert result.stdout == "OK\n"
    assert "warning: VirtualService default/a spec.http[0].route[0].destination.subset: " in result.stderr


def test_what_daemons_write_is_refused_on_trial_too(server: Daemon, xdsctl: Xdsctl) -> None:
    """A dry run says what the write itself would; what may be removed would be."""
    key = "/xdsd/access/users/eve"
    for words in (("kv", "put", key, "{}"), ("kv", "del", key), ("kv", "del", "/xdsd/", "--prefix")):
        said = {xdsctl(*words, *more).stderr for more in ((), ("--dry-run",))}
        assert len(said) == 1
        assert "keys below /xdsd/access/ are not " in said.pop()
    server.run(server.store.put(b"/xdsd/members/9", b"{}"))
    assert xdsctl("kv", "del", "/xdsd/members/9", "--dry-run").exit_code == 0
    assert xdsctl("kv", "del", "/xdsd/members/9").stdout == "1\n"
