"""How Envoy divides requests, and where traffic for a name of all meshes would go."""

import pytest

from tests.compile.test_everywhere import KEY, here, mesh, rule, there
from xdsd.compile.layers.traffic import NEVER, Way
from xdsd.compile.shares import Row, priority_loads, shares
from xdsd.model.catalog import Health


@pytest.mark.parametrize(
    ("healths", "loads"),
    [
        ([(1, 1), (1, 1)], [100, 0]),
        ([(0, 1), (1, 1)], [0, 100]),
        ([(1, 2), (2, 2)], [70, 30]),
        ([(3, 4), (1, 1)], [100, 0]),
        ([(1, 4), (1, 4)], [50, 50]),
        ([(0, 0), (0, 2)], [0, 0]),
        ([], []),
    ],
)
def test_a_priority_takes_what_it_can_bear(healths: list[tuple[int, int]], loads: list[float]) -> None:
    """As Envoy documents it: 140 % of the share that is well, the rest goes on; all of what is left if nothing suffices."""
    assert priority_loads(healths) == pytest.approx(loads)


def test_within_a_priority_weights_count_and_ill_endpoints_do_not() -> None:
    """A locality that has a weight of its own divides that."""
    plain = [Row(0, "a", 3, True), Row(0, "a", 1, True), Row(0, "b", 9, False)]
    assert shares(plain) == pytest.approx([75, 25, 0])
    weighted = [Row(0, "a", 1, True, 80), Row(0, "b", 1, True, 20), Row(0, "b", 3, True, 20)]
    assert shares(weighted) == pytest.approx([80, 5, 15])


def test_traffic_is_told_as_a_proxy_there_would_be() -> None:
    """This mesh first; when it is ill, the peer; what a rule leaves out gets nothing whatever happens."""
    made = mesh(here(), there(weight=5))
    made.settle()

    def ways() -> tuple[Way, ...]:
        return made.compiler.traffic(KEY, "default", "eu/a")

    assert ways() == (Way("", "eu/a", 1, 1, 1, 0, 100.0), Way("east", "us/a", 1, 1, 5, 1, 0.0))
    made.compiler.world.put_endpoints(KEY, (here(health=Health.UNHEALTHY), there(weight=5)))
    made.settle()
    assert ways() == (Way("", "eu/a", 0, 1, 0, 0, 0.0), Way("east", "us/a", 1, 1, 5, 1, 100.0))
    made.put_object(
        rule({"loadBalancer": {"localityLbSetting": {"distribute": [{"from": "*", "to": {"us": 100}}]}}})
    )
    made.settle()
    assert ways() == (Way("east", "us/a", 1, 1, 5, 0, 100.0), Way("", "eu/a", 0, 0, 0, NEVER, 0.0))
