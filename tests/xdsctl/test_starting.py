"""How little ``xdsctl`` needs before it does something."""

import subprocess
import sys

import pytest

CALL = "import sys; from api.cli import main; main(sys.argv[1:], standalone_mode=False)"
TELL = (
    "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules), sep='\\n', file=sys.stderr))\n"
)


def run(*words: str) -> tuple[str, set[str]]:
    """What ``xdsctl`` printed and told, and the modules that it had imported in the end."""
    done = subprocess.run(
        [sys.executable, "-c", TELL + CALL, *words], check=False, capture_output=True, text=True, timeout=300
    )
    return done.stdout + done.stderr, set(done.stderr.splitlines())


@pytest.mark.parametrize(
    "command",
    [
        ("token", "list"),
        ("ca", "show"),
        ("problems",),
        ("status",),
        ("wait", "--for=synced"),
        ("authz", "can", "shop/web", "reviews"),
        ("authz", "matrix"),
        ("machine", "join-bundle", "--group", "reviews"),
    ],
)
def test_who_asks_about_no_object_waits_for_no_kind_of_object(command: tuple[str, ...]) -> None:
    """Neither the kinds of objects nor what settings and certificates are checked with is imported beforehand."""
    said, loaded = run("--endpoint", "unix:/nowhere/admin.sock", *command)
    assert "/nowhere/admin.sock" in said
    assert "grpc" in loaded
    assert not loaded & {"xdsd.model.intent", "xdsd.settings", "pydantic", "cryptography.x509", "aiohttp"}


def test_a_bootstrap_without_objects_waits_for_no_kind_of_object() -> None:
    """Who names none pays for Envoy's messages alone."""
    said, loaded = run("bootstrap", "--name", "reviews")
    assert "# Run: envoy -c FILE" in said
    assert not loaded & {"xdsd.model.intent", "cryptography.x509", "aiohttp"}
