"""``xdsctl get``, ``delete`` and ``diff``."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from api.commands.tables import age, duration
from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import BOTH, REVIEWS, RULE
from xdsd.manifest import parse_object
from xdsd.model.problem import ObjectRef
from xdsd.reconcile.declared import Holding


@pytest.fixture
def filled(xdsctl: Xdsctl) -> Xdsctl:
    """A daemon that has a VirtualService and a DestinationRule."""
    assert xdsctl("apply", "-f", "-", input=BOTH).exit_code == 0
    return xdsctl


def lines(text: str) -> list[str]:
    """The lines, ages made equal; the columns stay as wide as they are."""
    return [
        re.sub(r"\b\d+s\b", lambda age: "0s".ljust(len(age[0])), line).rstrip() for line in text.splitlines()
    ]


def test_a_table_has_the_published_columns(filled: Xdsctl) -> None:
    """Plain columns through a pipe, as kubectl prints them."""
    assert lines(filled("get", "vs").stdout) == [
        "NAME      GATEWAYS   HOSTS         AGE",
        'reviews              ["reviews"]   0s',
    ]
    assert lines(filled("get", "dr", "-A").stdout) == [
        "NAMESPACE   NAME      HOST      AGE",
        "default     reviews   reviews   0s",
    ]
    assert lines(filled("get", "vs", "-o", "wide", "--no-headers").stdout) == [
        'reviews              ["reviews"]   0s    1            tier=back   store'
    ]


def test_objects_of_lists_are_elsewhere(filled: Xdsctl) -> None:
    """What a registry's files declare is not in the store; whoever looks for it there is told where it is."""
    result = filled("get", "se", "billing")
    assert result.exit_code == 1
    assert (
        'serviceentries.networking.istio.io "billing" not found among the objects of the store'
        in result.stderr
    )
    assert "xdsctl get services" in result.stderr


ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec: {hosts: [db.example.com], ports: [{number: 1, name: tcp, protocol: TCP}], resolution: DNS}
"""


def test_the_addresses_that_the_mesh_gives_are_shown(xdsctl: Xdsctl, server: Daemon) -> None:
    """As the status of the entry and in the wide table; what is shown can be applied again."""
    assert xdsctl("apply", "-f", "-", input=ENTRY).exit_code == 0
    assert "status" not in json.loads(xdsctl("get", "se", "db", "-o", "json").stdout)
    server.mesh.given["default", "db.example.com"] = ("240.0.0.1", "2001:2::1")
    shown = xdsctl("get", "se", "db", "-o", "yaml").stdout
    assert yaml.safe_load(shown)["status"] == {
        "addresses": [
            {"host": "db.example.com", "value": "240.0.0.1"},
            {"host": "db.example.com", "value": "2001:2::1"},
        ]
    }
    assert "240.0.0.1,2001:2::1" in xdsctl("get", "se", "-o", "wide").stdout
    assert "unchanged" in xdsctl("apply", "-f", "-", input=shown).stdout


def test_all_kinds_are_a_table_each(filled: Xdsctl) -> None:
    """Names are qualified where kinds are mixed."""
    assert lines(filled("get", "all").stdout) == [
        "NAME                                          HOST      AGE",
        "destinationrule.networking.istio.io/reviews   reviews   0s",
        "",
        "NAME                                         GATEWAYS   HOSTS         AGE",
        'virtualservice.networking.istio.io/reviews              ["reviews"]   0s',
    ]


@pytest.mark.parametrize(
    "words", [("vs", "reviews"), ("vs/reviews",), ("VirtualService.networking.istio.io", "reviews")]
)
def test_one_object_by_name(filled: Xdsctl, words: tuple[str, ...]) -> None:
    """As YAML, JSON and name, however the kind is called."""
    as_yaml = yaml.safe_load(filled("get", *words, "-o", "yaml").stdout)
    as_json = json.loads(filled("get", *words, "-o", "json").stdout)
    assert as_yaml == as_json
    assert as_json["apiVersion"] == "networking.istio.io/v1"
    assert as_json["spec"]["http"][0]["route"][1]["weight"] == 10
    assert filled("get", *words, "-o", "name").stdout == "virtualservice.networking.istio.io/reviews\n"


def test_lists_are_lists(filled: Xdsctl) -> None:
    """-o json of a kind is a List, even of one."""
    found = json.loads(filled("get", "vs", "-o", "json").stdout)
    assert (found["kind"], found["apiVersion"], len(found["items"])) == ("List", "v1", 1)


def test_labels_select(filled: Xdsctl) -> None:
    """-l as kubectl has it."""
    assert filled("get", "vs", "-l", "tier=back", "-o", "name").stdout != ""
    none = filled("get", "vs", "-l", "tier!=back")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "No resources found in default namespace.\n")
    assert filled("get", "vs", "-l", "a>b").exit_code == 1


def test_what_is_not_there_is_a_failure(filled: Xdsctl) -> None:
    """Exit code 1 and kubectl's sentence."""
    result = filled("get", "vs", "none")
    assert result.exit_code == 1
    assert result.stderr == 'Error: virtualservices.networking.istio.io "none" not found\n'


@pytest.mark.parametrize(
    "words",
    [
        ("get",),
        ("get", "pods"),
        ("get", "vs,dr", "reviews"),
        ("get", "all/reviews"),
        ("get", "vs", "reviews", "-A"),
        ("get", "vs", "reviews", "-l", "a=b"),
        ("get", "all", "-w"),
        ("get", "vs", "-o", "xml"),
        ("delete",),
        ("delete", "vs"),
        ("delete", "vs", "reviews", "--all"),
        ("delete", "vs,dr", "reviews"),
        ("delete", "vs", "-f", "x"),
        ("diff",),
        ("nonsense",),
        ("schema", "pods"),
        ("--endpoint", "nonsense", "get", "vs"),
    ],
)
def test_wrong_usage_ends_with_2(xdsctl: Xdsctl, words: tuple[str, ...]) -> None:
    """And says how the command is used."""
    result = xdsctl(*words)
    assert result.exit_code == 2
    assert "Usage: xdsctl" in result.stderr


def test_objects_of_several_kinds_by_name(filled: Xdsctl) -> None:
    """KIND/NAME as often as wanted, as kubectl has it; and one transaction removes them all."""
    words = ("vs/reviews", "dr/reviews", "vs/reviews")
    found = json.loads(filled("get", *words, "-o", "json").stdout)
    assert [item["kind"] for item in found["items"]] == ["VirtualService", "DestinationRule"]
    assert "virtualservice.networking.istio.io/reviews" in filled("get", *words).stdout
    assert filled("delete", *words).stdout == (
        'virtualservice.networking.istio.io "reviews" deleted\n'
        'destinationrule.networking.istio.io "reviews" deleted\n'
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("get", "vs/a", "b"), "b names no kind; write each object as KIND/NAME, or KIND NAME…"),
        (("get", "vs", "a", "dr/b"), "dr/b names a kind of its own; write each object as KIND/NAME"),
        (("get", "vs/a", "dr/"), "dr/ names no object; write KIND/NAME"),
        (("get", "vs/a", "pod/b"), 'there is no kind "pod"'),
        (("delete", "vs/a", "b"), "b names no kind"),
        (("delete", "vs", "a", "--all"), "a name and --all both say what to remove; use one of the two"),
        (("delete", "vs", "-l", "a=b", "--all"), "-l and --all both say what to remove"),
        (("delete", "vs", "-f", "x"), "the files of -f say what to remove; leave the kind out"),
        (("delete", "-l", "a=b"), "say what to remove: KIND NAME"),
        (("diff", "-f", "x", "--revision", "1.."), "use one of the two"),
        (("apply", "-f", "https://example.com/a.yaml"), "URLs are not taken; read what it is first: curl"),
        (("wait", "--for=synced", "vs"), "name objects as KIND/NAME or KIND NAME"),
        (("wait", "--for=synced", "--timeout", "5"), "'5' is not a duration: write 5s for seconds"),
    ],
)
def test_what_cannot_be_meant_together_is_told_by_its_own_sentence(
    xdsctl: Xdsctl, words: tuple[str, ...], sentence: str
) -> None:
    """With 2, and what to write instead."""
    result = xdsctl(*words)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_delete_says_what_is_gone(filled: Xdsctl) -> None:
    """By name, in kubectl's words; a second time it is not found."""
    assert (
        filled("delete", "vs", "reviews").stdout == 'virtualservice.networking.istio.io "reviews" deleted\n'
    )
    again = filled("delete", "vs/reviews")
    assert again.exit_code == 1
    assert again.stderr == (
        'Error: virtualservices.networking.istio.io "reviews" not found in namespace default\n'
    )
    assert filled("delete", "vs/reviews", "--ignore-not-found").exit_code == 0


def test_delete_takes_files_labels_and_all(filled: Xdsctl) -> None:
    """Each way removes what it means; a dry run nothing."""
    dry = filled("delete", "-f", "-", "--dry-run", input=BOTH)
    assert dry.stdout == (
        'virtualservice.networking.istio.io "reviews" deleted (server dry run)\n'
        'destinationrule.networking.istio.io "reviews" deleted (server dry run)\n'
    )
    assert filled("delete", "-f", "-", input=RULE).exit_code == 0
    assert filled("get", "all", "-o", "name").stdout == "virtualservice.networking.istio.io/reviews\n"
    assert filled("delete", "vs", "-l", "tier=front").stderr == "No resources found\n"
    assert filled("delete", "vs", "-l", "tier=back", "-o", "name").stdout == (
        "virtualservice.networking.istio.io/reviews\n"
    )
    filled("apply", "-f", "-", input=BOTH)
    assert filled("delete", "vs,dr", "--all").exit_code == 0
    assert filled("get", "all", "-o", "name").stdout == ""


def test_diff_shows_what_apply_would_change(filled: Xdsctl) -> None:
    """Exit code 1 with a unified diff where something differs, 0 where nothing does; nothing is written."""
    same = filled("diff", "-f", "-", input=BOTH)
    assert (same.exit_code, same.output) == (0, "")
    changed = BOTH.replace("weight: 90", "weight: 80").replace("weight: 10", "weight: 20")
    result = filled("diff", "-f", "-", input=changed)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == [
        "--- live/VirtualService.default.reviews",
        "+++ applied/VirtualService.default.reviews",
    ]
    assert [line.strip() for line in result.stdout.splitlines() if line[:1] in "+-"][2:] == [
        "-      weight: 90",
        "+      weight: 80",
        "-      weight: 10",
        "+      weight: 20",
    ]
    assert filled("diff", "-f", "-", input=BOTH).exit_code == 0


def test_diff_of_a_new_object_is_all_of_it(xdsctl: Xdsctl) -> None:
    """It has no other side."""
    result = xdsctl("diff", "-f", "-", input=RULE)
    assert result.exit_code == 1
    assert "+kind: DestinationRule" in result.stdout
    assert not any(line.startswith("-") for line in result.stdout.splitlines()[2:])
    data = json.loads(xdsctl("diff", "-o", "json", "-f", "-", input=RULE).stdout)
    assert data["diffs"][0]["live"] is None
    assert data["diffs"][0]["applied"]["spec"]["host"] == "reviews"


def test_diff_fails_above_1(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """As kubectl's, so that a script can tell a difference from a failure."""
    assert xdsctl("diff", "-f", "-", input="a: [").exit_code == 2
    assert xdsctl("--endpoint", f"unix:{tmp_path}/none", "diff", "-f", "-", input=RULE).exit_code == 2


@contextmanager
def killed_at_the_end(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """A process that does not outlive its test, whatever becomes of it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_watch_prints_each_change(server: Daemon, filled: Xdsctl) -> None:
    """As a process: what is there, then each change as it happens, until Ctrl-C, which is no failure."""
    program = "from api.cli import main; main(prog_name='xdsctl')"
    words = ["--endpoint", server.endpoint, "get", "vs", "-w", "-o", "json"]
    with killed_at_the_end([sys.executable, "-uc", program, *words]) as watch:
        assert watch.stdout is not None
        first = json.loads(watch.stdout.readline())
        filled("apply", "-f", "-", input=REVIEWS.replace("weight: 90", "weight: 80"))
        second = json.loads(watch.stdout.readline())
        filled("delete", "vs", "reviews")
        third = json.loads(watch.stdout.readline())
        watch.send_signal(signal.SIGINT)
        assert watch.wait(60) == 0
    assert [each["type"] for each in (first, second, third)] == ["ADDED", "MODIFIED", "DELETED"]
    assert second["object"]["spec"]["http"][0]["route"][0]["weight"] == 80


def test_a_watched_table_grows(server: Daemon, filled: Xdsctl) -> None:
    """One header, a line a change."""
    program = "from api.cli import main; main(prog_name='xdsctl')"
    words = ["--endpoint", server.endpoint, "get", "vs", "-w"]
    with killed_at_the_end([sys.executable, "-uc", program, *words]) as watch:
        assert watch.stdout is not None
        seen = [watch.stdout.readline() for _ in range(2)]
        filled("delete", "vs", "reviews")
        seen.append(watch.stdout.readline())
        watch.send_signal(signal.SIGINT)
        assert watch.wait(60) == 0
    assert seen[0].split() == ["EVENT", "NAME", "GATEWAYS", "HOSTS", "AGE"]
    assert [line.split()[:2] for line in seen[1:]] == [["ADDED", "reviews"], ["DELETED", "reviews"]]


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (timedelta(seconds=-3), "0s"),
        (timedelta(seconds=45), "45s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(seconds=125), "2m5s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(minutes=45), "45m"),
        (timedelta(hours=4, minutes=7), "4h7m"),
        (timedelta(hours=30), "30h"),
        (timedelta(days=3, hours=4), "3d4h"),
        (timedelta(days=40), "40d"),
        (timedelta(days=800), "2y"),
    ],
)
def test_ages_read_as_kubectls(past: timedelta, text: str) -> None:
    """Two units while they matter, one from there on."""
    assert duration(past) == text


def test_an_unknown_age_is_said() -> None:
    """An object without a time, or with nonsense in its place, still prints."""
    assert age("", datetime.now(UTC)) == "<unknown>"
    assert age("2026-01-01", datetime.now(UTC)) == "<unknown>"


FOREIGN = ObjectRef("VirtualService", "default", "of-east")


@pytest.fixture
def joined(server: Daemon, filled: Xdsctl) -> Xdsctl:
    """A daemon that has another VirtualService by a cluster."""
    made = parse_object(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": FOREIGN.name, "labels": {"app": "east"}},
            "spec": {"hosts": ["east"], "http": [{"route": [{"destination": {"host": "east"}}]}]},
        }
    )
    assert not isinstance(made, list), made
    server.mesh.others[FOREIGN] = Holding("kubernetes:east", made)
    return filled


def test_what_a_cluster_declares_is_shown_with_its_source(joined: Xdsctl) -> None:
    """In lists, by name and as data; objects of the store say so where columns are many."""
    assert "of-east" in joined("get", "vs").stdout
    wide = joined("get", "vs", "-o", "wide").stdout.splitlines()
    assert [line.split()[-1] for line in wide] == ["SOURCE", "store", "kubernetes:east"]
    shown = json.loads(joined("get", "vs", "of-east", "-o", "json").stdout)
    assert shown["metadata"]["annotations"] == {"xdsd.io/source": "kubernetes:east"}
    assert "of-east" not in joined("get", "vs", "-l", "app=west").stdout
    assert "of-east" not in joined("get", "dr", "-A").stdout


def test_what_a_cluster_declares_is_not_deleted_here(joined: Xdsctl) -> None:
    """The answer says where to; all that the store has is deleted without it."""
    refused = joined("delete", "vs", "of-east")
    assert refused.exit_code == 1
    assert "kubernetes:east declares it: change or delete it there, with kubectl" in refused.stderr
    assert joined("delete", "vs", "--all").exit_code == 0
    assert "of-east" in joined("get", "vs").stdout
