"""``xdsctl global``: names of all meshes, what is where, and where traffic would go."""

import json

import pytest

from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.test_access import run
from xdsd.compile.layers.traffic import NEVER, Way
from xdsd.model.catalog import Port, Protocol, Service
from xdsd.registry.base import CatalogChange


@pytest.fixture
def filled(server: Daemon, xdsctl: Xdsctl) -> Xdsctl:
    ports = (Port(80, "http", Protocol.HTTP, 8080),)
    hosts = ("cart.shop.global", "cart.shop.svc.cluster.local", "till.shop.global")
    services = (
        *(Service("shop", host, ports) for host in hosts),
        Service("bank", "vault.bank.global", ports),
    )
    server.mesh.catalog.apply("mesh:west", CatalogChange(services))
    server.mesh.ways = {
        ("shop", "eu/west"): (
            Way("", "eu/west", 1, 2, 3, 0, 70.0),
            Way("east", "us/east", 1, 1, 5, 1, 30.0),
            Way("north", "", 0, 0, 0, NEVER, 0.0),
        )
    }
    return xdsctl


def test_each_name_is_listed_with_what_is_where(filled: Xdsctl) -> None:
    """As seen from where clients are; peers by their names, this mesh as <here>."""
    lines = filled("global", "cart", "--from", "eu/west").stdout.splitlines()
    assert lines[0].split() == ["NAME", "MESH", "LOCALITY", "HEALTHY", "WEIGHT", "PRIORITY", "TRAFFIC"]
    assert [line.split() for line in lines[1:]] == [
        ["cart.shop.global", "<here>", "eu/west", "1/2", "3", "0", "70%"],
        ["cart.shop.global", "east", "us/east", "1/1", "5", "1", "30%"],
        ["cart.shop.global", "north", "-", "-", "-", "-", "0%"],
    ]


def test_data_has_all_of_it(filled: Xdsctl) -> None:
    """Names that are served nowhere are there too."""
    found = json.loads(filled("global", "-n", "shop", "--from", "eu/west", "-o", "json").stdout)["names"]
    assert [each["host"] for each in found] == ["cart.shop.global", "till.shop.global"]
    assert found[0]["places"][1] == {
        "peer": "east", "locality": "us/east", "healthy": 1, "total": 1, "weight": 5, "priority": 1, "percent": 30.0,
    }  # fmt: skip
    assert "<none>" in filled("global", "vault.bank.global").stdout


def test_a_name_that_is_not_there_is_a_failure(filled: Xdsctl) -> None:
    """It says where to look."""
    result = filled("global", "nothing")
    assert result.exit_code == 1
    assert 'there is no global name "nothing"' in result.stderr


def test_a_caller_sees_the_names_of_its_namespaces(server: Daemon, filled: Xdsctl) -> None:
    """Nor may it ask for clients of namespaces that it may not read."""
    assert filled("global").exit_code == 0
    token = with_token(server, "ada", binding("viewer", "bank")).token
    found = json.loads(run(server, "global", "-o", "json", TOKEN=token).stdout)["names"]
    assert [each["host"] for each in found] == ["vault.bank.global"]
    assert run(server, "global", "--client-namespace", "shop", TOKEN=token).exit_code == 1
