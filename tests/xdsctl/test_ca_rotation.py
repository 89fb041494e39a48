"""``xdsctl ca rotate``: what operators see of a rotation of roots, and what they say."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.access.caller import Role
from tests.api.daemon import Daemon, daemon
from tests.xdsctl.test_joining import person, run


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with a CA, of a fleet in which another one has not told anything yet."""
    with daemon(tmp_path, joining=True) as running:
        yield running


def said(server: Daemon, *words: str) -> str:
    """What ``xdsctl ca rotate`` prints."""
    found = run(server, "ca", "rotate", *words)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_plan_begins_nothing(server: Daemon) -> None:
    """It has the steps and whom they would wait for."""
    plan = said(server, "--plan")
    assert "would follow" in plan
    assert "3. retire" in plan
    assert ["north", "this", "daemon"] in [line.split()[:3] for line in plan.splitlines()]
    assert said(server).startswith("No root was rotated yet")
    assert json.loads(said(server, "-o", "json"))["step"] is None


def test_a_rotation_is_shown_step_by_step(server: Daemon) -> None:
    """The steps, the roots, and whom it waits for with why; for programs the same as JSON."""
    shown = [line.split() for line in said(server, "--apply").splitlines()]
    assert ["trust", "all", "trust", "the", "root", "to", "come", "1", "of", "0", "to", "come"] in shown
    assert [line[1] for line in shown if len(line) > 2 and line[1] in ("issuing", "trusted")] == [
        "issuing",
        "trusted",
    ]
    assert shown[-1][:3] == ["north", "this", "daemon"]
    data = json.loads(said(server, "-o", "json"))
    assert (data["step"], data["back"], data["author"]) == ("trust", False, data["author"])
    assert data["holds"] == [
        {"name": "north", "why": "this daemon has not told yet which roots it goes by", "away": False}
    ]
    assert "A rotation goes on" in said(server, "--plan")


def test_what_cannot_be_done_now_is_told(server: Daemon) -> None:
    """With what can be; and waiting for what does not come ends with 1."""
    assert "no rotation goes on" in run(server, "ca", "rotate", "--abort").stderr
    said(server, "--apply")
    assert "goes on already" in run(server, "ca", "rotate", "--apply").stderr
    assert "north is connected" in run(server, "ca", "rotate", "--leave", "north").stderr
    assert "stands alone" in run(server, "ca", "rotate", "--leave", "north", "--abort").stderr
    assert run(server, "ca", "rotate", "--wait", "1ms").exit_code == 1
    assert "(it goes back)" in said(server, "--abort")
    assert "goes back already" in run(server, "ca", "rotate", "--abort").stderr
    assert said(server, "--roots-given", "-o", "json").count('"rootsGiven": true') == 1
    assert [line["what"] for line in server.told("audit") if "what" in line] == [
        "ca rotate: begin",
        "ca rotate: abort",
        "ca rotate: roots given",
    ]


def test_only_admins_rotate(server: Daemon) -> None:
    """Who may look sees how far it is; who may not, sees nothing."""
    viewer, admin = person(server, "vera", Role.VIEWER), person(server, "ada", Role.ADMIN)
    local = person(server, "nina", Role.ADMIN, "shop")
    assert run(server, "ca", "rotate", token=viewer).exit_code == 0
    for token in (viewer, local):
        assert run(server, "ca", "rotate", "--apply", token=token).exit_code == 1
    assert run(server, "ca", "rotate", "--apply", token=admin).exit_code == 0
