"""``xdsctl context``, and what counts where flags, the environment and contexts say different things."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from api.access_client import AccessClient
from api.cli import main
from api.contexts import Context, Contexts, ContextsError, contexts_file, load, save
from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon, daemon
from tests.lab.ports import free_port
from xdsd.settings import TcpAddress

Run = Callable[..., Result]
NAMES = ("ENDPOINT", "CA", "CERT", "KEY", "SERVER_NAME", "TOKEN_FILE", "TOKEN", "CONTEXT", "CONFIG")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "config.yaml"


@pytest.fixture
def run(file: Path) -> Run:
    """xdsctl with contexts of its own, and nothing of ours in the environment."""

    def call(*words: str, **variables: str) -> Result:
        environment: dict[str, str | None] = {f"XDSCTL_{name}": None for name in NAMES}
        environment |= {
            "XDSCTL_CONFIG": str(file),
            **{f"XDSCTL_{name}": value for name, value in variables.items()},
        }
        return CliRunner().invoke(main, words, env=environment, prog_name="xdsctl")

    return call


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    with daemon(tmp_path, TcpAddress("127.0.0.1", 0), anonymous=None) as running:
        yield running


def token_file(server: Daemon, folder: Path, name: str) -> str:
    """A file with the token of a new user."""
    path = folder / f"{name}.token"
    path.write_text(with_token(server, name, binding("viewer")).token + "\n")
    return str(path)


def whoami(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return str(json.loads(result.stdout)["name"])


def test_contexts_are_made_used_changed_and_forgotten(run: Run, file: Path) -> None:
    """The first is current; a name that is changed keeps what is not named."""
    assert run("context", "list").stderr == "No contexts found\n"
    assert run("context", "current").exit_code == 1
    assert run("context", "set", "one", "--endpoint", "127.0.0.1:1").stdout == 'context "one" made\n'
    assert run("context", "set", "two", "--endpoint", "unix:/x,[::1]:2", "--ca", "ca.pem").exit_code == 0
    assert run("context", "current").stdout == "one\n"
    assert run("context", "use", "two").stdout == 'context "two" is current\n'
    assert run("context", "set", "two", "--server-name", "x").stdout == 'context "two" changed\n'
    assert yaml.safe_load(run("context", "show").stdout) == {
        "name": "two",
        "endpoint": "unix:/x,[::1]:2",
        "ca": str(Path.cwd() / "ca.pem"),
        "server-name": "x",
    }
    assert run("context", "set", "two", "--ca", "").exit_code == 0
    assert "ca" not in yaml.safe_load(run("context", "show", "two").stdout)
    assert json.loads(run("context", "list", "-o", "json").stdout) == {
        "current": "two",
        "contexts": [
            {"name": "one", "endpoint": "127.0.0.1:1"},
            {"name": "two", "endpoint": "unix:/x,[::1]:2", "server-name": "x"},
        ],
    }
    header, one, two = (line.split() for line in run("context", "list").stdout.splitlines())
    assert header == ["CURRENT", "NAME", "ENDPOINT", "PROOF"]
    assert (one, two) == (["one", "127.0.0.1:1", "<none>"], ["*", "two", "unix:/x,[::1]:2", "<none>"])
    assert run("context", "delete", "two").stdout == 'context "two" deleted\n'
    assert run("context", "current").exit_code == 1
    assert list(load(file).contexts) == ["one"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("use", "none"), 1, "there is no context none; there are: one"),
        (("show", "none"), 1, "there is no context none"),
        (("delete", "none"), 1, "there is no context none"),
        (("set", "a/b"), 1, "'a/b' is no name of a context"),
        (("set", "x", "--endpoint", "nonsense"), 2, "'nonsense' is not an address"),
        (("set", "x", "--token", "secret"), 2, "No such option"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    run: Run, file: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """And the file stays as it is."""
    run("context", "set", "one", "--endpoint", "127.0.0.1:1")
    before = file.read_bytes()
    result = run("context", *words)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert file.read_bytes() == before


def test_the_file_is_the_users_alone_and_written_whole(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode 0600 in a folder of 0700; a write that fails leaves what was there, and nothing beside it."""
    run("context", "set", "one", "--endpoint", "127.0.0.1:1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    run("context", "set", "two")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("context", "set", "three")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {file} cannot be written: no space left on device\n",
    )
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["config.yaml"]


def test_what_is_no_file_is_left_as_it_is(tmp_path: Path) -> None:
    """A device or a pipe at the place of the file is not replaced by one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ContextsError, match="it is no regular file"):
        save(pipe, Contexts())
    assert pipe.is_fifo()


def test_a_file_that_is_linked_to_stays_where_it_is(tmp_path: Path) -> None:
    """The link is followed, not replaced."""
    kept, link = tmp_path / "kept.yaml", tmp_path / "config.yaml"
    save(kept, Contexts())
    link.symlink_to(kept)
    save(link, Contexts({"one": Context("127.0.0.1:1")}, "one"))
    assert link.is_symlink()
    assert load(kept) == Contexts({"one": Context("127.0.0.1:1")}, "one")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "contexts:\n  one:\n    tokenfile: x\n",
            "3: contexts.one.tokenfile: is no option; did you mean token-file?",
        ),
        (
            "contexts:\n  one:\n    token: x\n",
            "3: contexts.one.token: is no option; did you mean token-file?",
        ),
        ("curent: one\n", "1: curent: is no option; did you mean current?"),
        ("current: [one]\n", "1: current: is not text but ['one']"),
        ("contexts: []\n", "1: contexts: is not a mapping"),
        ("contexts:\n  one: 1\n", "2: contexts.one: is not a mapping"),
        ("contexts:\n\n  one:\n    endpoint: 1\n", "4: contexts.one.endpoint: is not text but 1"),
        ("contexts:\n  a/b: {}\n", "2: contexts.a/b: is no name of a context"),
        ("contexts:\n  one: {}\n  one: {}\n", "3: contexts.one: "),
        ("contexts: {\n", ": not YAML: "),
        ("a: 1\n---\nb: 2\n", "3: holds more than one document"),
        ("[]\n", "1: is not a mapping"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_line(run: Run, file: Path, text: str, told: str) -> None:
    """Nothing in it is ignored, and nothing is written over it."""
    file.parent.mkdir()
    file.write_text(text)
    for words in (("context", "list"), ("context", "set", "two"), ("whoami",)):
        result = run(*words)
        assert result.exit_code == 1, result.output
        assert told in result.stderr
        assert str(file) in result.stderr
    assert file.read_text() == text


def test_an_empty_file_has_no_contexts(run: Run, file: Path) -> None:
    """As no file."""
    file.parent.mkdir()
    file.write_text("")
    assert run("context", "list").exit_code == 0
    with pytest.raises(ContextsError, match="cannot be read: is a directory"):
        load(file.parent)


def test_the_file_is_where_users_expect_it() -> None:
    """XDSCTL_CONFIG, else XDG_CONFIG_HOME, else ~/.config."""
    assert contexts_file({"HOME": "/h"}) == Path("/h/.config/xdsctl/config.yaml")
    assert contexts_file({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/c/xdsctl/config.yaml")
    assert contexts_file({"HOME": "/h", "XDSCTL_CONFIG": "/x.yaml"}) == Path("/x.yaml")


def test_paths_in_the_file_are_relative_to_it(file: Path) -> None:
    """So that a folder with a file and its certificates can be moved."""
    file.parent.mkdir()
    file.write_text("contexts:\n  one:\n    ca: ca.pem\n    cert: /abs.pem\n")
    found = load(file).contexts["one"]
    assert (found.ca, found.cert) == (str(file.parent / "ca.pem"), "/abs.pem")


def test_a_context_says_where_and_as_whom(run: Run, server: Daemon, tmp_path: Path) -> None:
    """The current one, one that is named by a flag, and one by the environment."""
    alice, bob = (token_file(server, tmp_path, name) for name in ("alice", "bob"))
    run("context", "set", "one", "--endpoint", server.endpoint, "--token-file", alice)
    run("context", "set", "two", "--endpoint", server.endpoint, "--token-file", bob)
    assert whoami(run("whoami", "-o", "json")) == "alice"
    assert whoami(run("--context", "two", "whoami", "-o", "json")) == "bob"
    assert whoami(run("whoami", "-o", "json", CONTEXT="two")) == "bob"
    assert whoami(run("--context", "one", "whoami", "-o", "json", CONTEXT="two")) == "alice"
    result = run("--context", "three", "whoami")
    assert (result.exit_code, "there is no context three" in result.stderr) == (1, True)


def test_flags_come_before_the_environment_and_both_before_a_context(
    run: Run, server: Daemon, tmp_path: Path
) -> None:
    """Option by option; but a context's token goes to no other endpoint, unless the context is named with it."""
    alice, bob, carol = (token_file(server, tmp_path, name) for name in ("alice", "bob", "carol"))
    nobody = f"127.0.0.1:{free_port()}"
    run("context", "set", "one", "--endpoint", nobody, "--token-file", alice)
    words = ("whoami", "-o", "json")
    assert run(*words).exit_code == 1
    assert whoami(run("--endpoint", server.endpoint, *words, TOKEN_FILE=bob)) == "bob"
    assert (
        whoami(run("--endpoint", server.endpoint, "--token-file", carol, *words, TOKEN_FILE=bob)) == "carol"
    )
    assert whoami(run("--endpoint", server.endpoint, *words, ENDPOINT=nobody, TOKEN_FILE=bob)) == "bob"
    assert whoami(run("--endpoint", server.endpoint, "--token-file", carol, *words, TOKEN="x")) == "carol"
    assert whoami(run(*words, ENDPOINT=server.endpoint, TOKEN=Path(bob).read_text())) == "bob"
    for refused in (
        run("--endpoint", server.endpoint, *words),
        run(*words, ENDPOINT=server.endpoint),
        run(*words, ENDPOINT=server.endpoint, CONTEXT="one"),
    ):
        assert "who calls is not known" in refused.stderr
    # A context that is named by a flag is meant, whatever the environment says; flags beside it still count.
    assert whoami(run("--context", "one", "--endpoint", server.endpoint, *words, TOKEN_FILE=bob)) == "alice"
    run("context", "set", "one", "--endpoint", server.endpoint)
    assert whoami(run("--context", "one", *words, ENDPOINT=nobody, TOKEN="x")) == "alice"
    assert whoami(run("--context", "one", "--token-file", carol, *words)) == "carol"
    assert whoami(run(*words, TOKEN_FILE=bob)) == "bob"


def test_endpoints_are_tried_in_order(run: Run, server: Daemon, tmp_path: Path) -> None:
    """Separated by commas, in a flag or a context; without any that answers each is told of."""
    alice = token_file(server, tmp_path, "alice")
    nobody = [f"127.0.0.1:{free_port()}", f"unix:{tmp_path}/none.sock"]
    several = ", ".join([*nobody, server.endpoint])
    result = run("--endpoint", several, "--token-file", alice, "whoami", "-o", "json")
    assert whoami(result) == "alice"
    assert json.loads(result.stdout)["endpoint"] == server.endpoint
    result = run("--endpoint", ",".join(nobody), "whoami")
    assert result.exit_code == 1
    assert [line.split(": ")[0 if "Error" not in line else 1] for line in result.stderr.splitlines()] == [
        f"no daemon answers at {each}" for each in nobody
    ]
    assert run("--endpoint", "127.0.0.1:1,", "whoami").exit_code == 2


def test_a_client_reaches_what_a_context_names(server: Daemon) -> None:
    """The typed client takes the same credentials."""
    with server.client(with_token(server, "alice")) as client:
        assert AccessClient(client).whoami().method == "token"
