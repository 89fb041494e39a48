"""What scripts/install says before it touches anything; what it does is tests/e2e/test_systemd.py."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "install"


def install(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_argument() -> None:
    """And changes nothing."""
    said = install("--help")
    assert said.returncode == 0
    for word in ("--prefix", "--wheelhouse", "--restart", "--uninstall", "/opt/xdsd"):
        assert word in said.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--frobnicate",), "unknown argument --frobnicate"),
        (("surplus",), "unknown argument surplus"),
        (("--prefix",), "--prefix needs a folder"),
        (("--wheelhouse", ""), "--wheelhouse needs a folder"),
    ],
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...], said: str) -> None:
    """As every command line does."""
    done = install(*words)
    assert done.returncode == 2
    assert f"error: {said}" in done.stderr
