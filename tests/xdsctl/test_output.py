"""What commands say that a program asked for data, and what they do where nothing can be said."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import BOTH, REVIEWS, RULE

WRONG = REVIEWS.replace("weight: 90", "weight: -5")
STALE = REVIEWS.replace("  labels:", '  resourceVersion: "99"\n  labels:')
_PROGRAM = "from api.cli import main; main(prog_name='xdsctl')"


def found(text: str) -> Mapping[str, Any]:
    value: Mapping[str, Any] = json.loads(text)
    return value


@pytest.mark.parametrize("text", [WRONG, STALE, f"{STALE}---\n{RULE}"], ids=["file", "daemon", "chunks"])
def test_what_is_not_applied_is_data(xdsctl: Xdsctl, text: str) -> None:
    """Problems of the files and those of the daemon, as analyze has them; the exit code is the same."""
    words = ("apply", "-f", "-", "--chunk", "1")
    result = xdsctl(*words, "-o", "json", input=text)
    assert result.exit_code == xdsctl(*words, input=text).exit_code == 1
    (problem,) = found(result.stdout)["problems"]
    assert list(problem) == ["reason", "severity", "message", "object", "path", "file", "line"]
    assert (problem["file"], problem["severity"]) == ("stdin", "error")
    assert result.stderr == ""
    assert yaml.safe_load(xdsctl(*words, "-o", "yaml", input=text).stdout)["problems"] == [problem]


def test_what_is_applied_is_the_objects(xdsctl: Xdsctl) -> None:
    """One document, whatever is remarked: warnings stay on the error stream."""
    result = xdsctl("apply", "-f", "-", "-o", "json", input=REVIEWS)
    assert found(result.stdout)["kind"] == "VirtualService"
    assert result.stderr.startswith("warning: ")


def test_removals_are_data(xdsctl: Xdsctl) -> None:
    """Those that were done, and those that were not as something is missing."""
    xdsctl("apply", "-f", "-", input=BOTH)
    refused = xdsctl("delete", "vs/reviews", "dr/none", "-o", "json")
    ref = {"kind": "DestinationRule", "namespace": "default", "name": "none"}
    assert (refused.exit_code, found(refused.stdout)) == (1, {"problems": [], "missing": [ref]})
    done = xdsctl("delete", "vs/reviews", "-o", "json")
    gone = {"kind": "VirtualService", "namespace": "default", "name": "reviews"}
    assert (done.exit_code, found(done.stdout)) == (0, {"deleted": [gone], "dryRun": False})
    nothing = xdsctl("delete", "vs", "--all", "-o", "json")
    assert (nothing.exit_code, found(nothing.stdout)) == (0, {"deleted": [], "dryRun": False})


def test_a_rollback_that_is_refused_is_data(xdsctl: Xdsctl) -> None:
    """The hint for people stays on the error stream."""
    xdsctl("apply", "-f", "-", input=BOTH)
    result = xdsctl("rollback", "vs", "reviews", "--to", "1", "-o", "json")
    assert result.exit_code == 1
    assert len(found(result.stdout)["problems"]) == 1
    assert result.stderr == "To have it gone: xdsctl delete virtualservice/reviews -n default\n"


@pytest.mark.parametrize(
    "words", [("apply", "-f", "-"), ("delete", "vs", "reviews"), ("rollback", "vs", "reviews", "--to", "1")]
)
def test_what_fails_is_data_too(alone: Xdsctl, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Such as where no daemon is; the sentence is the same."""
    endpoint = f"unix:{tmp_path}/none.sock"
    result = alone("--endpoint", endpoint, *words, "-o", "json", input=REVIEWS)
    assert result.exit_code == 1
    said = found(result.stdout)
    assert said["problems"] == []
    assert said["error"].startswith(f"no daemon answers at {endpoint}")
    assert result.stderr == f"Error: {said['error']}\n"


@pytest.mark.parametrize("words", [("schema",), ("api-resources",), ("api-resources", "-o", "json")])
def test_a_full_disk_is_one_sentence(words: tuple[str, ...]) -> None:
    """And the exit code is that of a failure."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=300,
        )
    assert done.returncode == 1
    assert done.stderr.decode() == "Error: the output cannot be written: no space left on device\n"


def test_a_reader_that_went_away_is_no_news() -> None:
    """As with any program in a pipe; nothing is said."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "schema"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=300,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
