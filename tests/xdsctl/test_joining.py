"""``xdsctl token``, ``ca`` and ``cert``: who may let others join, and whom the mesh trusts."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from api.access.caller import Role
from api.cli import main
from api.commands.cert.folder import Files, read, write
from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon, daemon

REVIEWS = "spiffe://cluster.local/ns/shop/sa/reviews"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with a CA; whoever calls without a token is nobody."""
    with daemon(tmp_path, joining=True) as running:
        yield running


def run(server: Daemon, *words: str, token: str = "") -> Result:
    """xdsctl, as whoever has a token, or else as the daemon's own user."""
    environment = {"XDSCTL_ENDPOINT": server.endpoint, "XDSCTL_CONFIG": "/nonexistent/config"}
    environment |= {"XDSCTL_TOKEN": token} if token else {}
    return CliRunner().invoke(main, words, env=environment, prog_name="xdsctl")


def person(server: Daemon, name: str, role: Role, *namespaces: str) -> str:
    """The token of somebody with a role."""
    return with_token(server, name, binding(role.value, *namespaces)).token


def test_tokens_live_from_create_to_revoke(server: Daemon) -> None:
    """Made, listed and revoked; the text is told once, and is in neither the list nor the log."""
    words = ("-n", "shop", "--service-account", "reviews", "--ttl", "15m", "--network", "10.0.0.0/8")
    made = run(server, "token", "create", *words, "--single-use", "--description", "for v1", "-o", "json")
    assert made.exit_code == 0, made.output
    said = json.loads(made.stdout)
    assert said["token"].startswith(f"xdsdj_{said['id']}_")
    assert (said["namespace"], said["serviceAccount"], said["singleUse"]) == ("shop", "reviews", True)
    listed = run(server, "token", "list")
    assert listed.stdout.splitlines()[1].split()[:3] == [said["id"], "shop", "reviews"]
    assert said["token"] not in listed.stdout + server.log.getvalue()
    assert run(server, "token", "revoke", said["id"]).stdout == f'token "{said["id"]}" revoked\n'
    assert run(server, "token", "list").stderr == "No join tokens found\n"
    assert "there is no join token" in run(server, "token", "revoke", said["id"]).stderr


def test_a_token_goes_into_a_file_of_its_owner(server: Daemon, tmp_path: Path) -> None:
    """With --out nothing of it is printed, and nobody else reads the file."""
    out = tmp_path / "reviews.token"
    made = run(server, "token", "create", "--out", str(out))
    assert made.exit_code == 0, made.output
    assert out.read_text().startswith("xdsdj_")
    assert "xdsdj_" not in made.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    lost = run(server, "token", "create", "--out", str(tmp_path / "absent" / "x"))
    assert lost.exit_code == 1
    assert "xdsctl token revoke" in lost.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-n", "Shop"), "'Shop' is no name of a namespace"),
        (("--service-account", "a/b"), "'a/b' is no name of a service account"),
        (("-n", "istio-system", "--service-account", "xdsd"), "is the daemon's own"),
        (("--network", "10.0.0.1/8"), "'10.0.0.1/8' is no address or network"),
        (("--ttl", "800d"), "at most 366 days"),
        (("--ttl", "0s"), "a second at least"),
        (("--description", "x" * 300), "at most 253"),
    ],
)
def test_tokens_that_make_no_sense_are_refused(server: Daemon, words: tuple[str, ...], why: str) -> None:
    """The daemon says what would be right."""
    refused = run(server, "token", "create", *words)
    assert refused.exit_code == 1
    assert why in refused.stderr


def test_admins_of_a_namespace_let_others_join_it_alone(server: Daemon) -> None:
    """Who is admin in some namespaces makes, sees and revokes tokens of these; editors and viewers do not."""
    shop, editor = person(server, "eve", Role.ADMIN, "shop"), person(server, "ed", Role.EDITOR)
    mine = run(server, "token", "create", "-n", "shop", token=shop)
    assert mine.exit_code == 0, mine.output
    other = json.loads(run(server, "token", "create", "-n", "bank", "-o", "json").stdout)["id"]
    assert (
        "may not say who may do what in namespace bank"
        in run(server, "token", "create", "-n", "bank", token=shop).stderr
    )
    listed = json.loads(run(server, "token", "list", "-o", "json", token=shop).stdout)
    assert [each["namespace"] for each in listed["tokens"]] == ["shop"]
    assert run(server, "token", "revoke", other, token=shop).exit_code == 1
    for words in (("token", "create"), ("token", "list"), ("cert", "revoke", REVIEWS)):
        refused = run(server, *words, token=editor)
        assert refused.exit_code == 1
        assert "ed may not" in refused.stderr
    revoked = run(server, "cert", "revoke", REVIEWS, token=shop)
    assert revoked.exit_code == 0, revoked.output
    assert run(server, "cert", "revoke", "--serial", "1f", token=shop).exit_code == 1


def test_the_bundle_is_everybodys(server: Daemon, tmp_path: Path) -> None:
    """Whoever may look gets the roots, as they stand or into a file, and is told of the CA."""
    viewer = person(server, "vic", Role.VIEWER)
    printed = run(server, "ca", "bundle", token=viewer)
    (root,) = x509.load_pem_x509_certificates(printed.stdout.encode())
    assert run(server, "ca", "bundle", "--out", str(tmp_path / "root.pem")).exit_code == 0
    assert (tmp_path / "root.pem").read_text() == printed.stdout
    said = json.loads(run(server, "ca", "show", "-o", "json").stdout)
    assert said["trustDomain"] == "cluster.local"
    assert said["serverIdentity"] == "spiffe://cluster.local/ns/istio-system/sa/xdsd"
    assert said["roots"][0]["subject"] == root.subject.rfc4514_string()
    assert "<not served>" in run(server, "ca", "show").stdout


def test_a_revoked_identity_takes_its_certificates_along(server: Daemon) -> None:
    """What was issued to it, by any daemon on the store, is on the list of revoked certificates."""
    key = f"/xdsd/ca/issued/{REVIEWS.removeprefix('spiffe://')}/1f3a".encode()
    server.run(server.store.put(key, b"2999-01-01T00:00:00+00:00"))
    assert run(server, "cert", "revoke", REVIEWS).exit_code == 0
    kept = server.run(
        server.store.get(f"/xdsd/ca/revoked/identity/{REVIEWS.removeprefix('spiffe://')}".encode())
    )
    assert json.loads(kept.value)["serials"] == ["1f3a"]


def test_revocations_live_from_revoke_to_restore(server: Daemon) -> None:
    """An identity or a serial is shut out, listed, and let in again."""
    words = ("cert", "revoke", REVIEWS, "--for", "48h", "--reason", "stolen")
    assert run(server, *words).stdout.startswith(f"{REVIEWS} revoked until ")
    assert run(server, "cert", "revoke", "--serial", "1F:3A").stdout.startswith("1f3a revoked until ")
    listed = json.loads(run(server, "cert", "revocations", "-o", "json").stdout)["revocations"]
    assert [(each["identity"], each["serial"], each["reason"]) for each in listed] == [
        (None, "1f3a", ""),
        (REVIEWS, None, "stolen"),
    ]
    assert "stolen" in run(server, "cert", "revocations").stdout
    assert run(server, "cert", "restore", REVIEWS).exit_code == 0
    assert run(server, "cert", "restore", "--serial", "1f3a").exit_code == 0
    assert run(server, "cert", "revocations").stderr == "Nothing is revoked\n"
    assert "is not revoked" in run(server, "cert", "restore", REVIEWS).stderr


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 2, "name one SPIFFE id"),
        ((REVIEWS, "--serial", "1"), 2, "name one SPIFFE id"),
        (("spiffe://x",), 1, "is no identity"),
        (("--serial", "xyz"), 1, "is no serial"),
        (("spiffe://cluster.local/ns/istio-system/sa/xdsd",), 1, "is the daemon's own"),
        ((REVIEWS, "--for", "99999d"), 1, "at most 3660 days"),
    ],
)
def test_revocations_that_make_no_sense_are_refused(
    server: Daemon, words: tuple[str, ...], code: int, why: str
) -> None:
    """The daemon, or xdsctl itself, says what would be right."""
    refused = run(server, "cert", "revoke", *words)
    assert (refused.exit_code, why in refused.stderr) == (code, True), refused.output


def test_a_daemon_without_identities_says_what_to_set(tmp_path: Path) -> None:
    """Where no TLS port is set there is no CA, and every command says so."""
    with daemon(tmp_path) as bare:
        for words in (("token", "create"), ("token", "list"), ("ca", "bundle"), ("cert", "revocations")):
            refused = run(bare, *words)
            assert refused.exit_code == 1
            assert "set xds-tls-address" in refused.stderr


def test_a_folder_changes_as_a_whole(tmp_path: Path) -> None:
    """Written again, a folder holds the new files alone; who reads it meanwhile has all of one or all of the other."""
    folder = tmp_path / "cert"
    for number in (b"1", b"2"):
        write(folder, Files(b"c" + number, b"k" + number, b"r" + number))
        assert read(folder) == Files(b"c" + number, b"k" + number, b"r" + number)
        assert (folder / "key.pem").read_bytes() == b"k" + number
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len([each for each in folder.iterdir() if each.name.startswith(".")]) == 1
    assert "k2" not in repr(read(folder))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("issue", "--join-token-file", "TOKEN", "--root", "/nonexistent"), "/nonexistent cannot be read"),
        (("issue", "--join-token-file", "EMPTY", "--root", "ROOT"), "does not hold a join token"),
        (
            ("issue", "--join-token-file", "TOKEN", "--root", "ROOT", "--server", "127.0.0.1:1"),
            "cannot be reached",
        ),
        (("renew",), "holds no certificate to renew"),
    ],
)
def test_certificates_that_cannot_be_had_are_told_why(
    words: tuple[str, ...], why: str, server: Daemon, tmp_path: Path
) -> None:
    """Missing files, empty tokens and daemons that are away are named, without the token."""
    files = {"TOKEN": "xdsdj_secret", "EMPTY": "\n", "ROOT": run(server, "ca", "bundle").stdout}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    said = [str(tmp_path / word) if word in files else word for word in words]
    refused = run(server, "cert", *said, "--out", str(tmp_path / "out"))
    assert refused.exit_code == 1
    assert why in refused.stderr
    assert "xdsdj_secret" not in refused.output
