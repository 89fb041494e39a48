"""Keys and values over the wire, where etcdctl does not go."""

import json

import grpc
import pytest
from aetcd import rpc

from tests.api.daemon import Daemon
from tests.api.etcd.calling import DEADLINE, Calling

ENTRY = b"/xdsd/objects/serviceentries.networking.istio.io/default/shop"
OBJECT = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {
        "hosts": ["shop.example.com"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
    },
}


def refused(caught: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str]:
    return caught.value.code(), caught.value.details() or ""


@pytest.mark.parametrize(
    ("bounds", "keys"),
    [
        ({"min_mod_revision": 4}, [b"/app/c", b"/app/a"]),
        ({"max_mod_revision": 4}, [b"/app/b", b"/app/c"]),
        ({"min_create_revision": 3, "limit": 1}, [b"/app/b"]),
        ({"sort_target": rpc.RangeRequest.VERSION, "sort_order": rpc.RangeRequest.DESCEND, "limit": 1}, [b"/app/a"]),
        ({"sort_target": rpc.RangeRequest.MOD}, [b"/app/b", b"/app/c", b"/app/a"]),
        ({"sort_target": rpc.RangeRequest.VALUE, "keys_only": True, "limit": 2}, [b"/app/c", b"/app/b"]),
    ],
)  # fmt: skip
def test_ranges_are_narrowed_and_sorted(client: Calling, bounds: dict[str, int], keys: list[bytes]) -> None:
    """Before the limit cuts them; the count is of all."""
    for key, value in ((b"/app/a", b"0"), (b"/app/b", b"2"), (b"/app/c", b"1"), (b"/app/a", b"3")):
        client.put(key, value)
    found = client.range(b"/app/", range_end=b"/app0", **bounds)
    listed = [kv.key for kv in found.kvs]
    assert sorted(listed) == sorted(keys)
    if "sort_target" in bounds:
        assert listed == keys
    assert found.count == 3
    assert found.more == ("limit" in bounds)
    assert all(not kv.value for kv in found.kvs) == bool(bounds.get("keys_only"))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (rpc.PutRequest(), "etcdserver: key is not provided"),
        (rpc.PutRequest(key=b"/app/a", value=b"1", ignore_value=True), "etcdserver: value is provided"),
        (rpc.PutRequest(key=b"/app/a", lease=1, ignore_lease=True), "etcdserver: lease is provided"),
        (rpc.PutRequest(key=b"/app/a", ignore_value=True), "etcdserver: key not found"),
        (rpc.PutRequest(key=b"/app/a", lease=7), "etcdserver: requested lease not found"),
        (rpc.PutRequest(key=b"/app/a", value=b"x" * 2_000_000), "etcdserver: request is too large"),
    ],
)
def test_refusals_have_etcds_words(client: Calling, request_: object, words: str) -> None:
    """Which its client libraries turn into their own errors."""
    with pytest.raises(grpc.RpcError) as caught:
        client.kv.Put(request_, timeout=DEADLINE)
    assert refused(caught)[1] == words


def test_the_past_and_the_future_have_etcds_words(client: Calling) -> None:
    """A read of either is out of range."""
    last = [client.put(b"/app/a", b"1").header.revision for _ in range(3)][-1]
    client.kv.Compact(rpc.CompactionRequest(revision=last), timeout=DEADLINE)
    for revision, words in ((last - 1, "has been compacted"), (last + 5, "is a future revision")):
        with pytest.raises(grpc.RpcError) as caught:
            client.range(b"/app/a", revision=revision)
        code, details = refused(caught)
        assert code is grpc.StatusCode.OUT_OF_RANGE
        assert details == f"etcdserver: mvcc: required revision {words}"


def test_odd_bytes_are_keys_too(client: Calling) -> None:
    """Of others: whatever is not empty."""
    key = b"/app/\x00\xff\xfe\n"
    client.put(key, b"\x00\xff")
    assert client.range(key).kvs[0].value == b"\x00\xff"
    assert client.delete(key).deleted == 1


def test_a_transaction_of_valid_and_invalid_objects_writes_nothing(server: Daemon, client: Calling) -> None:
    """The problem is that of the invalid one, as apply says it."""
    bad = {**OBJECT, "metadata": {"name": "bad", "namespace": "default"}, "spec": {"hosts": []}}
    puts = [
        rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=json.dumps(value).encode()))
        for key, value in ((ENTRY, OBJECT), (ENTRY.replace(b"shop", b"bad"), bad))
    ]
    with pytest.raises(grpc.RpcError) as caught:
        client.kv.Txn(rpc.TxnRequest(success=puts), timeout=DEADLINE)
    code, details = refused(caught)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "ServiceEntry default/bad spec.hosts" in details
    assert server.run(server.store.get(ENTRY)) is None


def test_remarks_come_back_with_the_write(client: Calling) -> None:
    """In the trailing metadata, since etcd's answers have no place for them."""
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "r", "namespace": "default"},
        "spec": {"hosts": ["r"], "http": [{"route": [{"destination": {"host": "r", "subset": "v9"}}]}]},
    }
    key = b"/xdsd/objects/virtualservices.networking.istio.io/default/r"
    request = rpc.PutRequest(key=key, value=json.dumps(route).encode())
    _, call = client.kv.Put.with_call(request, timeout=DEADLINE)
    told = [value for name, value in call.trailing_metadata() if name == "xdsd-warning-bin"]
    assert any(b"defines the subset 'v9'" in each for each in told)


def test_daemons_are_the_members(client: Calling) -> None:
    """Each with the addresses at which it serves."""
    (member,) = client.cluster.MemberList(rpc.MemberListRequest(), timeout=DEADLINE).members
    assert (member.ID, member.name) == (7, "one")
    assert (list(member.clientURLs), list(member.peerURLs)) == (
        ["unix:/admin.sock"],
        ["http://127.0.0.1:15010"],
    )


def test_equal_keys_have_equal_hashes(client: Calling) -> None:
    """The hash is of the keys as of a revision, whatever came after."""
    revision = client.put(b"/app/a", b"1").header.revision
    hashed = client.maintenance.HashKV(rpc.HashKVRequest(), timeout=DEADLINE).hash
    client.put(b"/app/a", b"2")
    assert client.maintenance.HashKV(rpc.HashKVRequest(), timeout=DEADLINE).hash != hashed
    assert client.maintenance.HashKV(rpc.HashKVRequest(revision=revision), timeout=DEADLINE).hash == hashed
