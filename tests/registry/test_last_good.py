"""What a file last said that was right outlives the daemon."""

import os
import stat
from pathlib import Path

import pytest

from tests.contracts.registry import running
from tests.lab.eventually import eventually
from xdsd.model.catalog import WorkloadKey
from xdsd.registry import folder
from xdsd.registry.last_good import LastGood
from xdsd.registry.machine_list import MachineList, News
from xdsd.registry.machines import MachinesRegistry

RIGHT = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: NAME}
spec: {address: 10.0.0.1}
"""


def look(folder: Path, copies: Path) -> News:
    """What a daemon sees that starts now."""
    return MachineList(folder, "machines:test", "cluster.local", LastGood(copies)).look()


def workloads(news: News) -> set[WorkloadKey]:
    return {each.key for each in news.change.workloads}


def test_a_restart_beside_a_broken_file_loses_nothing(tmp_path: Path) -> None:
    """The file's last good content serves on, and its problem is told."""
    lists, copies = tmp_path / "lists", tmp_path / "copies"
    lists.mkdir()
    file = lists / "a.yaml"
    file.write_text(RIGHT.replace("NAME", "a"))
    assert workloads(look(lists, copies)) == {WorkloadKey("default", "a")}
    file.write_text("kind: [")
    news = look(lists, copies)
    assert workloads(news) == {WorkloadKey("default", "a")}
    assert [problem.reason for problem in news.problems[str(file)]] == ["MalformedFile"]
    file.write_text(RIGHT.replace("NAME", "b"))
    assert workloads(look(lists, copies)) == {WorkloadKey("default", "b")}


def test_a_file_that_went_is_forgotten(tmp_path: Path) -> None:
    """A broken file of the same name that comes later brings nothing back."""
    lists, copies = tmp_path / "lists", tmp_path / "copies"
    lists.mkdir()
    file = lists / "a.yaml"
    file.write_text(RIGHT.replace("NAME", "a"))
    machines = MachineList(lists, "machines:test", "cluster.local", LastGood(copies))
    machines.look()
    file.unlink()
    machines.look()
    assert list(copies.iterdir()) == []
    file.write_text("kind: [")
    assert workloads(look(lists, copies)) == set()


@pytest.mark.parametrize("single", [False, True])
async def test_a_restart_while_the_path_is_away_loses_nothing(tmp_path: Path, single: bool) -> None:
    """All files say what they said last; the source is synced by that, and stale until the path is back."""
    lists, copies = tmp_path / "lists", tmp_path / "copies"
    lists.mkdir()
    for name in "ab":
        (lists / f"{name}.yaml").write_text(RIGHT.replace("NAME", name))
    path = lists / "a.yaml" if single else lists
    known = workloads(look(path, copies))
    lists.rename(tmp_path / "away")
    news = look(path, copies)
    assert (workloads(news), news.remembered) == (known, True)
    assert "No such file" in news.unavailable
    machines = MachinesRegistry(path, "cluster.local", look_again=0.2, copies=LastGood(copies))
    async with running(machines) as sink:
        await eventually(lambda: sink.log == ["change", "synced", "stale"])
        (tmp_path / "away").rename(lists)
        await eventually(lambda: sink.log[-1] == "synced")
        assert {key for _, key, _ in sink.catalog.workloads()} == known


def test_a_restart_before_the_volume_is_mounted_loses_nothing(tmp_path: Path) -> None:
    """An empty folder is not believed where an earlier life of the daemon read files there."""
    lists, copies = tmp_path / "lists", tmp_path / "copies"
    lists.mkdir()
    (lists / "a.yaml").write_text(RIGHT.replace("NAME", "a"))
    known = workloads(look(lists, copies))
    lists.rename(tmp_path / "volume")
    lists.mkdir()
    machines = MachineList(lists, "machines:test", "cluster.local", LastGood(copies))
    news = machines.look()
    assert workloads(news) == known
    assert news.remembered
    assert "is it not mounted?" in news.unavailable
    assert machines.look().unavailable
    lists.rmdir()
    (tmp_path / "volume").rename(lists)
    assert not machines.look().unavailable


def test_a_path_that_was_never_there_is_waited_for(tmp_path: Path) -> None:
    """Nothing is remembered of it."""
    news = look(tmp_path / "none", tmp_path / "copies")
    assert (news.unavailable != "", news.remembered) == (True, False)


def test_copies_are_their_owners_alone(tmp_path: Path) -> None:
    """Neither the folder nor a copy can be read by others."""
    copies = LastGood(tmp_path / "copies")
    copies.save("a", b"content")
    assert stat.S_IMODE((tmp_path / "copies").stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "copies").iterdir()} == {0o600}
    assert copies.load("a") == b"content"


def test_where_nothing_can_be_kept_nothing_is_lost(tmp_path: Path) -> None:
    """A state dir that cannot be written costs the copies, not the machines."""
    (tmp_path / "file").write_text("in the way")
    copies = LastGood(tmp_path / "file" / "copies")
    copies.save("a", b"content")
    copies.only(["a"])
    assert copies.load("a") is None


def test_a_file_that_changes_while_it_is_read_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it may be right and lack the rest, so it is read once it is whole."""
    file = tmp_path / "machines.yaml"
    both = "---".join(RIGHT.replace("NAME", name) for name in "ab")
    file.write_text(both)
    machines = MachineList(tmp_path, "machines:test", "cluster.local")
    known = workloads(machines.look())
    read = folder._read

    def meanwhile(name: str, most: int) -> bytes:
        data = read(name, most)
        file.write_text(both.replace("10.0.0.1", "10.0.0.22"))
        os.utime(file, (2, 2))
        return data

    file.write_text(RIGHT.replace("NAME", "a"))
    os.utime(file, (1, 1))
    monkeypatch.setattr(folder, "_read", meanwhile)
    news = machines.look()
    assert workloads(news) == set()
    assert news.change.removed_workloads == ()
    assert "is being written" in news.problems[str(file)][0].message
    monkeypatch.undo()
    news = machines.look()
    assert workloads(news) == known
    assert {each.endpoint.address for each in news.change.workloads} == {"10.0.0.22"}
    assert news.problems == {str(file): ()}


def test_a_single_file_that_is_too_large_is_a_problem(tmp_path: Path) -> None:
    """It can be looked at, so the daemon starts; what it says is told to be too much."""
    file = tmp_path / "machines.yaml"
    file.write_bytes(b"# " + b"x" * (9 << 20))
    news = look(file, tmp_path / "copies")
    assert not news.unavailable
    assert [problem.reason for problem in news.problems[str(file)]] == ["TooLarge"]
