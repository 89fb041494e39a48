"""``xdsctl secret``: what operators keep for proxies, and what may be known of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.access.caller import Role
from tests.api.daemon import Daemon, daemon
from tests.lab.certificates import Authority, Pair
from tests.xdsctl.test_joining import person, run


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with a CA."""
    with daemon(tmp_path, joining=True) as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def files(pair: Pair) -> tuple[str, ...]:
    return ("--cert", str(pair.cert), "--key", str(pair.key))


def test_secrets_live_from_create_to_delete(server: Daemon, authority: Authority) -> None:
    """Created, listed, described, replaced and deleted; no answer and no log line has a key."""
    one, other = (
        authority.issue("one", "DNS:one.example.com"),
        authority.issue("other", "DNS:other.example.com"),
    )
    words = ("--ca", str(authority.cert), "--crl", str(authority.revoke(one)), "--service-account", "gateway")
    made = run(server, "secret", "create", "tls", "shop", "-n", "edge", *files(one), *words)
    assert made.stdout == 'secret "edge/shop" created\n', made.output
    assert "expires soon" in made.stderr
    twice = run(server, "secret", "create", "tls", "shop", "-n", "edge", *files(other))
    assert "there is a secret edge/shop already; --replace puts another in its place" in twice.stderr
    described = run(server, "secret", "describe", "shop", "-n", "edge")
    assert "one.example.com" in described.stdout
    assert "Revoked:          1 certificates" in described.stdout
    assert "For:              gateway" in described.stdout
    again = run(server, "secret", "create", "tls", "shop", "-n", "edge", *files(other), "--replace")
    assert again.stdout == 'secret "edge/shop" replaced\n'
    listed = json.loads(run(server, "secret", "list", "-o", "json").stdout)["secrets"]
    assert [each["certificates"][0]["names"] for each in listed] == [["other.example.com"]]
    assert datetime.fromisoformat(listed[0]["certificates"][0]["ends"]) > datetime.now(UTC)
    assert run(server, "secret", "list").stdout.splitlines()[1].split()[:4] == [
        *("edge", "shop", "tls", "other.example.com")
    ]
    assert run(server, "secret", "delete", "shop", "-n", "edge").stdout == 'secret "edge/shop" deleted\n'
    assert "there is no secret edge/shop" in run(server, "secret", "delete", "shop", "-n", "edge").stderr
    assert "there is no secret edge/shop" in run(server, "secret", "describe", "shop", "-n", "edge").stderr
    everything = described.output + again.output + server.log.getvalue()
    assert "PRIVATE KEY" not in everything
    assert one.key.read_text().splitlines()[1] not in everything


def test_a_replaced_secret_stays_with_whom_it_was_for(server: Daemon, authority: Authority) -> None:
    """Nobody else is given the key because it was renewed; that it is for all has to be said."""
    pair = authority.issue("one")
    words = ("secret", "create", "tls", "shop", "-n", "edge", *files(pair))

    def held() -> list[str]:
        (found,) = json.loads(run(server, "secret", "list", "-o", "json").stdout)["secrets"]
        return list(found["serviceAccounts"])

    assert run(server, *words, "--service-account", "edge").exit_code == 0
    assert run(server, *words, "--replace").exit_code == 0
    assert held() == ["edge"]
    assert run(server, *words, "--replace", "--service-account", "other").exit_code == 0
    assert held() == ["other"]
    both = run(server, *words, "--replace", "--service-account", "edge", "--any-service-account")
    assert (both.exit_code, "name service accounts, or give" in both.stderr) == (2, True)
    assert held() == ["other"]
    assert run(server, *words, "--replace", "--any-service-account").exit_code == 0
    assert held() == []


def test_files_have_the_names_of_kubernetes_secrets(server: Daemon, authority: Authority) -> None:
    """Authorities alone are a secret; a file that is not known is refused, and one that is not there is named."""
    made = run(server, "secret", "create", "generic", "callers", f"--from-file=ca.crt={authority.cert}")
    assert made.stdout == 'secret "default/callers" created\n', made.output
    refused = run(server, "secret", "create", "generic", "odd", f"--from-file={authority.cert}")
    assert "'ca.pem' is no file that is known in a secret" in refused.stderr
    missing = run(server, "secret", "create", "generic", "odd", "--from-file=ca.crt=/nonexistent")
    assert "/nonexistent cannot be read: no such file or directory" in missing.stderr


def test_secrets_are_for_admins_of_their_namespace(server: Daemon, authority: Authority) -> None:
    """Who is no admin there neither writes nor lists; an admin of one namespace sees and writes those of that one."""
    pair = authority.issue("one")
    assert run(server, "secret", "create", "tls", "shop", "-n", "edge", *files(pair)).exit_code == 0
    assert run(server, "secret", "create", "tls", "shop", "-n", "bank", *files(pair)).exit_code == 0
    editor, admin = person(server, "erin", Role.EDITOR), person(server, "ada", Role.ADMIN, "edge")
    for words in (
        ("list",),
        ("delete", "shop", "-n", "edge"),
        ("create", "tls", "a", "-n", "edge", *files(pair)),
    ):
        assert "erin may not write secrets of proxies" in run(server, "secret", *words, token=editor).stderr
    listed = json.loads(run(server, "secret", "list", "-o", "json", token=admin).stdout)["secrets"]
    assert [each["namespace"] for each in listed] == ["edge"]
    refused = run(server, "secret", "delete", "shop", "-n", "bank", token=admin)
    assert (
        "ada may not write secrets of proxies, and look at what may be known of them in namespace bank"
        in refused.stderr
    )
    assert run(server, "secret", "delete", "shop", "-n", "edge", token=admin).exit_code == 0
