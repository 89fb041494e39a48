"""The command line of the daemon, and how settings reach its parts. Its life as a process is tests/e2e/test_process.py."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from storage.base import Corrupted, FutureRevision, StorageError
from xdsd.__main__ import main
from xdsd.compile.admissible import admissible
from xdsd.config import load
from xdsd.daemon.reloading import RELOADABLE
from xdsd.manifest import AnyObject, parse_object
from xdsd.model.intent import Metadata, Object, Sidecar
from xdsd.model.problem import Severity
from xdsd.parts import intent_rules, mesh_settings, registries, server_settings, settling
from xdsd.server.quotas import Allowance
from xdsd.settings import Settings, settings


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings."""
    for name in [name for name in os.environ if name.startswith("XDSD_")]:
        monkeypatch.delenv(name)


def xdsd(*words: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="xdsd", env=env)


def options(*flags: tuple[str, object]) -> Settings:
    return load(None, {}, {"state_dir": "/nowhere", **dict(flags)})


def test_the_version_is_the_packages() -> None:
    """One line, as scripts read it."""
    assert xdsd("--version").output == f"xdsd {version('xdsd')}\n"


def test_there_are_four_commands() -> None:
    """Each says in a line what it does, and its help needs no daemon."""
    help_text = xdsd("--help").output
    for command in ("serve", "check-config", "new-ca", "demo"):
        assert f"  {command} " in help_text
        assert xdsd(command, "-h").exit_code == 0


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_every_setting_is_a_flag_with_help(command: str) -> None:
    """The flags are made from the settings, so that none is forgotten."""
    help_text = xdsd(command, "--help").output
    assert "--config" in help_text
    for setting in settings():
        assert setting.flag in help_text
        assert setting.help.split()[0] in help_text


def test_checked_settings_are_printed_as_a_file_that_gives_the_same(tmp_path: Path) -> None:
    """Flags, environment and file joined, in rising order file, environment, flag."""
    file = tmp_path / "xdsd.yaml"
    file.write_text(f"state-dir: {tmp_path}\nsettle-quiet: 1ms\nsettle-max: 2ms\nmax-streams: 3\n")
    environment = {"XDSD_SETTLE_MAX": "20ms", "XDSD_MAX_STREAMS": "4"}
    printed = xdsd("check-config", "--config", file, "--max-streams", "5", env=environment)
    assert printed.exit_code == 0
    found = yaml.safe_load(printed.output)
    assert (found["settle-quiet"], found["settle-max"], found["max-streams"]) == ("1ms", "20ms", 5)
    file.write_text(printed.output)
    assert xdsd("check-config", "--config", file).output == printed.output


def test_the_config_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    """As a service's unit does it."""
    file = tmp_path / "xdsd.yaml"
    file.write_text("mesh-domain: example.org\n")
    assert "mesh-domain: example.org\n" in xdsd("check-config", env={"XDSD_CONFIG": str(file)}).output


def test_registries_may_be_given_several_times(tmp_path: Path) -> None:
    """All are kept in their order, and one is made of each."""
    words = ("--registry", f"machines:{tmp_path}/a", "--registry", f"machines:{tmp_path}/b")
    found = yaml.safe_load(xdsd("check-config", *words).output)["registry"]
    assert found == [f"machines:{tmp_path}/a", f"machines:{tmp_path}/b"]
    assert [each.name for each in registries(options(("registry", tuple(found))))] == found


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_wrong_settings_end_with_2_and_are_all_named(tmp_path: Path, command: str) -> None:
    """Each with the place where it was given, in one go, before anything is made."""
    file = tmp_path / "xdsd.yaml"
    file.write_text("settle-quiet: soon\nno-such: 1\n")
    state = tmp_path / "state"
    words = ("--config", file, "--state-dir", state, "--xds-address", "0.0.0.0:15010")
    result = xdsd(command, *words, env={"XDSD_MAX_STREAMS": "none"})
    assert (result.exit_code, result.stdout) == (2, "")
    said = result.stderr.splitlines()
    for start in (
        f"{file}:1: settle-quiet: ",
        f"{file}:2: no-such: ",
        "XDSD_MAX_STREAMS: ",
        "--xds-address: ",
    ):
        assert any(line.startswith(f"xdsd: {start}") for line in said), (start, said)
    assert len(said) == 4
    assert not state.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--no-such-flag", "1"),
        ("serve", "--log-level", "loud"),
        ("serve", "surplus"),
        ("no-such-command",),
    ],
)
def test_wrong_usage_ends_with_2(words: Sequence[str]) -> None:
    """As every command line does."""
    result = xdsd(*words)
    assert result.exit_code == 2
    assert result.stderr


def test_a_config_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A sentence, not a traceback."""
    result = xdsd("check-config", "--config", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert f"{tmp_path}/none.yaml" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_settings_reach_the_mesh() -> None:
    """What the compiler and the reconciling loop go by."""
    given = options(
        ("outbound_traffic_policy", "REGISTRY_ONLY"),
        ("mesh_domain", "example.org"),
        ("root_namespace", "root"),
        ("settle_quiet", "7ms"),
        ("settle_max", "1s"),
    )
    mesh = mesh_settings(given)
    assert (mesh.allow_any, mesh.domain, mesh.root_namespace) == (False, "example.org", "root")
    assert (settling(given).quiet, settling(given).longest) == (0.007, 1.0)
    assert mesh_settings(options()).allow_any


def test_settings_reach_the_server() -> None:
    """Limits of streams, names, requests and descriptions, and how long an answer is waited for."""
    given = options(
        *(("max_streams", 5), ("max_subscriptions", 6), ("max_message_size", "1MiB"), ("ack_wait", "3s")),
        *(("max_streams_per_proxy", 7), ("max_streams_per_identity", 8)),
        *(("max_subscriptions_per_identity", 9), ("max_request_rate", 3)),
        ("max_descriptions_per_identity", 4),
    )
    made = server_settings(given)
    assert (made.streams_a_node, made.allowance) == (7, Allowance(8, 9, 3, 4))
    assert (made.streams, made.limits.names, made.request_bytes) == (5, 6, 1 << 20)
    assert (made.timing.accept, made.timing.gate) == (3.0, 3.0)


def test_what_can_be_reloaded_is_what_the_mesh_goes_by() -> None:
    """Each of these settings changes something that a reload hands over; all others do not."""
    others = {
        "settle_quiet": timedelta(milliseconds=1),
        "settle_max": timedelta(seconds=9),
        "outbound_traffic_policy": "REGISTRY_ONLY",
        "root_namespace": "other",
        "system_ca": "/etc/pki/tls/certs/ca-bundle.crt",
        "virtual_hosts": "discovered",
        "dns_resolvers": "10.0.0.2",
    }
    assert others.keys() == RELOADABLE
    before = options()
    for name, value in others.items():
        after = load(None, {}, {"state_dir": "/nowhere", name: value})
        assert (mesh_settings(after), settling(after)) != (mesh_settings(before), settling(before)), name


def made(kind: str, name: str, spec: Mapping[str, Any]) -> AnyObject:
    """An object as the admin API makes it; Any: objects nest freely."""
    value = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    found = parse_object(value)
    assert not isinstance(found, list), found
    return found


def test_what_only_the_compiler_can_tell_is_asked_before_an_object_is_kept() -> None:
    """A fault that no request has is found; objects of other kinds are nobody's here."""
    rule = {"route": [{"destination": {"host": "reviews"}}], "fault": {"delay": {"fixedDelay": "1s"}}}
    (problem,) = admissible(made("VirtualService", "a", {"hosts": ["reviews"], "http": [rule]}))
    assert str(problem).startswith("VirtualService default/a spec.http[0].fault.delay.percentage: no request")
    assert admissible(made("DestinationRule", "a", {"host": "reviews"})) == []


@pytest.mark.parametrize(
    "fault", [FutureRevision("no"), Corrupted("the file is damaged")], ids=["one", "two"]
)
def test_a_store_that_fails_while_it_runs_ends_it_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: StorageError
) -> None:
    """As it does at the start, though the error comes out of a group of tasks."""

    async def serve(*_: object) -> None:
        async with asyncio.TaskGroup() as tasks, asyncio.TaskGroup() as inner:
            tasks.create_task(asyncio.Event().wait())
            inner.create_task(_raise(fault))

    monkeypatch.setattr("xdsd.__main__.serve", serve)
    monkeypatch.setattr("faulthandler.enable", lambda: None)
    result = xdsd("serve", "--state-dir", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"xdsd: {fault}")
    assert result.stderr.count("\n") == 1


def test_a_fault_that_nobody_foresaw_is_told_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A fault of our own beside the store's is not hidden behind a sentence."""

    async def serve(*_: object) -> None:
        raise ExceptionGroup("tasks", [FutureRevision("no"), ZeroDivisionError("oops")])

    monkeypatch.setattr("xdsd.__main__.serve", serve)
    monkeypatch.setattr("faulthandler.enable", lambda: None)
    assert isinstance(xdsd("serve", "--state-dir", tmp_path).exception, ExceptionGroup)


async def _raise(error: Exception) -> None:
    raise error


def test_a_new_ca_is_begun_where_it_is_meant(tmp_path: Path) -> None:
    """Without a CA, or for another trust domain, nothing is changed, and it is said why."""
    words = ("new-ca", "--state-dir", tmp_path, "--xds-tls-address", "127.0.0.1:15012")
    found = xdsd(*words)
    assert (found.exit_code, "the store has no CA" in found.output) == (1, True)
    found = xdsd(*words, "--begin", "other.example")
    assert "write --begin cluster.local" in found.output
    found = xdsd(*words, "--ca-cert", "/c", "--ca-key", "/k")
    assert "is not in the store" in found.output


def test_objects_that_lead_to_admin_pages_are_inadmissible_where_it_is_known_where_these_are() -> None:
    """The port is asked for each object, as the MeshConfig may change."""
    port = {"number": 80, "name": "http"}
    spec = Sidecar.model_validate({"ingress": [{"port": port, "defaultEndpoint": "127.0.0.1:15999"}]})
    obj = Object("networking.istio.io/v1", "Sidecar", Metadata("default", "a"), spec)
    ports = [15999, 15000]
    rules = intent_rules(lambda: "istio-system", ports.pop)
    assert [problem for rule in rules for problem in rule(obj)] == []
    (problem,) = [problem for rule in rules for problem in rule(obj)]
    assert (problem.path, problem.severity) == ("spec.ingress[0].defaultEndpoint", Severity.ERROR)
    assert [problem for rule in intent_rules(lambda: "istio-system") for problem in rule(obj)] == []
