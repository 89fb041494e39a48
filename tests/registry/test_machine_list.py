"""Lists that change a file at a time are what they are when they are read anew, whatever moves between files."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.test_machines import service, workload
from xdsd.model.catalog import Service, ServiceKey, Workload, WorkloadKey
from xdsd.model.problem import Problem
from xdsd.registry.last_good import LastGood
from xdsd.registry.machine_list import MachineList

NOTHING = "# nothing is meant\n"
FILES = ("a.yaml", "b.yaml", "c.yaml")
_numbers = st.sets(st.integers(0, 4), max_size=3)
_edits = st.lists(st.tuples(st.sampled_from(FILES), _numbers, st.booleans(), st.booleans()), max_size=12)


class Known:
    """What a list said in all."""

    def __init__(self, folder: Path, copies: LastGood | None = None) -> None:
        self.list = MachineList(folder, "machines:test", "mesh.local", copies)
        self.services: dict[ServiceKey, Service] = {}
        self.workloads: dict[WorkloadKey, Workload] = {}
        self.problems: dict[str, tuple[Problem, ...]] = {}

    def look(self, *touched: str, writing: Sequence[str] = ()) -> None:
        news = self.list.look(touched, writing)
        change = news.change
        for gone in change.removed_services:
            del self.services[gone]
        for left in change.removed_workloads:
            del self.workloads[left]
        self.services |= {each.key: each for each in change.services}
        self.workloads |= {each.key: each for each in change.workloads}
        for key, endpoints in change.endpoints.items():
            self.services[key] = replace(self.services[key], endpoints=endpoints)
        self.problems.update(news.problems)
        self.problems = {file: found for file, found in self.problems.items() if found}

    @property
    def addresses(self) -> dict[str, str]:
        return {key.name: each.endpoint.address for key, each in self.workloads.items()}

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Known)
        ours, theirs = [(each.services, each.workloads, each.problems) for each in (self, other)]
        return ours == theirs

    __hash__ = None  # type: ignore[assignment]


@given(_edits)
@settings(max_examples=60)
def test_edits_of_files_end_where_a_fresh_look_does(edits: list[tuple[str, set[int], bool, bool]]) -> None:
    """Objects are added, changed, removed, and stand in two files at once; a file may be broken for a while."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        known = Known(folder)
        known.look()
        for name, numbers, broken, other in edits:
            objects = [workload(f"m{each}", "shop", f"10.0.{int(other)}.{each}") for each in sorted(numbers)]
            text = yaml.safe_dump_all([*objects, *([service("shop")] if 0 in numbers else [])])
            (folder / name).write_text("spec: [" if broken else text or NOTHING)
            known.look(str(folder / name))
        for name in FILES:  # in the end none is broken
            file = folder / name
            text = file.read_text() if file.exists() else NOTHING
            file.write_text(NOTHING if text == "spec: [" else text)
            known.look(str(file))
        fresh = Known(folder)
        fresh.look()
        assert known == fresh


def test_a_look_at_one_file_reads_no_other(tmp_path: Path) -> None:
    """What the kernel names costs that file; the others are looked at when nothing is named."""
    for name in FILES[:2]:
        (tmp_path / name).write_text(yaml.safe_dump(workload(name[0], "shop", "10.0.0.1")))
    known = Known(tmp_path)
    known.look()
    for name in FILES[:2]:
        (tmp_path / name).write_text(yaml.safe_dump(workload(name[0], "shop", "10.0.0.22")))
    known.look(str(tmp_path / "a.yaml"))
    assert known.addresses == {"a": "10.0.0.22", "b": "10.0.0.1"}


def test_a_file_of_this_moment_is_left_until_it_is_named(tmp_path: Path) -> None:
    """It may be half written: what was known of it holds until its writer closes it, or until it is older."""
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(workload("a", "shop", "10.0.0.1")))
    known = Known(tmp_path)
    known.look()
    file.write_text("")
    os.utime(file)
    known.look()
    assert known.addresses == {"a": "10.0.0.1"}
    ago = time.time() - 5
    os.utime(file, (ago, ago))
    known.look()
    assert known.addresses == {"a": "10.0.0.1"}, "a write that begins slowly"
    file.write_text(yaml.safe_dump(workload("a", "shop", "10.0.0.2")))
    known.look(str(file))
    assert known.addresses == {"a": "10.0.0.2"}
    file.write_text("")
    os.utime(file, (1, 1))
    known.look()
    assert known.addresses == {"a": "10.0.0.2"}, "a write that begins has the time of the one before"
    assert known.problems == {}


def test_a_file_that_was_emptied_says_what_it_said(tmp_path: Path) -> None:
    """As a full disk leaves it, also for a daemon that starts then; nothing is meant where a comment alone says so."""
    file, copies = tmp_path / "lists" / "a.yaml", LastGood(tmp_path / "copies")
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(workload("a", "shop", "10.0.0.1")))
    known = Known(file.parent, copies)
    known.look()
    file.write_text("")
    for each in (known, Known(file.parent, copies)):
        each.look(str(file))
        assert each.addresses == {"a": "10.0.0.1"}
        (problem,) = each.problems[str(file)]
        assert "is empty, and what it said last holds: was its disk full?" in str(problem)
    file.write_text(NOTHING)
    known.look(str(file))
    assert (known.addresses, known.problems) == ({}, {})


def test_a_volume_that_is_not_mounted_takes_nothing_away(tmp_path: Path) -> None:
    """Another folder in the place of that which had the files is no list without machines, unless it says so."""
    lists, volume = tmp_path / "lists", tmp_path / "volume"
    lists.mkdir()
    (lists / "a.yaml").write_text(yaml.safe_dump(workload("a", "shop", "10.0.0.1")))
    known = Known(lists)
    known.look()
    lists.rename(volume)
    lists.mkdir()
    assert "is it not mounted?" in known.list.look().unavailable
    known.look()
    assert known.addresses == {"a": "10.0.0.1"}
    (lists / "none.yaml").write_text(NOTHING)
    os.utime(lists, (1, 1))
    known.look()
    assert known.addresses == {}
    lists.rename(tmp_path / "empty")
    volume.rename(lists)
    known.look()
    assert known.addresses == {"a": "10.0.0.1"}
    (lists / "a.yaml").unlink()
    known.look()
    assert known.addresses == {}, "its files were taken out of the same folder"


def test_a_folder_that_is_restored_from_a_copy_takes_nothing_away(tmp_path: Path) -> None:
    """Its files come one after another; what does not come at all has left, ten seconds after the last one."""
    lists, copy = tmp_path / "lists", tmp_path / "copy"
    lists.mkdir()
    for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")):
        (lists / f"{name}.yaml").write_text(yaml.safe_dump(workload(name, "shop", address)))
    known = Known(lists)
    known.look()
    before = dict(known.addresses)
    shutil.copytree(lists, copy)
    shutil.rmtree(lists)
    assert known.list.look().unavailable
    lists.mkdir()
    for count, name in ((2, "a"), (1, "b")):
        shutil.copy(copy / f"{name}.yaml", lists)
        said = known.list.look([str(lists / f"{name}.yaml")]).unavailable
        assert f"is another folder than before, and lacks {count} of its files" in said
        known.look()
        assert known.addresses == before
    ago = time.time() - 11
    os.utime(lists, (ago, ago))
    known.look()
    assert known.addresses == {"a": "10.0.0.1", "b": "10.0.0.2"}
    shutil.copy(copy / "c.yaml", lists)
    known.look()
    assert known.addresses == before


def test_a_link_in_a_circle_is_that_files_problem(tmp_path: Path) -> None:
    """The other files are read."""
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(workload("a", "shop", "10.0.0.1")))
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    known = Known(tmp_path)
    known.look()
    assert known.addresses == {"a": "10.0.0.1"}
    assert [*known.problems] == [str(tmp_path / "loop.yaml")]


def test_a_file_that_is_open_is_left_for_a_while(tmp_path: Path) -> None:
    """However slowly it is written; but one that nobody writes to any more is read although nobody closed it."""
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(workload("a", "shop", "10.0.0.1")))
    known = Known(tmp_path)
    known.look()
    file.write_text("")
    ago = time.time() - 1
    os.utime(file, (ago, ago))
    known.look(writing=[str(file)])
    assert known.addresses == {"a": "10.0.0.1"}
    os.utime(file, (ago - 60, ago - 60))
    assert known.problems == {}
    file.write_text(NOTHING)
    os.utime(file, (ago - 60, ago - 60))
    known.look(writing=[str(file)])
    assert known.addresses == {}
