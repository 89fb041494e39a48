"""``xdsctl kv``, ``lease`` and ``member`` print what etcdctl prints, on the same etcd; and say more where they know more."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from aetcd import rpc

from api.commands.etcd_output import quoted
from api.commands.kv.transaction import MalformedTxnError, parse
from tests.lab.daemon import plain_environment
from tests.lab.eventually import eventually
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.etcd import Etcd, running_etcd
from xdsd.demo.operator import XDSCTL

TXN = 'mod("a") > "0"\nvalue("b") = "two words"\n\nput c "z \\"w\\""\nget a\ndel nope\n\nget b\n\n'
FAILING = 'ver("a") = "0"\n\nput c x\n\nget a b\ndel --prev-kv b\n\n'


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with running_etcd(tmp_path_factory.mktemp("etcd")) as running:
        yield running


@pytest.fixture
def filled(etcd: Etcd) -> Etcd:
    """The same keys before each test."""
    etcd.etcdctl("del", "", "--prefix")
    for key, value in (("a", "one"), ("a", "uno"), ("b", "two words"), ("e", ""), ("ü", 'q"\n\t\\é\x01')):
        assert etcd.etcdctl("put", key, "--", value) == (0, "OK\n")
    return etcd


READS = [
    ("a",),
    ("nope",),
    ("a", "c"),
    ("e",),
    ("ü",),
    ("", "--prefix"),
    ("", "--from-key"),
    ("b", "--from-key"),
    ("a", "--prefix", "--keys-only"),
    ("", "--prefix", "--limit=2"),
    ("", "--prefix", "--order=DESCEND"),
    ("", "--prefix", "--order", "descend", "--sort-by", "modify"),
    ("", "--prefix", "--sort-by=VERSION"),
    ("a", "--consistency=s"),
]


@pytest.mark.e2e
@pytest.mark.parametrize("form", ["simple", "json", "fields"])
@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_get_prints_what_etcdctl_prints(filled: Etcd, words: tuple[str, ...], form: str) -> None:
    """Byte for byte, in each of etcdctl's forms."""
    theirs = filled.etcdctl("get", *words, "-w", form)
    ours = filled.xdsctl("kv", "get", *words, "-w", form)
    assert (ours.exit_code, ours.stdout) == theirs


@pytest.mark.e2e
@pytest.mark.parametrize(
    "words",
    [
        ("get", "a", "--hex"),
        ("get", "ü", "--print-value-only"),
        ("get", "a", "--print-value-only", "--keys-only"),
    ],
    ids=" ".join,
)
def test_other_ways_to_print_are_the_same_too(filled: Etcd, words: tuple[str, ...]) -> None:
    """Hexadecimal, and values alone."""
    assert (0, filled.xdsctl("kv", *words).stdout) == filled.etcdctl(*words)


@pytest.mark.e2e
@pytest.mark.parametrize("form", ["simple", "json", "fields"])
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("put", "n", "v"), ""),
        (("put", "a", "v", "--prev-kv"), ""),
        (("put", "n", "--", "-v"), ""),
        (("put", "n"), "from the standard input\n"),
        (("put", "a", "--ignore-value"), ""),
        (("put", "a", "v", "--ignore-lease"), ""),
        (("del", "a"), ""),
        (("del", "nope"), ""),
        (("del", "a", "c", "--prev-kv"), ""),
        (("del", "", "--prefix"), ""),
        (("del", "b", "--from-key", "--prev-kv"), ""),
        (("txn",), TXN),
        (("txn", "-i"), TXN),
        (("txn",), FAILING),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_writes_print_and_do_what_etcdctl_does(
    etcd: Etcd, words: tuple[str, ...], text: str, form: str
) -> None:
    """The same output but for the numbers of revisions, and the same keys afterwards."""
    seen = []
    for theirs in (True, False):
        etcd.etcdctl("del", "", "--prefix")
        for key, value in (("a", "one"), ("b", "two words"), ("e", "")):
            etcd.etcdctl("put", key, value)
        typed = (words[0], "-w", form, *words[1:])
        printed = (
            spelled(etcd.etcdctl(*typed, text=text)[1])
            if theirs
            else etcd.xdsctl("kv", *typed, text=text).stdout
        )
        seen.append((printed if form == "simple" else re.sub(r"\d+", "N", printed), contents(etcd)))
    assert seen[0] == seen[1]


def spelled(text: str) -> str:
    """As etcdctl spells it since 3.5."""
    words = {"ResponsePut": "response_put", "ResponseRange": "response_range"}
    for old, new in {**words, "ResponseDeleteRange": "response_delete_range"}.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    return text


def contents(etcd: Etcd) -> str:
    return etcd.etcdctl("get", "", "--prefix")[1]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("get", "a", "--rev", "99999"), 1, "required revision is a future revision"),
        (("get", "a", "b", "--prefix"), 2, "only accept one argument when `--prefix` or `--from-key` is set"),
        (("get", "a", "--prefix", "--from-key"), 2, "cannot be set at the same time, choose one"),
        (("get", ""), 2, "the key is empty; say --prefix for all keys"),
        (("get", "a", "--order", "up"), 2, "'up' is not one of 'ascend', 'descend'"),
        (("get", "a", "-w", "json", "--hex"), 2, "--hex is for simple output"),
        (("get", "a", "-w", "json", "-o", "json"), 2, "use one of the two"),
        (("put", "nope", "--ignore-value"), 1, "key not found"),
        (("put", "a", "x", "--ignore-value"), 2, "leave VALUE out"),
        (("put", "a", "x", "--lease", "zz"), 2, "'zz' is no lease"),
        (("put", "a", "x", "--lease", "7b"), 1, "requested lease not found"),
        (("compact", "99999"), 1, "required revision is a future revision"),
        (("compact", "99999", "--dry-run"), 1, "required revision is a future revision"),
        (("del", "a", "--range"), 2, "--range needs a RANGE_END"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_said(filled: Etcd, words: tuple[str, ...], code: int, sentence: str) -> None:
    """Wrong usage ends with 2, what the store refuses with 1."""
    found = filled.xdsctl("kv", *words)
    assert found.exit_code == code
    assert sentence in " ".join(found.stderr.split())


@pytest.mark.e2e
def test_our_json_is_text(filled: Etcd) -> None:
    """Keys and values are readable, every field is there, and bytes that are no text say so."""
    found = json.loads(filled.xdsctl("kv", "get", "a", "-o", "json").stdout)
    (kv,) = found["kvs"]
    assert (kv["key"], kv["value"], kv["version"], kv["lease"]) == ("a", "uno", 2, "")
    assert found["count"] == 1
    assert kv["modRevision"] < found["revision"]
    filled.xdsctl("kv", "put", "bytes", text=b"\xff\x00")
    found = json.loads(filled.xdsctl("kv", "get", "bytes", "-o", "json").stdout)
    assert found["kvs"][0]["value"] == {"base64": "/wA="}
    put = json.loads(filled.xdsctl("kv", "put", "a", "tre", "--prev-kv", "-o", "json").stdout)
    assert put["previous"]["value"] == "uno"
    gone = json.loads(filled.xdsctl("kv", "del", "a", "--prev-kv", "-o", "json").stdout)
    assert (gone["deleted"], gone["previous"][0]["value"]) == (1, "tre")
    both = json.loads(filled.xdsctl("kv", "txn", "-o", "json", text=TXN).stdout)
    assert both["succeeded"] is False
    assert [*both["responses"][0]] == ["get"]


@pytest.mark.e2e
def test_counting_needs_no_form(filled: Etcd) -> None:
    """Where etcdctl wants to be asked for fields, the number is printed."""
    assert filled.xdsctl("kv", "get", "", "--prefix", "--count-only").stdout == "4\n"


@pytest.mark.e2e
def test_a_transaction_comes_from_a_file(filled: Etcd, tmp_path: Path) -> None:
    """-f reads what the standard input would say."""
    file = tmp_path / "txn"
    file.write_text(TXN)
    assert filled.xdsctl("kv", "txn", "-f", str(file)).stdout.startswith("SUCCESS\n\nOK\n\na\nuno\n\n0\n")
    assert "cannot be read: no such file" in filled.xdsctl("kv", "txn", "-f", str(tmp_path / "no")).stderr


@pytest.mark.e2e
def test_a_dry_run_says_what_would_be_and_writes_nothing(filled: Etcd) -> None:
    """Of puts, dels and whole transactions, with the branch that would run."""
    before = contents(filled)
    assert filled.xdsctl("kv", "put", "a", "xyz", "--dry-run").stdout == "a replaced with 3 bytes (dry run)\n"
    assert (
        filled.xdsctl("kv", "put", "n", "--dry-run", text="ab").stdout == "n created with 2 bytes (dry run)\n"
    )
    assert (
        filled.xdsctl("kv", "del", "a", "c", "--dry-run").stdout
        == "a deleted (dry run)\nb deleted (dry run)\n"
    )
    assert filled.xdsctl("kv", "del", "no", "--dry-run").stdout == "nothing would be written (dry run)\n"
    text = filled.xdsctl("kv", "txn", "--dry-run", text=FAILING).stdout
    assert text == "FAILURE (dry run)\n\nb deleted (dry run)\n"
    found = json.loads(filled.xdsctl("kv", "txn", "--dry-run", "-o", "json", text=TXN).stdout)
    assert found["succeeded"] is True
    assert [(each["key"], each["effect"], each["bytes"]) for each in found["effects"]] == [
        ("c", "created", 5)
    ]
    assert "use -o json" in filled.xdsctl("kv", "del", "a", "--dry-run", "-w", "json").stderr
    assert contents(filled) == before


@pytest.mark.e2e
async def test_a_watch_tells_what_etcdctl_tells_until_it_is_interrupted(filled: Etcd, tmp_path: Path) -> None:
    """From a revision on, in each form, byte for byte; Ctrl-C ends it with 130 and without a word."""
    found = json.loads(filled.xdsctl("kv", "put", "w", "1", "-o", "json").stdout)
    for words in (("put", "w", "2"), ("del", "w"), ("put", "w", "3")):
        filled.etcdctl(*words)
    for form, end in (
        ("simple", r"w\n3\n\Z"),
        ("json", r'"value":"Mw==".*\n\Z'),
        ("fields", r'"Value" : "3"\n"Lease" : 0\n\Z'),
    ):
        watch = ("watch", "w", f"--rev={found['revision']}", "--prev-kv", "-w", form)
        theirs = await told(tmp_path, end, filled.etcdctl_binary, *filled.flags, *watch)
        ours = await told(tmp_path, end, *XDSCTL, "--endpoint", filled.endpoint, "kv", *watch)
        assert ours[:2] == (130, b"")
        assert ours[2] == theirs[2]


async def told(folder: Path, end: str, *command: str) -> tuple[int | None, bytes, str]:
    """What a command printed that was interrupted after it printed ``end``, a pattern: exit code, errors, output."""
    file = folder / "out"
    with file.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=asyncio.subprocess.PIPE, env=plain_environment()
        )
    await eventually(lambda: bool(re.search(end, file.read_text())), f"{end} was told")
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, errors, file.read_text()


@pytest.mark.e2e
def test_a_watch_that_the_server_ends_says_why(filled: Etcd) -> None:
    """A revision that was compacted fails, with the oldest that is kept."""
    revision = json.loads(filled.xdsctl("kv", "get", "a", "-o", "json").stdout)["revision"]
    assert filled.xdsctl("kv", "compact", str(revision)).stdout == f"compacted revision {revision}\n"
    found = filled.xdsctl("kv", "watch", "a", "--rev", "2")
    assert found.exit_code == 1
    assert f"the oldest that is kept is {revision}" in found.stderr
    assert "has been compacted" in filled.xdsctl("compaction", "2").stderr


def timeless(text: str) -> str:
    """The same of a lease, whatever is left of its time."""
    return re.sub(r'(remaining\(|"ttl":|"TTL" : )\d+', r"\1N", text)


@pytest.mark.e2e
def test_leases_are_as_etcdctl_has_them(filled: Etcd) -> None:
    """Granted, listed, told, kept alive and revoked in the same words."""
    lease = json.loads(filled.xdsctl("lease", "grant", "300", "-o", "json").stdout)["lease"]
    filled.xdsctl("kv", "put", "leased", "x", "--lease", lease)
    for words in (
        ("list",),
        ("timetolive", lease, "--keys"),
        ("timetolive", lease),
        ("keep-alive", "--once", lease),
    ):
        for form in ("simple", "json", "fields"):
            if words[0] == "keep-alive" and form != "simple":
                continue
            ours = timeless(filled.xdsctl("lease", *words, "-w", form).stdout)
            assert ours == timeless(filled.etcdctl("lease", *words, "-w", form)[1])
    told = json.loads(filled.xdsctl("lease", "timetolive", lease, "--keys", "-o", "json").stdout)
    assert told["keys"] == ["leased"]
    assert 0 < told["ttl"] <= told["granted"] == 300
    dry = filled.xdsctl("lease", "revoke", lease, "--dry-run").stdout
    assert dry == f"leased deleted (dry run)\nlease {lease} revoked (dry run)\n"
    assert filled.xdsctl("lease", "revoke", lease).stdout == f"lease {lease} revoked\n"
    assert filled.xdsctl("lease", "timetolive", lease).stdout == f"lease {lease} already expired\n"
    for words in (("revoke", lease), ("keep-alive", "--once", lease), ("revoke", lease, "--dry-run")):
        assert filled.xdsctl("lease", *words).exit_code == 1
    assert re.fullmatch(
        r"lease [0-9a-f]{16} granted with TTL\(60s\)\n", filled.xdsctl("lease", "grant", "60").stdout
    )
    assert "dry run" in filled.xdsctl("lease", "grant", "60", "--dry-run").stdout


@pytest.mark.e2e
def test_members_are_as_etcdctl_has_them(filled: Etcd) -> None:
    """In etcdctl's forms where they are asked for, else as a table, or as our JSON."""
    for form in ("simple", "json", "fields"):
        theirs = filled.etcdctl("member", "list", "-w", form)[1]
        ours = filled.xdsctl("member", "list", "-w", form).stdout
        # Some versions say the revision too, which is 0 in the answer.
        assert ours.replace('"Revision" : 0\n', "") == theirs.replace('"Revision" : 0\n', "")
    (each,) = json.loads(filled.xdsctl("member", "list", "-o", "json").stdout)["members"]
    assert each["clients"] == [f"http://{filled.endpoint}"]
    assert filled.xdsctl("member", "list").stdout.splitlines()[0].split()[:3] == ["ID", "STATUS", "NAME"]


def test_a_transaction_is_read_as_etcdctl_reads_it() -> None:
    """Every target and comparison, words in quotes with Go's escapes, options of operations."""
    request = parse(
        iter(
            [
                'c("a") = "1"',
                'create("a") != 2',
                'm("a") < "3"',
                'val("k\\x00\\u00e9\\n") > "\\"v\\""',
                'lease("a") = "7b"',
                "",
                "put 'two words' \"\\ttab\" --lease 7b --prev-kv",
                "get a --prefix --limit 3",
                "",
                "del a z",
            ]
        )
    )
    assert [(each.target, each.result) for each in request.compare] == [
        (1, 0),
        (1, 3),
        (2, 2),
        (3, 1),
        (4, 0),
    ]
    assert (request.compare[3].key, request.compare[3].value) == ("k\0é\n".encode(), b'"v"')
    assert request.compare[4].lease == 0x7B
    assert request.success[0].request_put == rpc.PutRequest(
        key=b"two words", value=b"\ttab", lease=0x7B, prev_kv=True
    )
    assert request.success[1].request_range == rpc.RangeRequest(key=b"a", range_end=b"b", limit=3)
    assert request.failure[0].request_delete_range == rpc.DeleteRangeRequest(key=b"a", range_end=b"z")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", r"write it as mod\(\"KEY\"\) > \"0\""),
        ('size("a") > "1"', "'size' is none of ver, version"),
        ('mod("a") >= "1"', "'>=' is none of =, !=, >, <"),
        ('mod("a") > "x"', '"x" is no number'),
        ('mod("\\q") > "1"', "is no escape"),
        ("\nput a", "put takes KEY and VALUE"),
        ("\npost a b", "'post' is none of get, put, del"),
        ("\nput a b --loud", "No such option '?--loud"),
        ('\nput a "b', "a quote is not closed"),
        ("\nget a b --prefix", "too many arguments"),
        ("\n\n\nput a b", "stands in a fourth"),
    ],
)
def test_a_transaction_that_makes_no_sense_is_refused(text: str, sentence: str) -> None:
    """The line is named, with what would be right."""
    with pytest.raises(MalformedTxnError, match=sentence):
        parse(iter(text.split("\n")))


def test_bytes_are_quoted_as_go_does() -> None:
    """Escapes for control characters, and for bytes that are no UTF-8."""
    assert quoted(b'a"\\\n\x01\x7f\xff\xc3\xa9') == '"a\\"\\\\\\n\\x01\\x7f\\xffé"'


def test_no_command_asks_a_daemon_before_its_usage_is_right(alone: Xdsctl) -> None:
    """Wrong usage is said without one."""
    for words in (("kv", "get"), ("kv", "put"), ("lease", "grant", "0"), ("kv", "compact", "-1")):
        assert alone(*words).exit_code == 2
