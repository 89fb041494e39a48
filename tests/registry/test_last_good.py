"""What a file last said that was right outlives the daemon."""

import stat
from pathlib import Path

from xdsd.model.catalog import WorkloadKey
from xdsd.registry.last_good import LastGood
from xdsd.registry.machine_list import MachineList, News

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
    folder, copies = tmp_path / "lists", tmp_path / "copies"
    folder.mkdir()
    file = folder / "a.yaml"
    file.write_text(RIGHT.replace("NAME", "a"))
    assert workloads(look(folder, copies)) == {WorkloadKey("default", "a")}
    file.write_text("kind: [")
    news = look(folder, copies)
    assert workloads(news) == {WorkloadKey("default", "a")}
    assert [problem.reason for problem in news.problems[str(file)]] == ["MalformedFile"]
    file.write_text(RIGHT.replace("NAME", "b"))
    assert workloads(look(folder, copies)) == {WorkloadKey("default", "b")}


def test_a_file_that_went_is_forgotten(tmp_path: Path) -> None:
    """A broken file of the same name that comes later brings nothing back."""
    folder, copies = tmp_path / "lists", tmp_path / "copies"
    folder.mkdir()
    file = folder / "a.yaml"
    file.write_text(RIGHT.replace("NAME", "a"))
    machines = MachineList(folder, "machines:test", "cluster.local", LastGood(copies))
    machines.look()
    file.unlink()
    machines.look()
    assert list(copies.iterdir()) == []
    file.write_text("kind: [")
    assert workloads(look(folder, copies)) == set()


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


def test_a_single_file_that_is_too_large_is_a_problem(tmp_path: Path) -> None:
    """It can be looked at, so the daemon starts; what it says is told to be too much."""
    file = tmp_path / "machines.yaml"
    file.write_bytes(b"# " + b"x" * (9 << 20))
    news = look(file, tmp_path / "copies")
    assert not news.unavailable
    assert [problem.reason for problem in news.problems[str(file)]] == ["TooLarge"]
