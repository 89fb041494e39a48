"""``xdsctl token``, ``ca`` and ``cert``: who may let others join, and whom the mesh trusts."""

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from api.access.caller import Role
from api.cli import main
from api.commands.cert.folder import Files, read, write
from storage.base import prefix_end
from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon, daemon
from xdsd.intents import Intents
from xdsd.manifest import parse_manifest
from xdsd.reconcile.declared import Holding

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
    assert said["roots"][0]["notAfter"] == root.not_valid_after_utc.isoformat()
    assert said["issuers"] == []  # the root itself signs
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


@pytest.mark.parametrize("words", [(REVIEWS,), ("--serial", "1f3a")])
def test_a_revocation_lasts_until_the_last_certificate_has_expired(
    server: Daemon, words: tuple[str, ...]
) -> None:
    """Also of a daemon that gave longer lives than this one; one that would end before is lengthened, with a warning."""
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    key = f"/xdsd/ca/issued/{REVIEWS.removeprefix('spiffe://')}/1f3a".encode()
    server.run(server.store.put(key, expires.isoformat().encode()))
    for more in ((), ("--for", "48h")):
        made = run(server, "cert", "revoke", *words, *more, "-o", "json")
        assert datetime.fromisoformat(json.loads(made.stdout)["until"]) == expires + timedelta(minutes=1)
        assert ("warning: until" in made.stderr) == bool(more)
    assert f"certificates may hold until {expires.date().isoformat()}" in made.stderr
    longer = run(server, "cert", "revoke", *words, "--for", "96h", "-o", "json")
    assert datetime.fromisoformat(json.loads(longer.stdout)["until"]) > expires + timedelta(hours=23)
    assert longer.stderr == ""


def test_a_revocation_lasts_for_as_long_as_a_new_certificate_would_at_least(server: Daemon) -> None:
    """Where it is not known what was issued; 24 hours here."""
    made = json.loads(run(server, "cert", "revoke", REVIEWS, "--for", "5s", "-o", "json").stdout)
    since, until = (datetime.fromisoformat(made[word]) for word in ("since", "until"))
    assert until - since == timedelta(hours=24, minutes=1)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((REVIEWS,), "look at the name"),
        (("--serial", "1f3c"), "no connections end"),
        ((REVIEWS.replace("cluster.local", "their.example"),), "their.example are issued elsewhere"),
    ],
)
def test_what_nobody_has_is_revoked_with_a_warning(server: Daemon, words: tuple[str, ...], why: str) -> None:
    """As it may be mistyped; what somebody has is revoked without one."""
    key = f"/xdsd/ca/issued/{REVIEWS.removeprefix('spiffe://')}/1f3a".encode()
    server.run(server.store.put(key, b"2020-01-01T00:00:00+00:00"))
    made = run(server, "cert", "revoke", *words)
    assert made.exit_code == 0, made.output
    assert made.stderr.startswith("warning: ")
    assert why in made.stderr
    for each in (key, key.replace(b"1f3a", b"1f3c"), key.replace(b"cluster.local", b"their.example")):
        server.run(server.store.put(each, b"2999-01-01T00:00:00+00:00"))
    assert run(server, "cert", "revoke", *words).stderr == ""


def test_a_serial_of_which_no_list_tells_is_warned_of(tmp_path: Path) -> None:
    """No proxy refuses it then; an identity is refused by name all the same."""
    with daemon(tmp_path, joining=True, unlisted="the list of CN=extra is not known") as server:
        one = run(server, "cert", "revoke", "--serial", "1f3a")
        assert one.exit_code == 0, one.output
        assert "warning: proxies go on taking it" in one.stderr
        assert "the list of CN=extra is not known" in one.stderr
        assert "proxies go on" not in run(server, "cert", "revoke", REVIEWS).stderr


def test_a_serial_that_nobody_has_ends_no_connections(server: Daemon) -> None:
    """A mistyped one costs healthy peers nothing, and none but lists know of it."""
    assert run(server, "cert", "revoke", "--serial", "1f3c").exit_code == 0
    prefix = b"/xdsd/ca/revoked/"
    found = server.run(server.store.range(prefix, prefix_end(prefix), keys_only=True))
    assert [kv.key for kv in found.kvs] == [prefix + b"serial/1f3c"]


def test_certificates_of_an_identity_are_listed_to_be_revoked(server: Daemon) -> None:
    """All that hold, and whether they are shut out; whoever may look at that namespace sees them."""
    principal = REVIEWS.removeprefix("spiffe://")
    for serial, year in (("1f3a", 2998), ("1f3b", 2999), ("1f3c", 2020)):
        key = f"/xdsd/ca/issued/{principal}/{serial}".encode()
        server.run(server.store.put(key, f"{year}-01-01T00:00:00+00:00".encode()))
    assert run(server, "cert", "revoke", "--serial", "1f3a").exit_code == 0
    shown = run(server, "cert", "list", REVIEWS, token=person(server, "vic", Role.VIEWER, "shop"))
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["SERIAL", "EXPIRES", "REVOKED"],
        ["1f3b", "2999-01-01T00:00:00Z", "no"],
        ["1f3a", "2998-01-01T00:00:00Z", "yes"],
    ]
    said = json.loads(run(server, "cert", "list", REVIEWS, "-o", "json").stdout)["certificates"]
    assert [(each["serial"], each["revoked"]) for each in said] == [("1f3b", False), ("1f3a", True)]
    other = REVIEWS.replace("reviews", "other")
    assert f"No certificate of {other} is known" in run(server, "cert", "list", other).stderr
    assert "is no identity" in run(server, "cert", "list", "reviews").stderr
    stranger = person(server, "bo", Role.ADMIN, "bank")
    assert "bo may not look at" in run(server, "cert", "list", REVIEWS, token=stranger).stderr


def test_a_revocation_says_whose_connections_end(server: Daemon) -> None:
    """An identity's own, those of whom a serial was issued to, or with --keep-connections nobody's."""
    principal = REVIEWS.removeprefix("spiffe://")
    server.run(server.store.put(f"/xdsd/ca/issued/{principal}/1f3b".encode(), b"2999-01-01T00:00:00+00:00"))
    turn = f"/xdsd/ca/revoked/turn/{principal}".encode()
    assert run(server, "cert", "revoke", REVIEWS, "--keep-connections").exit_code == 0
    assert server.run(server.store.get(turn)) is None
    assert run(server, "cert", "revoke", "--serial", "1f3b").exit_code == 0
    first = server.run(server.store.get(turn))
    assert run(server, "cert", "revoke", REVIEWS).exit_code == 0
    assert server.run(server.store.get(turn)).value != first.value


def issued(
    server: Daemon, identity: str, serial: str = "1f3a", until: str = "2999-01-01T00:00:00+00:00"
) -> None:
    """Has the ledger know of a certificate."""
    key = f"/xdsd/ca/issued/{identity.removeprefix('spiffe://')}/{serial}"
    server.run(server.store.put(key.encode(), until.encode()))


def turn(server: Daemon, identity: str) -> str:
    """When connections of an identity ended last, and whom that spared; empty where they never did."""
    kept = server.run(
        server.store.get(f"/xdsd/ca/revoked/turn/{identity.removeprefix('spiffe://')}".encode())
    )
    return kept.value.decode() if kept is not None else ""


def test_who_has_no_certificate_ends_nobodys_connections(server: Daemon) -> None:
    """As nobody can have connected as it, unless it may have what is not known here: a join token, or another authority."""
    ghost, held, theirs = (
        REVIEWS,
        REVIEWS.replace("reviews", "held"),
        REVIEWS.replace("cluster.local", "b.example"),
    )
    run(server, "token", "create", "-n", "shop", "--service-account", "held")
    for each in (ghost, held, theirs):
        assert run(server, "cert", "revoke", each).exit_code == 0
    assert [bool(turn(server, each)) for each in (ghost, held, theirs)] == [False, True, True]
    assert run(server, "cert", "revoke", ghost, "--everywhere").exit_code == 0
    assert turn(server, ghost)


ALIASES = """
apiVersion: mesh.xdsd.io/v1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {trustDomainAliases: [old.mesh]}
"""
ONLY_ALICE = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-alice, namespace: bank}
spec:
  selector: {matchLabels: {app: vault}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/alice]}}]}]
"""


def declared(server: Daemon, text: str, ago: timedelta) -> None:
    """Has the store have an object since a time ago."""
    (parsed,) = parse_manifest(text.encode(), "policy.yaml").objects
    now = (datetime.now(UTC) - ago).isoformat(timespec="seconds")
    assert server.run(Intents(server.store).apply([parsed.object], now=now)).accepted


def test_workloads_whose_policies_keep_it_out_are_spared(server: Daemon) -> None:
    """Which is told; --everywhere spares nobody, and is for admins of all namespaces."""
    issued(server, REVIEWS)
    assert run(server, "cert", "revoke", REVIEWS).stderr == ""
    assert " " not in turn(server, REVIEWS)
    declared(server, ONLY_ALICE, timedelta(days=2))
    told = run(server, "cert", "revoke", REVIEWS)
    assert "connections stay open at workloads whose policies have not let it in for a day" in told.stderr
    spared = json.loads(turn(server, REVIEWS).partition(" ")[2])
    assert spared == {"denied": [], "closed": [["bank", {"app": "vault"}]], "admitting": [], "recent": []}
    assert run(server, "cert", "revoke", REVIEWS, "--everywhere").stderr == ""
    assert " " not in turn(server, REVIEWS)
    shop = person(server, "eve", Role.ADMIN, "shop")
    assert "eve may not" in run(server, "cert", "revoke", REVIEWS, "--everywhere", token=shop).stderr
    both = run(server, "cert", "revoke", REVIEWS, "--everywhere", "--keep-connections")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)


def test_policies_that_keep_it_out_only_lately_spare_nobody(server: Daemon) -> None:
    """As connections may be open from before: policies that came or changed within a day, those of platforms, and aliases of
    the mesh that are new.
    """
    issued(server, REVIEWS)
    vault = ["bank", {"app": "vault"}]

    def recent() -> object:
        assert run(server, "cert", "revoke", REVIEWS).exit_code == 0
        told = turn(server, REVIEWS).partition(" ")[2]
        return json.loads(told)["recent"] if told else None

    declared(server, ONLY_ALICE, timedelta(days=2))
    assert recent() == []
    declared(server, ONLY_ALICE.replace("sa/alice", "sa/bob"), timedelta(hours=23))
    assert recent() == [vault]
    (parsed,) = parse_manifest(ONLY_ALICE.replace("vault", "x").encode(), "policy.yaml").objects
    other = replace(parsed.object, metadata=replace(parsed.object.metadata, name="other"))
    server.mesh.others[other.ref] = Holding("kubernetes", other)
    assert recent() == [vault, ["bank", {"app": "x"}]]
    declared(server, ALIASES, timedelta(hours=1))
    assert recent() is None


def test_who_is_revoked_may_join_again_by_tokens_that_are_named(server: Daemon) -> None:
    """Those that hold, and are not used up; once they are revoked nothing is said."""
    issued(server, REVIEWS)
    words = ("-n", "shop", "--service-account", "reviews", "-o", "json")
    made = json.loads(run(server, "token", "create", *words).stdout)["id"]
    run(server, "token", "create", "-n", "shop", "--service-account", "other")
    assert f"xdsctl token revoke {made}\n" in run(server, "cert", "revoke", REVIEWS).stderr
    assert run(server, "token", "revoke", made).exit_code == 0
    assert run(server, "cert", "revoke", REVIEWS).stderr == ""


def test_a_token_for_who_is_revoked_is_made_with_a_warning(server: Daemon) -> None:
    """Nobody joins by it before the revocation ends or is taken back."""
    words = ("token", "create", "-n", "shop", "--service-account", "reviews")
    assert run(server, *words).stderr == ""
    run(server, "cert", "revoke", REVIEWS)
    made = run(server, *words)
    assert made.exit_code == 0
    assert f"Warning: {REVIEWS} is revoked until " in made.stderr
    assert "xdsctl cert restore" in made.stderr


def test_admins_of_a_namespace_shut_out_who_is_of_it_alone(server: Daemon) -> None:
    """Not partners of other trust domains; they see what is revoked of theirs; and connections end for them now and then."""
    shop = person(server, "eve", Role.ADMIN, "shop")
    theirs = REVIEWS.replace("cluster.local", "their.example")
    assert "eve may not" in run(server, "cert", "revoke", theirs, token=shop).stderr
    assert run(server, "cert", "revoke", theirs).exit_code == 0
    assert "eve may not" in run(server, "cert", "restore", theirs, token=shop).stderr
    run(server, "cert", "revoke", "--serial", "1f3a")
    run(server, "cert", "revoke", REVIEWS.replace("ns/shop", "ns/bank"))
    issued(server, REVIEWS)
    said = ""
    for _ in range(12):
        before = turn(server, REVIEWS)
        said = run(server, "cert", "revoke", REVIEWS, token=shop).stderr
    assert "connections stay open, as they ended for 10 revocations of namespace shop" in said
    assert turn(server, REVIEWS) == before
    shown = json.loads(run(server, "cert", "revocations", "-o", "json", token=shop).stdout)["revocations"]
    assert [each["identity"] for each in shown] == [REVIEWS]
    assert run(server, "cert", "revoke", REVIEWS).exit_code == 0
    assert turn(server, REVIEWS) != before
    editor = person(server, "ed", Role.EDITOR, "bank")
    assert run(server, "cert", "revocations", token=editor).exit_code == 0


def test_admins_of_a_namespace_revoke_so_many_of_it(server: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """As all proxies are told of each; one that is revoked already may be revoked again, and others' do not count."""
    monkeypatch.setattr("api.services.revoker.MOST_OF_A_NAMESPACE", 2)
    shop = person(server, "eve", Role.ADMIN, "shop")
    run(server, "cert", "revoke", REVIEWS.replace("ns/shop", "ns/bank"))
    for name in ("one", "two", "two"):
        assert run(server, "cert", "revoke", REVIEWS.replace("reviews", name), token=shop).exit_code == 0
    refused = run(server, "cert", "revoke", REVIEWS, token=shop)
    assert refused.exit_code == 1
    assert "2 identities of namespace shop are revoked already" in refused.stderr
    assert run(server, "cert", "revoke", REVIEWS).exit_code == 0


def test_revocations_live_from_revoke_to_restore(server: Daemon) -> None:
    """An identity or a serial is shut out, listed, and let in again."""
    words = ("cert", "revoke", REVIEWS, "--for", "48h", "--reason", "stolen")
    assert run(server, *words).stdout.startswith(f"{REVIEWS} revoked until ")
    assert run(server, "cert", "revoke", "--serial", "1F:3A").stdout.startswith("1f3a revoked until ")
    listed = json.loads(run(server, "cert", "revocations", "-o", "json").stdout)["revocations"]
    assert {(each["identity"], each["serial"], each["reason"]) for each in listed} == {
        (None, "1f3a", ""),
        (REVIEWS, None, "stolen"),
    }
    assert len(listed) == 2
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
        (("issue", "--join-token-file", "BINARY", "--root", "ROOT"), "does not hold a join token"),
        (("issue", "--join-token-file", "LATIN", "--root", "ROOT"), "does not hold a join token"),
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
    files |= {"BINARY": "\x00\x1f\x8b", "LATIN": "xdsdj_secret\xe9"}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    said = [str(tmp_path / word) if word in files else word for word in words]
    refused = run(server, "cert", *said, "--out", str(tmp_path / "out"))
    assert refused.exit_code == 1
    assert why in refused.stderr
    assert "xdsdj_secret" not in refused.output


GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: reviews, namespace: shop}
spec:
  metadata: {labels: {app: reviews}}
  template: {serviceAccount: reviews, network: lab}
"""


def test_a_join_bundle_is_for_its_owner_and_tells_what_is_in_it(server: Daemon, tmp_path: Path) -> None:
    """A token of the group's account, the roots, the daemons, and a bootstrap of the group; none of it is printed."""
    manifest, out = tmp_path / "group.yaml", tmp_path / "reviews.bundle"
    manifest.write_text(GROUP)
    assert run(server, "apply", "-f", str(manifest)).exit_code == 0
    words = ("machine", "join-bundle", "--group", "reviews", "-n", "shop", "--xds-address", "10.0.0.1:15012")
    made = run(server, *words, "--ttl", "1h", "--network", "10.0.0.0/8", "-o", str(out))
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    text = out.read_text()
    assert "xdsdj_" in text
    assert "xdsdj_" not in made.output
    assert f"of {REVIEWS}, until" in made.stderr
    bootstrap = json.loads(text.partition("=====BEGIN BOOTSTRAP=====\n")[2].partition("=====END")[0])
    metadata = bootstrap["node"]["metadata"]
    assert (metadata["AUTO_REGISTER_GROUP"], metadata["NETWORK"]) == ("reviews", "lab")
    assert metadata["LABELS"] == {"app": "reviews"}
    assert bootstrap["node"]["id"].endswith("~shop.svc.mesh.example")
    (token,) = json.loads(run(server, "token", "list", "-o", "json").stdout)["tokens"]
    assert (token["serviceAccount"], token["networks"]) == ("reviews", ["10.0.0.0/8"])


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--group", "none", "--xds-address", "10.0.0.1:15012"), 1, "WorkloadGroup shop/none does not exist"),
        (("--group", "reviews", "--xds-address", "0.0.0.0:15012"), 2, "says not how a machine reaches it"),
        (("--group", "reviews", "--xds-address", "unix:/run/x"), 2, "on the daemon's machine alone"),
        (
            ("--group", "reviews", "--domain", "typo.local", "--xds-address", "10.0.0.1:1"),
            2,
            "is mesh.example, not typo",
        ),
        (("--group", "reviews", "--name", "a b", "--xds-address", "10.0.0.1:1"), 2, "'a b' is not a name"),
        (("--xds-address", "10.0.0.1:15012"), 2, "--group"),
    ],
)
def test_bundles_that_would_not_work_are_refused(
    server: Daemon, tmp_path: Path, words: tuple[str, ...], code: int, why: str
) -> None:
    """Before a token is made."""
    manifest = tmp_path / "group.yaml"
    manifest.write_text(GROUP)
    run(server, "apply", "-f", str(manifest))
    refused = run(server, "machine", "join-bundle", "-n", "shop", *words)
    assert (refused.exit_code, why in refused.stderr) == (code, True), refused.output
    assert run(server, "token", "list").stderr == "No join tokens found\n"


def test_a_bundle_that_leads_to_the_machine_itself_is_refused(tmp_path: Path) -> None:
    """A daemon that listens on loopback alone says what to do; whoever reaches it there all the same says so."""
    with daemon(tmp_path, joining=True, tls_address="127.0.0.1:15012") as local:
        manifest = tmp_path / "group.yaml"
        manifest.write_text(GROUP)
        run(local, "apply", "-f", str(manifest))
        words = ("machine", "join-bundle", "--group", "reviews", "-n", "shop")
        refused = run(local, *words)
        assert refused.exit_code == 2
        assert "listens on 127.0.0.1:15012, which no other machine reaches" in refused.stderr
        assert "--xds-tls-address 0.0.0.0:15012" in refused.stderr
        assert run(local, "token", "list").stderr == "No join tokens found\n"
        meant = run(local, *words, "--xds-address", "127.0.0.1:15012")
        assert meant.exit_code == 0, meant.output
