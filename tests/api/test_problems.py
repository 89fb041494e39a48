"""Problems, by who may see them."""

import grpc
import pytest

from api.access.caller import Binding, Caller, Method, Refused, Role, enter
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services.daemon import ProblemsService
from storage.memory import MemoryStore
from tests.api.daemon import FakeMesh
from tests.xdsctl.manifests import REVIEWS
from xdsd.intents import Intents
from xdsd.manifest import parse_manifest
from xdsd.model.problem import ObjectRef, Problem, Reason


@pytest.fixture
async def service() -> ProblemsService:
    """Objects in two namespaces, each with two broken references, and a problem of no object."""
    intents = Intents(MemoryStore())
    for namespace in ("default", "prod"):
        parsed = parse_manifest(REVIEWS.encode(), "reviews.yaml", default_namespace=namespace)
        await intents.apply([each.object for each in parsed.objects], now="2026-01-02T03:04:05Z")
    mesh = FakeMesh()
    mesh.found = [
        Problem(Reason.MALFORMED_FILE, "is not YAML", file="a.yaml"),
        Problem(Reason.CONFLICT, "is older", ObjectRef("Gateway", "prod", "door")),
    ]
    return ProblemsService(mesh, intents)


def call(role: Role | None, *namespaces: str) -> None:
    bindings = (Binding(role, frozenset(namespaces)),) if role else ()
    enter(Caller("jo", Method.TOKEN, bindings=bindings))


async def test_a_viewer_of_a_namespace_sees_its_problems_alone(service: ProblemsService) -> None:
    """Without asking for it by name, too; another one is refused, as is whoever may read nothing."""
    context: grpc.aio.ServicerContext[object, object] = None  # type: ignore[assignment]  # not looked at
    call(Role.VIEWER, "prod")
    analyzed = await service.Analyze(pb.ListProblemsRequest(), context)
    assert {each.object.namespace for each in analyzed.problems} == {"prod"}
    assert len(analyzed.problems) == 3
    listed = await service.List(pb.ListProblemsRequest(), context)
    assert [each.object.name for each in listed.problems] == ["door"]
    with pytest.raises(Refused, match="may not read objects"):
        await service.Analyze(pb.ListProblemsRequest(namespace="default"), context)
    call(None)
    with pytest.raises(Refused):
        await service.List(pb.ListProblemsRequest(), context)


async def test_a_viewer_of_all_namespaces_sees_everything(service: ProblemsService) -> None:
    """What is of no object as well."""
    context: grpc.aio.ServicerContext[object, object] = None  # type: ignore[assignment]  # not looked at
    call(Role.VIEWER)
    analyzed = await service.Analyze(pb.ListProblemsRequest(), context)
    assert len(analyzed.problems) == 6
    assert len((await service.Analyze(pb.ListProblemsRequest(namespace="default"), context)).problems) == 2
