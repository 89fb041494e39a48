"""Meshes that nobody thought of."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.golden.loading import load
from tests.golden.mesh import AnyObject, Mesh, Outcome
from tests.golden.strategies import MESHES, PROXIES, SPECS
from xdsd.snapshot import Resource

QUICK = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def compiled(objects: list[AnyObject]) -> Outcome:
    mesh = Mesh()
    mesh.put(objects)
    for name, node in PROXIES.items():
        mesh.attach(name, node)
    return mesh.settle()


@pytest.mark.e2e
def test_envoy_takes_whatever_valid_objects_compile_to() -> None:
    """Random objects of all kinds, in all kinds of conflict: no resource of theirs is one that Envoy refuses."""
    served: dict[str, tuple[Resource, ...]] = {}
    kinds: Counter[str] = Counter()

    @settings(QUICK, max_examples=250, phases=[Phase.generate])
    @given(MESHES)
    def gather(objects: list[AnyObject]) -> None:
        kinds.update(obj.kind for obj in objects)
        for name, resources in compiled(objects).resources.items():
            served[f"{len(served)} {name} of {objects}"] = resources

    gather()
    assert min(kinds[kind] for kind in SPECS) >= 40
    load(served)


@settings(QUICK, max_examples=150)
@given(MESHES, st.randoms(use_true_random=False), st.data())
def test_a_mesh_is_the_same_however_it_came_about(
    objects: list[AnyObject], random: Any, data: st.DataObject
) -> None:
    """Objects that come and go one at a time, in any order, leave what a fresh start makes, problems included."""
    mesh = Mesh()
    for name, node in PROXIES.items():
        mesh.attach(name, node)
    mesh.settle()
    arriving = list(objects)
    random.shuffle(arriving)
    for obj in arriving:
        mesh.put([obj])
        mesh.settle()
    leaving = data.draw(st.lists(st.sampled_from(objects), max_size=4)) if objects else []
    gone = {obj.ref for obj in leaving}
    for ref in gone:
        mesh.drop([ref])
        mesh.settle()
    assert mesh.settle() == compiled([obj for obj in objects if obj.ref not in gone])
