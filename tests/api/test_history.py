"""The history, by who may see it and who may go back."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import grpc
import pytest

from api.access.caller import Binding, Caller, Method, Refused, Role, enter
from api.client import ApiError, Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services.history import HistoryService
from storage.memory import MemoryStore
from tests.api.daemon import Daemon
from tests.intents.objects import NOW, entry
from xdsd.intents import Intents
from xdsd.model.problem import ObjectRef

CONTEXT: grpc.aio.ServicerContext[object, object] = None  # type: ignore[assignment]  # not looked at


@pytest.fixture
async def intents() -> Intents:
    """Two writes in each of two namespaces."""
    intents = Intents(MemoryStore())
    for port in (1, 2):
        for namespace in ("default", "prod"):
            await intents.apply([entry("a", port=port, namespace=namespace)], now=NOW)
    return intents


@pytest.fixture
def service(intents: Intents) -> Iterator[HistoryService]:
    yield HistoryService(intents)
    call(None)


def call(role: Role | None, *namespaces: str) -> None:
    bindings = (Binding(role, frozenset(namespaces)),) if role else ()
    enter(Caller("jo", Method.TOKEN, "192.0.2.7:4000", bindings))


async def test_a_viewer_of_a_namespace_sees_its_records_alone(service: HistoryService) -> None:
    """As many as were asked for, and no word of others; another namespace is refused by name."""
    call(Role.VIEWER, "prod")
    listed = await service.List(pb.ListHistoryRequest(limit=1), CONTEXT)
    assert [(each.ref.namespace, each.revision) for each in listed.records] == [("prod", 5)]
    assert listed.more
    everything = await service.List(pb.ListHistoryRequest(), CONTEXT)
    assert ([each.revision for each in everything.records], everything.more) == ([5, 3], False)
    found = await service.Diff(pb.DiffRevisionsRequest(from_revision=1), CONTEXT)
    assert [each.ref.namespace for each in found.diffs] == ["prod"]
    for refused in (
        service.List(pb.ListHistoryRequest(namespace="default"), CONTEXT),
        service.Diff(pb.DiffRevisionsRequest(namespace="default"), CONTEXT),
    ):
        with pytest.raises(Refused, match="may not read objects"):
            await refused


async def test_who_may_write_may_go_back(service: HistoryService, intents: Intents) -> None:
    """A viewer may not, an editor may in its namespace; the record has its name and where it called from."""
    request = pb.RollbackRequest(
        ref=pb.ObjectRef(kind="ServiceEntry", namespace="prod", name="a"), revision=3
    )
    for role, namespace in ((Role.VIEWER, "prod"), (Role.EDITOR, "default")):
        call(role, namespace)
        with pytest.raises(Refused):
            await service.Rollback(request, CONTEXT)
    call(Role.EDITOR, "prod")
    response = await service.Rollback(request, CONTEXT)
    assert (response.accepted, response.revision) == (True, 6)
    listed = await service.List(pb.ListHistoryRequest(limit=1), CONTEXT)
    (record,) = listed.records
    assert (record.who, record.origin, record.rolled_back_to) == ("jo", "192.0.2.7:4000", 3)
    assert record.outcome == pb.OUTCOME_CONFIGURED
    assert abs(record.time.ToDatetime(tzinfo=UTC).timestamp() - datetime.now(UTC).timestamp()) < 60


async def test_who_may_nothing_sees_nothing(service: HistoryService) -> None:
    """Neither records nor differences."""
    call(None)
    with pytest.raises(Refused):
        await service.List(pb.ListHistoryRequest(), CONTEXT)
    with pytest.raises(Refused):
        await service.Diff(pb.DiffRevisionsRequest(), CONTEXT)


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda client: client.history(pb.ListHistoryRequest(kind="Pod")), "INVALID_ARGUMENT"),
        (lambda client: client.diff_revisions(pb.DiffRevisionsRequest(from_revision=99)), "OUT_OF_RANGE"),
        (lambda client: client.rollback(ObjectRef("Pod", "a", "b"), 1), "INVALID_ARGUMENT"),
    ],
)
def test_requests_that_cannot_be_meant(server: Daemon, ask: Callable[[Client], object], code: str) -> None:
    """Are refused with gRPC's word and a sentence."""
    with server.client() as client, pytest.raises(ApiError) as caught:
        ask(client)
    assert caught.value.code.name == code


def test_a_time_that_is_none(server: Daemon) -> None:
    """Seconds beyond what a time has are the caller's mistake."""
    request = pb.ListHistoryRequest()
    request.since_time.seconds = 1 << 60
    with server.client() as client, pytest.raises(ApiError, match="a time cannot be read") as caught:
        client.history(request)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
