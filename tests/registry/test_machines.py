"""Machine lists in files: the contract of registries, and everything that happens to files."""

import asyncio
import json
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contracts.registry import DEADLINE, Recorder, RegistryContract, running
from tests.lab.eventually import eventually
from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import ObjectRef, Reason
from xdsd.registry.base import Registry
from xdsd.registry.machine_list import MachineList, News
from xdsd.registry.machines import MachinesRegistry

DOMAIN = "mesh.local"
A, B = (ServiceKey("default", f"{name}.default.svc.mesh.local") for name in "ab")


def machines(path: Path) -> MachinesRegistry:
    return MachinesRegistry(path, DOMAIN, look_again=0.2)


def service(name: str, **spec: Any) -> dict[str, Any]:
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    selector = {"labels": {"app": name}}
    spec = {"hosts": [name], "ports": [port], "resolution": "STATIC", "workloadSelector": selector, **spec}
    return made("ServiceEntry", name, spec)


def workload(name: str, app: str, address: str) -> dict[str, Any]:
    return made("WorkloadEntry", name, {"address": address, "labels": {"app": app}})


def made(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def text(name: str, *addresses: str) -> str:
    """A file with a service and its machines."""
    objects = [
        service(name),
        *(workload(f"{name}-{index}", name, item) for index, item in enumerate(addresses)),
    ]
    return yaml.safe_dump_all(objects)


def replace_file(path: Path, content: str) -> None:
    """Replaces a file as careful programs do."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(content)
    beside.replace(path)


async def has_problem(sink: Recorder, file: Path, *reasons: Reason) -> None:
    """Waits until the problems of a file are of these reasons."""

    def holds() -> None:
        assert [problem.reason for problem in sink.found.get(str(file), ())] == list(reasons)

    await eventually(holds, f"{file} has {reasons}", timeout=DEADLINE)


class FolderPlatform:
    """A folder with a file for each service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "machines"
        self.away = folder / "away"
        self.folder.mkdir()

    def registry(self) -> Registry:
        return machines(self.folder)

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.default.svc.{DOMAIN}")

    def file(self, name: str) -> Path:
        return (self.away if self.away.exists() else self.folder) / f"{name}.yaml"

    async def declare(self, name: str, addresses: Sequence[str]) -> None:
        await asyncio.to_thread(replace_file, self.file(name), text(name, *addresses))

    async def withdraw(self, name: str) -> None:
        await asyncio.to_thread(self.file(name).unlink)

    async def spoil(self, name: str) -> None:
        await asyncio.to_thread(self.file(name).write_text, "spec: [")

    async def touch(self) -> None:
        for file in self.folder.iterdir():
            await asyncio.to_thread(file.touch)

    async def leave(self) -> None:
        await asyncio.to_thread(self.folder.rename, self.away)

    async def come(self) -> None:
        # It was changed long ago, so that nothing is on its way into it.
        os.utime(self.away, (1, 1))
        await asyncio.to_thread(self.away.rename, self.folder)


class OneFilePlatform(FolderPlatform):
    """One file that holds all services."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.one = self.folder / "all.yaml"
        self.services: dict[str, str] = {}
        self.one.touch()

    def registry(self) -> Registry:
        return machines(self.one)

    async def declare(self, name: str, addresses: Sequence[str]) -> None:
        self.services[name] = text(name, *addresses)
        await self._write()

    async def withdraw(self, name: str) -> None:
        del self.services[name]
        await self._write()

    async def spoil(self, name: str) -> None:
        self.services[name] = json.dumps(service(name, hosts=[]))
        await self._write()

    async def leave(self) -> None:
        await asyncio.to_thread(self.one.rename, self.away)

    async def come(self) -> None:
        await asyncio.to_thread(self.away.rename, self.one)

    async def _write(self) -> None:
        file = self.away if self.away.exists() else self.one
        await asyncio.to_thread(replace_file, file, "\n---\n".join(self.services.values()))


class TestFolderContract(RegistryContract):
    @pytest.fixture
    def platform(self, tmp_path: Path) -> FolderPlatform:
        return FolderPlatform(tmp_path)


class TestOneFileContract(RegistryContract):
    @pytest.fixture
    def platform(self, tmp_path: Path) -> FolderPlatform:
        return OneFilePlatform(tmp_path)


async def test_files_of_all_spellings_are_read(tmp_path: Path) -> None:
    """YAML under both names and JSON count; hidden files, leftovers of editors, others and folders do not."""
    (tmp_path / "a.yml").write_text(text("a", "10.0.0.1"))
    (tmp_path / "b.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [service("b")]})
    )
    for name in (".hidden.yaml", "#c.yaml", "~c.yaml", "c.yaml~", "#c.yaml#", ".c.yaml.swp", "c.txt", "4913"):
        (tmp_path / name).write_text("][")
    (tmp_path / "inner.yaml").mkdir()
    (tmp_path / "inner.yaml" / "c.yaml").write_text(text("c"))
    async with running(machines(tmp_path)) as sink:
        await sink.told("synced")
        assert sink.services() == {A: ["10.0.0.1"], B: []}
        assert sink.mistakes == []


async def test_a_broken_file_keeps_its_last_good_content(tmp_path: Path) -> None:
    """The problem says file and line, and goes when the file is right again or gone."""
    file = tmp_path / "a.yaml"
    file.write_text(text("a", "10.0.0.1"))
    async with running(machines(tmp_path)) as sink:
        await sink.told("synced")
        file.write_text("kind: ServiceEntry\nspec: {\n")
        await has_problem(sink, file, Reason.MALFORMED_FILE)
        (problem,) = sink.found[str(file)]
        assert problem.file == str(file)
        assert problem.line > 0
        assert sink.services() == {A: ["10.0.0.1"]}
        file.write_bytes(b"\xff\xfe\xfa")
        await has_problem(sink, file, Reason.MALFORMED_FILE)
        file.unlink()
        await sink.sees({})
        await has_problem(sink, file)


async def test_a_mistake_in_one_object_keeps_that_object(tmp_path: Path) -> None:
    """Beside it others change; what left the file goes when no mistake is left."""
    file = tmp_path / "a.yaml"
    file.write_text(
        yaml.safe_dump_all([service("a"), workload("w1", "a", "10.0.0.1"), workload("w2", "a", "10.0.0.2")])
    )
    async with running(machines(tmp_path)) as sink:
        await sink.told("synced")
        wrong = made("WorkloadEntry", "w1", {"address": "10.0.0.9", "weigth": 3, "labels": {"app": "a"}})
        file.write_text(yaml.safe_dump_all([service("a"), wrong, workload("w3", "a", "10.0.0.3")]))
        await sink.sees({A: ["10.0.0.1", "10.0.0.2", "10.0.0.3"]})
        (problem,) = sink.mistakes
        assert problem.object == ObjectRef("WorkloadEntry", "default", "w1")
        assert problem.path == "spec.weigth"
        file.write_text(yaml.safe_dump_all([service("a"), workload("w3", "a", "10.0.0.3")]))
        await sink.sees({A: ["10.0.0.3"]})
        await has_problem(sink, file)


async def test_an_object_in_two_files_is_taken_from_the_first(tmp_path: Path) -> None:
    """The later file by name has the problem; when the first lets go, the other takes over."""
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    second.write_text(yaml.safe_dump_all([service("a"), workload("w", "a", "10.0.0.2")]))
    async with running(machines(tmp_path)) as sink:
        await sink.sees({A: ["10.0.0.2"]})
        first.write_text(yaml.safe_dump(workload("w", "a", "10.0.0.1")))
        await sink.sees({A: ["10.0.0.1"]})
        await has_problem(sink, second, Reason.DUPLICATE_OBJECT)
        (problem,) = sink.mistakes
        assert problem.line > 1
        assert f"{first}:1" in problem.message
        first.unlink()
        await sink.sees({A: ["10.0.0.2"]})
        await has_problem(sink, second)


async def test_other_kinds_are_problems(tmp_path: Path) -> None:
    """A machine list is no place for routes, and the rest of the file counts."""
    rule = made("DestinationRule", "a", {"host": "a", "subsets": [{"name": "v1", "labels": {"v": "1"}}]})
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump_all([rule, service("a")]))
    async with running(machines(tmp_path)) as sink:
        await sink.told("synced")
        assert sink.services() == {A: []}
        (problem,) = sink.mistakes
        assert problem.reason is Reason.UNKNOWN_KIND
        assert str(problem).startswith(f"{file}:1: DestinationRule default/a: machine lists hold")


async def test_what_entries_have_against_each_other_names_the_line(tmp_path: Path) -> None:
    """Two services of one host that differ are a problem of the younger one's file."""
    port = {"number": 80, "name": "http", "protocol": "TCP"}
    other = service("other", hosts=["a"], ports=[port], workloadSelector={"labels": {"app": "a"}})
    (tmp_path / "1.yaml").write_text(yaml.safe_dump(service("a")))
    file = tmp_path / "2.yaml"
    file.write_text("---\n# comes later\n" + yaml.safe_dump(other))
    async with running(machines(tmp_path)) as sink:
        await has_problem(sink, file, Reason.CONFLICT)
        (problem,) = sink.mistakes
        assert file.read_text().splitlines()[problem.line - 1].strip() == "hosts:"


async def test_a_link_that_is_turned_is_a_change(tmp_path: Path) -> None:
    """Mounted folders are swapped by turning one hidden link, on which the files depend."""
    folder = tmp_path / "machines"
    for version, address in (("1", "10.0.0.1"), ("2", "10.0.0.2")):
        (folder / f"..{version}").mkdir(parents=True)
        (folder / f"..{version}" / "a.yaml").write_text(text("a", address))
    (folder / "..data").symlink_to("..1")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    async with running(machines(folder)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        (folder / "..new").symlink_to("..2")
        (folder / "..new").replace(folder / "..data")
        await sink.sees({A: ["10.0.0.2"]})
        assert sink.mistakes == []


async def test_a_link_on_the_way_is_a_change(tmp_path: Path) -> None:
    """The path itself, or a folder above it, may be a link to the current release."""
    for version in ("1", "2", "3"):
        (tmp_path / version / "machines").mkdir(parents=True)
        (tmp_path / version / "machines" / "a.yaml").write_text(text("a", f"10.0.0.{version}"))
    (tmp_path / "current").symlink_to("1")
    async with running(machines(tmp_path / "current" / "machines")) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        (tmp_path / "next").symlink_to("2")
        (tmp_path / "next").replace(tmp_path / "current")
        await sink.sees({A: ["10.0.0.2"]})
        (tmp_path / "2" / "machines" / "a.yaml").write_text(text("a", "10.0.0.9"))
        await sink.sees({A: ["10.0.0.9"]})


async def test_a_file_that_cannot_be_read_keeps_its_content(tmp_path: Path) -> None:
    """A link to nowhere and a pipe are problems of that file alone; a pipe is not waited for."""
    file = tmp_path / "a.yaml"
    file.write_text(text("a", "10.0.0.1"))
    os.mkfifo(tmp_path / "pipe.yaml")
    async with running(machines(tmp_path)) as sink:
        await sink.told("synced")
        await has_problem(sink, tmp_path / "pipe.yaml", Reason.UNREADABLE_FILE)
        file.unlink()
        file.symlink_to("nowhere")
        await has_problem(sink, file, Reason.UNREADABLE_FILE)
        (tmp_path / "b.yaml").write_text(text("b"))
        await eventually(lambda: B in sink.services(), "the other file is read", timeout=DEADLINE)
        assert sink.services()[B] == []
        assert "not a regular file" in sink.found[str(tmp_path / "pipe.yaml")][0].message


async def test_a_file_that_is_too_large_is_a_problem(tmp_path: Path) -> None:
    """It is not read to its end, and what it said last stays."""
    file = tmp_path / "a.yaml"
    file.write_text(text("a", "10.0.0.1"))
    async with running(machines(tmp_path)) as sink:
        await sink.told("synced")
        with file.open("a") as end:
            end.truncate(50 * 1024 * 1024)
        await has_problem(sink, file, Reason.TOO_LARGE)
        assert sink.services() == {A: ["10.0.0.1"]}


async def test_changes_in_place_are_noticed_however_alike_they_are(tmp_path: Path) -> None:
    """Writes of equal length in quick succession end in the last one."""
    file = tmp_path / "a.yaml"
    file.write_text(text("a", "10.0.0.1"))
    async with running(machines(tmp_path)) as sink:
        await sink.told("synced")
        for last in (2, 3, 4, 5, 6, 7):
            file.write_text(text("a", f"10.0.0.{last}"))
        await sink.sees({A: ["10.0.0.7"]})


async def test_a_path_that_appears_step_by_step_is_found(tmp_path: Path) -> None:
    """Folders on the way may come later than the daemon."""
    folder = tmp_path / "etc" / "xdsd" / "machines"
    async with running(machines(folder)) as sink:
        await sink.told("stale")
        folder.mkdir(parents=True)
        await sink.told("synced")
        (folder / "a.yaml").write_text(text("a", "10.0.0.1"))
        await sink.sees({A: ["10.0.0.1"]})
        assert [word for word in sink.log if word != "change"] == ["stale", "synced"]


async def test_changes_reach_the_sink_without_waiting_for_the_next_look(tmp_path: Path) -> None:
    """The kernel's word is enough: a registry that never looks again notices all the same."""
    folder = tmp_path / "machines"
    folder.mkdir()
    (folder / "a.yaml").write_text(text("a"))
    async with running(MachinesRegistry(folder, DOMAIN, look_again=600.0)) as sink:
        await sink.told("synced")
        for last in range(1, 4):
            await eventually_written(sink, folder / "a.yaml", f"10.0.0.{last}")


async def test_what_is_written_beside_a_file_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever replaces a file writes another first; looking at the whole folder for that would cost all its files."""
    looked: list[set[str]] = []
    look = MachineList.look

    def noted(self: MachineList, touched: Iterable[str] = (), writing: Collection[str] = ()) -> News:
        looked.append({Path(name).name for name in touched})
        return look(self, touched, writing)

    monkeypatch.setattr(MachineList, "look", noted)
    (tmp_path / "a.yaml").write_text(text("a"))
    async with running(MachinesRegistry(tmp_path, DOMAIN, look_again=600.0)) as sink:
        await sink.told("synced")
        await eventually_written(sink, tmp_path / "a.yaml", "10.0.0.1")
        looked.clear()
        for last, beside in enumerate(("a.yaml.new", "new", "#a.yaml"), 2):
            (tmp_path / beside).write_text(text("a", f"10.0.0.{last}"))
            (tmp_path / beside).replace(tmp_path / "a.yaml")
            (tmp_path / "a.txt").write_text("no manifest")
            await sink.sees({A: [f"10.0.0.{last}"]})
    assert looked
    assert all(names == {"a.yaml"} for names in looked)


async def test_the_kernel_is_enough_for_a_link_that_is_turned(tmp_path: Path) -> None:
    """A hidden link is no manifest, yet what lies behind it may be."""
    folder = tmp_path / "machines"
    for number in range(1, 3):
        (folder / f"..{number}").mkdir(parents=True)
        (folder / f"..{number}" / "a.yaml").write_text(text("a", f"10.0.0.{number}"))
        os.utime(folder / f"..{number}" / "a.yaml", (number, number))
    (folder / "..data").symlink_to("..1")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    async with running(MachinesRegistry(folder, DOMAIN, look_again=600.0)) as sink:
        await sink.told("synced")

        def noticed() -> None:
            (folder / "..new").symlink_to(
                "..2"
            )  # again and again: before the first watch is set up, nobody listens
            (folder / "..new").replace(folder / "..data")
            assert sink.services() == {A: ["10.0.0.2"]}

        await eventually(noticed, "the link is turned", timeout=DEADLINE, every=0.3)


async def eventually_written(sink: Recorder, file: Path, address: str) -> None:
    """Writes until it is noticed: before the first watch is set up, nobody listens."""

    def noticed() -> None:
        replace_file(file, text("a", address))
        assert sink.services() == {A: [address]}

    await eventually(noticed, f"{address} is noticed", timeout=DEADLINE, every=0.3)


def test_its_name_is_the_path_as_it_was_given() -> None:
    """Metrics and problems name the source as the operator does."""
    assert machines(Path("vms")).name == "machines:vms"
