"""``xdsctl user``, ``role`` and ``whoami``, and what keeps a caller out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.access.certificates import ServerTls
from api.access.users import User
from api.cli import main
from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon, daemon
from tests.lab.certificates import Authority
from tests.xdsctl.conftest import Xdsctl
from xdsd.settings import TcpAddress


def run(server: Daemon, *words: str, **variables: str) -> Result:
    """xdsctl with nothing of ours in the environment but these."""
    environment: dict[str, str | None] = {
        "XDSCTL_ENDPOINT": server.endpoint,
        "XDSCTL_CONFIG": "/nonexistent/config",
    }
    environment |= {f"XDSCTL_{name}": value for name, value in variables.items()}
    return CliRunner().invoke(main, words, env=environment, prog_name="xdsctl")


def data(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def table(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.stdout.splitlines()]


def test_users_live_from_add_to_delete(xdsctl: Xdsctl, tmp_path: Path) -> None:
    """Added with all that they are known by, listed, changed, disabled, enabled, deleted."""
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    assert xdsctl("user", "list").stderr == "No users found\n"
    words = (
        "--role",
        "editor",
        "-n",
        "b",
        "--namespace",
        "a",
        "--uid",
        "1000",
        "--certificate",
        "spiffe://x/y",
    )
    added = xdsctl("user", "add", "alice", *words, "--password-file", str(password))
    assert added.stdout == 'user "alice" added\n'
    assert xdsctl("user", "add", "bob").exit_code == 0
    assert table(xdsctl("user", "list")) == [
        ["NAME", "ROLES", "TOKENS", "CERTIFICATES", "UIDS", "PASSWORD", "STATE"],
        ["alice", "editor(a,b)", "0", "spiffe://x/y", "1000", "yes", "ok"],
        ["bob", "<none>", "0", "<none>", "<none>", "no", "ok"],
    ]
    assert data(xdsctl("user", "show", "alice", "-o", "json")) == {
        "name": "alice",
        "disabled": False,
        "bindings": [{"role": "editor", "namespaces": ["a", "b"]}],
        "certificates": ["spiffe://x/y"],
        "uids": [1000],
        "password": True,
        "tokens": [],
    }
    assert (
        xdsctl("user", "set", "alice", "--no-uids", "--certificate", "cn").stdout == 'user "alice" changed\n'
    )
    changed = data(xdsctl("user", "set", "alice", "--no-password", "-o", "json"))
    assert (changed["uids"], changed["certificates"], changed["password"]) == ([], ["cn"], False)
    assert xdsctl("user", "disable", "alice").stdout == 'user "alice" disabled\n'
    assert table(xdsctl("user", "list"))[1][-1] == "disabled"
    assert xdsctl("user", "enable", "alice").stdout == 'user "alice" enabled\n'
    assert xdsctl("user", "delete", "alice").stdout == 'user "alice" deleted\n'
    assert [each["name"] for each in json.loads(xdsctl("user", "list", "-o", "json").stdout)["users"]] == [
        "bob"
    ]


def test_roles_are_listed_granted_and_withdrawn(xdsctl: Xdsctl) -> None:
    """In namespaces or everywhere."""
    assert [row[0] for row in table(xdsctl("role", "list"))] == ["ROLE", "viewer", "editor", "admin"]
    roles = json.loads(xdsctl("role", "list", "-o", "json").stdout)["roles"]
    assert "write objects" in roles[1]["may"]
    xdsctl("user", "add", "alice")
    assert xdsctl("role", "grant", "alice", "viewer").stdout == 'user "alice" is viewer\n'
    granted = xdsctl("role", "grant", "alice", "editor", "-n", "a", "-n", "b")
    assert granted.stdout == 'user "alice" is editor in a, b\n'
    assert table(xdsctl("user", "list"))[1][1] == "viewer,editor(a,b)"
    withdrawn = xdsctl("role", "withdraw", "alice", "editor", "-n", "a")
    assert withdrawn.stdout == 'user "alice" is editor no more in a\n'
    left = data(xdsctl("role", "withdraw", "alice", "viewer", "-o", "json"))
    assert left["bindings"] == [{"role": "editor", "namespaces": ["b"]}]


def test_a_token_alone_goes_to_the_standard_output(xdsctl: Xdsctl, server: Daemon, tmp_path: Path) -> None:
    """So that it can be redirected to a file, which --token-file takes; it is never shown again."""
    xdsctl("user", "add", "alice", "--role", "viewer")
    issued = xdsctl("user", "token", "alice", "--description", "of a script")
    (token,) = issued.stdout.splitlines()
    assert token.startswith("xdsd_")
    identity = token.split("_")[1]
    assert issued.stderr.startswith(f"token {identity} of alice expires at 20")
    kept = tmp_path / "token"
    kept.write_text(issued.stdout)
    kept.chmod(0o600)
    known = run(server, "--token-file", str(kept), "whoami")
    assert known.stdout == f"alice, known by token, at {server.endpoint}\nroles: viewer\n"
    assert known.stderr == ""
    kept.chmod(0o644)
    assert run(server, "--token-file", str(kept), "whoami").stderr == (
        f"warning: everybody on this machine can read the token in {kept}; chmod 600 {kept}\n"
    )
    assert data(run(server, "whoami", "-o", "json", TOKEN=token))["method"] == "token"
    shown = xdsctl("user", "show", "alice").stdout
    assert identity in shown
    assert "of a script" in shown
    assert token not in shown + xdsctl("user", "list", "-o", "json").stdout + server.log.getvalue()
    forever = data(xdsctl("user", "token", "alice", "--ttl", "never", "-o", "json"))
    assert forever["expires"] is None
    assert xdsctl("user", "revoke", "alice", identity).stdout == 'user "alice" has one token less\n'
    refused = run(server, "whoami", TOKEN=token)
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: the token is not known, or was revoked; make another with xdsctl user token NAME\n"
    )
    assert xdsctl("user", "revoke", "alice", "--all").stdout == 'user "alice" has no tokens any more\n'
    assert data(xdsctl("user", "show", "alice", "-o", "json"))["tokens"] == []


@pytest.mark.parametrize(
    ("ttl", "seconds"), [("30d", 2_592_000), ("90m", 5400), ("1d12h", 129_600), ("1s", 1)]
)
def test_a_token_lives_as_long_as_was_said(xdsctl: Xdsctl, server: Daemon, ttl: str, seconds: int) -> None:
    """Days, or the durations that settings have."""
    xdsctl("user", "add", "alice")
    assert xdsctl("user", "token", "alice", "--ttl", ttl).exit_code == 0
    user = server.directory.user("alice")
    assert user is not None
    (token,) = user.tokens
    assert token.expires is not None
    assert (token.expires - token.created).total_seconds() == seconds


def test_dry_runs_write_nothing(xdsctl: Xdsctl) -> None:
    """Every command that writes says what would be."""
    xdsctl("user", "add", "alice", "--role", "viewer")
    xdsctl("user", "token", "alice")
    before = xdsctl("user", "list", "-o", "json").stdout
    for words in (
        ("user", "add", "bob"),
        ("user", "delete", "alice"),
        ("user", "disable", "alice"),
        ("user", "enable", "alice"),
        ("user", "set", "alice", "--uid", "7"),
        ("user", "revoke", "alice", "--all"),
        ("role", "grant", "alice", "admin"),
        ("role", "withdraw", "alice", "viewer"),
    ):
        result = xdsctl(*words, "--dry-run")
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith(" (server dry run)\n")
        assert xdsctl("user", "list", "-o", "json").stdout == before


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("user", "add", "a/b"), 1, "'a/b' is no name of a user"),
        (("user", "add", "alice"), 1, "there is a user alice already"),
        (("user", "add", "x", "-n", "a"), 2, "give --role too"),
        (("user", "add", "x", "--role", "owner"), 2, "'owner' is not one of"),
        (("user", "add", "x", "--role", "editor", "-n", "A B"), 1, "is no name of a namespace"),
        (("user", "add", "x", "--uid", "-1"), 2, "-1 is not in the range"),
        (("user", "add", "x", "--uid", "1000"), 1, "uid 1000 is the user alice already"),
        (("user", "add", "x", "--password", "secret"), 2, "No such option"),
        (("user", "show", "bob"), 1, "there is no user bob; xdsctl user list tells who there is"),
        (("user", "delete", "bob"), 1, "there is no user bob"),
        (("user", "set", "alice"), 2, "say what to replace"),
        (("user", "set", "alice", "--uid", "1", "--no-uids"), 2, "use one of the two"),
        (("user", "token", "bob"), 1, "there is no user bob"),
        (("user", "token", "alice", "--ttl", "soon"), 2, "Invalid value for '--ttl'"),
        (("user", "token", "alice", "--ttl", "90"), 2, "'90' is not a duration: write 90s for seconds"),
        (("user", "token", "alice", "--ttl", "0s"), 2, "is shorter than a second"),
        (("user", "token", "alice", "--ttl", "9999d"), 1, "at most ten years"),
        (("user", "revoke", "alice"), 2, "say which token: its ID, or --all"),
        (("user", "revoke", "alice", "12345678", "--all"), 2, "use one of the two"),
        (("user", "revoke", "alice", "12345678"), 1, "the user alice has no token 12345678"),
        (("role", "withdraw", "alice", "admin"), 1, "alice is no admin"),
        (("role", "grant", "alice", "editor", "-n", ""), 1, "is no name of a namespace"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    xdsctl: Xdsctl, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """2 for what cannot be meant, 1 for what the daemon refuses; nothing changes."""
    xdsctl("user", "add", "alice", "--uid", "1000")
    before = xdsctl("user", "list", "-o", "json").stdout
    result = xdsctl(*words)
    assert result.exit_code == code, result.output
    assert sentence in result.stderr
    assert xdsctl("user", "list", "-o", "json").stdout == before


@pytest.mark.parametrize("text", ["", "\n", "short\n", "two lines\nof it\n", "x" * 2000, "\xff\xfe"])
def test_a_password_is_one_line_of_a_file(xdsctl: Xdsctl, tmp_path: Path, text: str) -> None:
    """What is none is refused without being shown."""
    file = tmp_path / "password"
    file.write_bytes(text.encode("latin-1"))
    result = xdsctl("user", "add", "alice", "--password-file", str(file))
    assert result.exit_code == 1
    assert "password" in result.stderr
    assert not text.strip() or text.strip() not in result.output


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Daemon, Authority]]:
    """A daemon that speaks TLS to whoever has a certificate of its CA."""
    authority = Authority(tmp_path / "pki")
    pair = authority.issue("server", "DNS:localhost", "IP:127.0.0.1")
    tls = ServerTls(pair.cert, pair.key, authority.cert)
    with daemon(tmp_path, TcpAddress("127.0.0.1", 0), tls) as server:
        yield server, authority


def test_a_certificate_says_who_calls(secure: tuple[Daemon, Authority]) -> None:
    """By flags and by the environment; for objects and for keys alike."""
    server, authority = secure
    server.run(server.directory.add(User("alice", (binding("admin"),), certificates=("alice",))))
    pair = authority.issue("alice")
    words = ("--ca", str(authority.cert), "--cert", str(pair.cert), "--key", str(pair.key))
    assert run(server, *words, "whoami").stdout.startswith("alice, known by certificate, at ")
    variables = {
        "CA": str(authority.cert),
        "CERT": str(pair.cert),
        "KEY": str(pair.key),
        "SERVER_NAME": "localhost",
    }
    assert run(server, "whoami", **variables).stdout.startswith("alice, known by certificate, at ")
    assert run(server, *words, "kv", "put", "/app/x", "1").stdout == "OK\n"
    assert run(server, *words, "kv", "get", "/app/x", "--print-value-only").stdout == "1\n"
    assert run(server, *words, "lease", "grant", "60").exit_code == 0
    assert run(server, *words, "get", "vs").exit_code == 0
    assert run(server, *words, "status").exit_code == 0


def test_what_keeps_a_caller_out_is_one_sentence(secure: tuple[Daemon, Authority], tmp_path: Path) -> None:
    """With what to do, exit code 1, and nothing else on the standard error."""
    server, authority = secure
    other = Authority(tmp_path / "other", "other")
    good, unknown = authority.issue("alice"), authority.issue("mallory")
    ca, cert, key = ("--ca", str(authority.cert)), ("--cert", str(good.cert)), ("--key", str(good.key))
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense\nof two lines")
    server.run(server.directory.add(User("alice", (binding("viewer", "a"),), certificates=("alice",))))
    where = f"the certificate of the daemon at {server.endpoint}"
    for words, sentence in (
        (("--ca", str(other.cert)), f"{where} was not made by the CA of --ca; give the file"),
        ((*ca, "--server-name", "elsewhere"), f"{where} is not for elsewhere; say a name that it has"),
        ((), f"the daemon at {server.endpoint} hung up: it may speak TLS; give the file of the CA"),
        (ca, "hung up: it may want a client certificate; give yours with --cert and --key"),
        ((*ca, *cert), "a client certificate needs its key beside it"),
        ((*ca, *cert, "--key", str(unknown.key)), "do not fit: the key is of another certificate"),
        ((*ca, *cert, "--key", str(nonsense)), "are no certificate in PEM and its key"),
        (("--ca", str(nonsense)), f"{nonsense} holds no certificates in PEM"),
        (("--ca", str(tmp_path / "none")), f"{tmp_path}/none cannot be read: no such file or directory"),
        ((*ca, *cert, *key, "--token-file", str(nonsense)), f"{nonsense} holds no token"),
        ((*ca, *cert, *key, "--token-file", str(tmp_path / "none")), "cannot be read: no such file"),
        (
            (*ca, "--cert", str(unknown.cert), "--key", str(unknown.key)),
            "the certificate of mallory is of no user; an admin can say whose it is",
        ),
    ):
        result = run(server, *words, "get", "vs", "-n", "a")
        assert result.exit_code == 1, (words, result.output)
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
        assert "nonsense\nof" not in result.stderr
    result = run(server, *ca, *cert, *key, "get", "vs", "-n", "b")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: alice may not read objects, their history and problems in namespace b; "
        "an admin can allow it: xdsctl role grant alice viewer --namespace b\n"
    )


def test_two_tokens_at_once_are_refused(server: Daemon) -> None:
    """Nobody should have to guess which one counts."""
    result = run(server, "whoami", TOKEN="a", TOKEN_FILE="/x")
    assert (result.exit_code, "both give a token; unset one of the two" in result.stderr) == (2, True)
    result = run(server, "whoami", TOKEN="two words")
    assert (result.exit_code, "XDSCTL_TOKEN holds no token" in result.stderr) == (1, True)
    assert "two words" not in result.stderr


def test_whoami_on_the_machine_itself(xdsctl: Xdsctl, server: Daemon) -> None:
    """Its own user may do everything, and a user that has its uid is but another name for it: nobody is locked out."""
    assert xdsctl("whoami").stdout == f"root, known by unix, at {server.endpoint}\nroles: admin\n"
    server.run(server.directory.add(User("superuser", (binding("viewer"),), uids=(0,))))
    assert xdsctl("whoami").stdout == f"superuser, known by unix, at {server.endpoint}\nroles: admin\n"
    assert with_token(server, "alice").token not in server.log.getvalue()
