"""``xdsctl apply``."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from api.client import ApiError, Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import BOTH, REVIEWS, RULE


def written(folder: Path, name: str, text: str | bytes) -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def test_it_says_what_became_of_each_object(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """created, unchanged and configured, in kubectl's words and in the file's order."""
    file = written(tmp_path, "both.yaml", BOTH)
    first = xdsctl("apply", "-f", file)
    assert first.output == (
        "virtualservice.networking.istio.io/reviews created\n"
        "destinationrule.networking.istio.io/reviews created\n"
    )
    assert first.exit_code == 0
    written(tmp_path, "both.yaml", BOTH.replace("weight: 90", "weight: 80"))
    assert xdsctl("apply", "-f", file).output == (
        "virtualservice.networking.istio.io/reviews configured\n"
        "destinationrule.networking.istio.io/reviews unchanged\n"
    )


def test_a_remark_does_not_refuse(xdsctl: Xdsctl) -> None:
    """A warning goes to the error stream with its line; the object is applied."""
    result = xdsctl("apply", "-f", "-", input=f"{RULE}---\n{REVIEWS}".replace("subset: v3", "subset: v4"))
    assert result.exit_code == 0
    assert result.stderr.startswith(
        "warning: stdin:32: VirtualService default/reviews spec.http[0].route[1].destination.subset: no DestinationRule"
    )
    assert result.stdout.endswith("virtualservice.networking.istio.io/reviews created\n")


def test_a_dry_run_says_so_and_changes_nothing(xdsctl: Xdsctl) -> None:
    """The daemon checks; nothing is written."""
    result = xdsctl("apply", "--dry-run", "-f", "-", input=RULE)
    assert result.output == "destinationrule.networking.istio.io/reviews created (server dry run)\n"
    assert xdsctl("get", "dr", "-o", "name").output == ""


def test_folders_and_several_files_are_one_transaction(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """Folders give their YAML and JSON in order of name; -R those of folders inside as well."""
    written(tmp_path, "d/b.yml", RULE)
    written(
        tmp_path,
        "d/a.json",
        json.dumps(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "Sidecar",
                "metadata": {"name": "s"},
                "spec": {"egress": [{"hosts": ["./*"]}]},
            }
        ),
    )
    written(tmp_path, "d/notes.txt", "not ours")
    written(tmp_path, "d/deep/c.yaml", REVIEWS)
    assert xdsctl("apply", "-f", str(tmp_path / "d"), "-o", "name").output == (
        "sidecar.networking.istio.io/s\ndestinationrule.networking.istio.io/reviews\n"
    )
    deep = xdsctl("apply", "-R", "-f", str(tmp_path / "d"))
    assert "virtualservice.networking.istio.io/reviews created\n" in deep.output
    assert xdsctl("get", "vs", "reviews", "-o", "json").exit_code == 0


def test_the_namespace_is_for_objects_that_name_none(xdsctl: Xdsctl) -> None:
    """With -n they go there; an object that says another is refused, as kubectl does."""
    assert xdsctl("apply", "-n", "prod", "-f", "-", input=RULE).exit_code == 0
    assert (
        xdsctl("get", "dr", "-n", "prod", "-o", "name").output
        == "destinationrule.networking.istio.io/reviews\n"
    )
    other = RULE.replace("name: reviews\nspec", "name: reviews\n  namespace: test\nspec")
    refused = xdsctl("apply", "-n", "prod", "-f", "-", input=other)
    assert refused.exit_code == 1
    assert refused.stderr == (
        "stdin:5: DestinationRule test/reviews metadata.namespace: 'test' is not the namespace of -n prod; "
        "leave one of the two out (Conflict)\n"
    )


def test_every_problem_comes_with_file_and_line(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """All mistakes of all files at once; nothing is applied."""
    first = written(
        tmp_path, "a.yaml", REVIEWS.replace("weight: 10", "weight: -5").replace("hosts:", "hots:")
    )
    second = written(tmp_path, "b.yaml", RULE.replace("host: reviews", "host: [1]"))
    result = xdsctl("apply", "-f", first, "-f", second)
    assert result.exit_code == 1
    assert result.stdout == ""
    places = {line.split(": ")[0] for line in result.stderr.splitlines()}
    assert {f"{first}:8", f"{first}:19", f"{second}:6"} <= places
    assert (
        f"{first}:19: VirtualService default/reviews spec.http[0].route[1].weight: -5 is below 0"
        in result.stderr
    )
    assert xdsctl("get", "all", "-A", "-o", "name").output == ""


def test_the_daemons_problems_come_with_file_and_line_too(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """What only the daemon can know is put back to the line that it is about."""
    file = written(tmp_path, "r.yaml", REVIEWS.replace("  labels:", '  resourceVersion: "99"\n  labels:'))
    result = xdsctl("apply", "-f", file)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"{file}:5: VirtualService default/reviews metadata.resourceVersion: '99' is out of date"
    )
    assert result.stderr.endswith("(Conflict)\n")


def test_an_object_in_two_files_is_refused(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """Which of the two is meant is for the author to say."""
    first, second = written(tmp_path, "a.yaml", RULE), written(tmp_path, "b.yaml", RULE)
    result = xdsctl("apply", "-f", first, "-f", second)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{second}:1: DestinationRule default/reviews: is in {first}:1 as well; keep one of them (DuplicateObject)\n"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1", "MalformedFile"),
        (b"\xff\xfe\xfd", "MalformedFile"),
        (b"kind: Pod\napiVersion: v1\nmetadata: {name: x}\n", "UnknownKind"),
        (b"kind: Nonsense\napiVersion: x/v1\nmetadata: {name: x}\n", "UnknownKind"),
        (b"just text", "f.yaml:1: "),
        (b"", "there are no objects"),
        (b"# nothing\n---\n", "there are no objects"),
        (b"x: " + b"[" * 20_000, "f.yaml:1: "),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(
                b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 105)
            ),
            "f.yaml",
        ),
        (b"x" * (50 << 20), "TooLarge"),
        (f"{RULE}---\n{RULE}".encode(), "DuplicateObject"),
    ],
    ids=[
        "syntax",
        "utf-8",
        "kubernetes",
        "unknown",
        "scalar",
        "empty",
        "comments",
        "deep",
        "bomb",
        "50MB",
        "twice",
    ],
)
def test_bad_files_are_refused_with_a_sentence(
    xdsctl: Xdsctl, tmp_path: Path, content: bytes, sentence: str
) -> None:
    """Exit code 1, the file's name and what is wrong; never a traceback, and the daemon is not even asked."""
    file = written(tmp_path, "f.yaml", content)
    result = xdsctl("apply", "-f", file)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert str(tmp_path) in result.stderr
    assert sentence.lower() in result.stderr.lower()
    assert len(result.stderr) < 4000


def test_files_that_are_not_there_are_named(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """A missing file, and a folder without any manifest."""
    missing = xdsctl("apply", "-f", str(tmp_path / "none.yaml"))
    assert (missing.exit_code, missing.stderr) == (
        1,
        f"{tmp_path}/none.yaml: cannot be read: no such file or directory (UnreadableFile)\n",
    )
    folder = tmp_path / "empty"
    folder.mkdir()
    empty = xdsctl("apply", "-f", str(folder))
    assert empty.stderr.startswith(
        f"{folder}: has no .yaml, .yml or .json file; -R looks into folders inside"
    )


def test_wrong_usage_ends_with_2(xdsctl: Xdsctl) -> None:
    """No file at all, and the standard input twice."""
    assert xdsctl("apply").exit_code == 2
    assert xdsctl("apply", "-f", "-", "-f", "-", input=RULE).exit_code == 2


def test_results_come_as_data(xdsctl: Xdsctl) -> None:
    """-o json prints the object as it is kept, several as a List."""
    one = json.loads(xdsctl("apply", "-o", "json", "-f", "-", input=RULE).stdout)
    assert one["metadata"]["generation"] == 1
    both = json.loads(xdsctl("apply", "-o", "json", "-f", "-", input=BOTH).stdout)
    assert [item["kind"] for item in both["items"]] == ["VirtualService", "DestinationRule"]


def test_what_was_read_can_be_applied_again(xdsctl: Xdsctl) -> None:
    """get -o yaml | apply -f - changes nothing."""
    xdsctl("apply", "-f", "-", input=BOTH)
    everything = xdsctl("get", "all", "-o", "yaml").stdout
    result = xdsctl("apply", "-f", "-", input=everything)
    assert result.exit_code == 0, result.output
    assert all(line.endswith(" unchanged") for line in result.stdout.splitlines())


def test_it_stops_where_the_daemon_stopped(server: Daemon, xdsctl: Xdsctl) -> None:
    """A store that cannot be written is a failure with the store's sentence."""
    server.run(server.store.close())
    result = xdsctl("apply", "-f", "-", input=RULE)
    assert result.exit_code == 1
    assert "the store" in result.stderr


def test_a_dry_run_prints_what_is_odd(xdsctl: Xdsctl) -> None:
    """Warnings come with their lines though nothing is written."""
    result = xdsctl("apply", "--dry-run", "-f", "-", input=REVIEWS)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: stdin:14: VirtualService default/reviews spec.http[0].route[0]")
    assert "no DestinationRule" in result.stderr
    assert result.stdout == "virtualservice.networking.istio.io/reviews created (server dry run)\n"
    assert xdsctl("history").stdout == ""


def test_who_wrote_last_is_named(xdsctl: Xdsctl) -> None:
    """A manifest with the version that was read is refused once somebody wrote, who and when are told."""
    xdsctl("apply", "-f", "-", input=RULE)
    mine = xdsctl("get", "dr", "reviews", "-o", "yaml").stdout.replace("v3", "v4")
    xdsctl("apply", "-f", "-", input=RULE.replace("v3", "v2"))
    refused = xdsctl("apply", "-f", "-", input=mine)
    assert refused.exit_code == 1
    assert "'2' is out of date: the object is at 3; get it again and make the change there" in refused.stderr
    assert re.search(r"; \S+ changed it at 20\S+Z", refused.stderr)
    again = xdsctl("get", "dr", "reviews", "-o", "yaml").stdout.replace("v2", "v4")
    assert xdsctl("apply", "-f", "-", input=again).exit_code == 0


def rules(count: int) -> str:
    return "---\n".join(RULE.replace("name: reviews", f"name: r{number}") for number in range(count))


def test_chunks_are_transactions_of_their_own(xdsctl: Xdsctl) -> None:
    """Each chunk is a revision, which is said; what others name comes first, so that nothing seems to be missing."""
    result = xdsctl("apply", "--chunk", "2", "-f", "-", input=f"{REVIEWS}---\n{rules(4)}")
    assert result.exit_code == 0
    assert result.stderr == "chunk 1 of 3: revision 2\nchunk 2 of 3: revision 3\nchunk 3 of 3: revision 4\n"
    assert result.stdout.splitlines()[-1] == "virtualservice.networking.istio.io/reviews created"
    assert len(result.stdout.splitlines()) == 5
    items = json.loads(xdsctl("apply", "--chunk", "2", "-o", "json", "-f", "-", input=rules(4)).stdout)
    assert len(items["items"]) == 4


def test_one_chunk_is_one_transaction(xdsctl: Xdsctl) -> None:
    """What fits into a chunk is applied as without."""
    result = xdsctl("apply", "--chunk", "4", "-f", "-", input=rules(4))
    assert (result.stderr, len(result.stdout.splitlines())) == ("", 4)
    assert xdsctl("apply", "--chunk", "0", "-f", "-", input=RULE).exit_code == 2


def test_a_mistake_in_the_last_chunk_leaves_nothing_written(xdsctl: Xdsctl) -> None:
    """All chunks are checked before the first is written."""
    text = f"{rules(4)}---\n" + REVIEWS.replace("  labels:", '  resourceVersion: "99"\n  labels:')
    result = xdsctl("apply", "--chunk", "2", "-f", "-", input=text)
    assert result.exit_code == 1
    assert "metadata.resourceVersion: '99' is out of date" in result.stderr
    assert "warning" not in result.stderr
    assert xdsctl("get", "all", "-o", "name").stdout == ""
    dry = xdsctl("apply", "--chunk", "2", "--dry-run", "-f", "-", input=rules(4))
    assert dry.exit_code == 0
    assert dry.stderr.endswith("what a warning misses may stand in another chunk.\n")
    assert xdsctl("get", "all", "-o", "name").stdout == ""


def test_a_chunk_that_fails_says_how_far_it_came(
    xdsctl: Xdsctl, server: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks before it are written, and applying the same again goes on."""
    written = 0
    through = Client.apply

    def failing(client: Client, objects: Sequence[bytes], *, dry_run: bool = False) -> pb.ApplyResponse:
        nonlocal written
        written += not dry_run
        if written == 2:
            server.run(server.store.close())
        return through(client, objects, dry_run=dry_run)

    monkeypatch.setattr(Client, "apply", failing)
    result = xdsctl("apply", "--chunk", "2", "-f", "-", input=rules(6))
    assert result.exit_code == 1
    assert result.stderr.startswith("chunk 1 of 3: revision 2\nError: the store")
    assert result.stderr.endswith(
        "chunk 2 of 3 was not written; the chunks before it (1 of 3) are; apply the same files again to go on\n"
    )


def test_more_than_a_message_holds(xdsctl: Xdsctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the daemon does not take at once is refused with the way to part it."""

    def refuse(*_: object, **__: object) -> None:
        raise ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max")

    monkeypatch.setattr(Client, "apply", refuse)
    refused = xdsctl("apply", "-f", "-", input=RULE)
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: larger than max\nTo write them in parts, each a transaction of its own: --chunk N\n"
    )
