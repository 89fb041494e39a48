"""Virtual hosts apart from their route configurations are the very hosts that stand inside them otherwise."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.golden import files
from tests.golden.mesh import AnyObject, Mesh, Outcome, compile_case, of_type, read_case
from tests.golden.strategies import MESHES, PROXIES
from tests.golden.test_random import QUICK
from xdsd.compile.names import discovered_route_name
from xdsd.model.mesh import MeshSettings
from xdsd.snapshot import LISTENER, ROUTE, VIRTUAL_HOST, Resource

Hosts = Mapping[str, Mapping[tuple[str, ...], bytes]]
"""What route configurations do with which domains."""


def inside(resources: Iterable[Resource]) -> Hosts:
    return {table.name: _by_domains(table.virtual_hosts) for table in of_type(resources, ROUTE)}


def apart(resources: Iterable[Resource]) -> Hosts:
    """The same of a proxy that discovers hosts; tables that have them inside all the same are there too."""
    resources = tuple(resources)
    found: dict[str, Mapping[tuple[str, ...], bytes]] = {}
    hosts = of_type(resources, VIRTUAL_HOST)
    owners = {host.name.rpartition("/")[0] for host in hosts}
    for table in of_type(resources, ROUTE):
        if not table.HasField("vhds"):
            found[table.name] = _by_domains(table.virtual_hosts)
            continue
        assert not table.virtual_hosts
        assert table.vhds.config_source.HasField("ads")
        mine = [host for host in hosts if host.name.rpartition("/")[0] == table.name]
        assert mine, f"{table.name} would never be ready"
        found[table.name.removesuffix(".vhds")] = _by_domains(mine)
    assert owners <= {discovered_route_name(name) for name in found}
    return found


def _by_domains(hosts: Iterable[Any]) -> Mapping[tuple[str, ...], bytes]:
    """Hosts less their names, encoded. Any: generated messages."""
    found: dict[tuple[str, ...], bytes] = {}
    for host in hosts:
        host.ClearField("name")
        domains = tuple(sorted(domain.lower() for domain in host.domains))
        host.ClearField("domains")
        assert domains not in found
        found[domains] = host.SerializeToString(deterministic=True)
    return found


def others(resources: Iterable[Resource]) -> set[tuple[str, str, bytes]]:
    """All but routes, and what listeners call them."""
    return {
        (each.type_url, each.name, each.body)
        for each in resources
        if each.type_url not in (ROUTE, VIRTUAL_HOST, LISTENER)
    }


def same(whole: Outcome, discovered: Outcome) -> None:
    assert whole.problems == discovered.problems
    for proxy, resources in whole.resources.items():
        assert inside(resources) == apart(discovered.resources[proxy])
        assert others(resources) == others(discovered.resources[proxy])
        listeners = {each.name for each in resources if each.type_url == LISTENER}
        assert listeners == {each.name for each in discovered.resources[proxy] if each.type_url == LISTENER}


@pytest.mark.parametrize("file", files.inputs(), ids=lambda file: file.stem)
def test_no_host_is_lost_or_changed_by_being_discovered(file: Path) -> None:
    """In every mesh that people reviewed."""
    case = read_case(file)
    whole, discovered = (
        compile_case(replace(case, settings=replace(case.settings, vhds=vhds))) for vhds in (False, True)
    )
    same(whole, discovered)


@settings(QUICK, max_examples=60)
@given(MESHES)
def test_no_host_of_any_mesh_is_lost_or_changed(objects: list[AnyObject]) -> None:
    """In meshes that nobody thought of, put together one object at a time."""
    outcomes = []
    for vhds in (False, True):
        mesh = Mesh(MeshSettings(vhds=vhds))
        for name, node in PROXIES.items():
            mesh.attach(name, replace(node, user_agent="envoy", version="1.40.0", incremental=True))
        for obj in objects:
            mesh.put([obj])
            mesh.settle()
        outcomes.append(mesh.settle())
    same(*outcomes)
