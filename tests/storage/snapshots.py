"""Snapshots for tests, and a real etcd made of one."""

from hypothesis import strategies as some

from storage.base import KeyValue
from storage.snapshot_file import Snapshot, SnapshotLease

TEN_THOUSAND = Snapshot(
    20_005,
    (
        *(
            KeyValue(
                b"/xdsd/objects/%05d" % number,
                b"v" * (number % 700),
                2 + number // 2,
                2 + number,
                1 + number % 3,
            )
            for number in range(10_000)
        ),
        KeyValue(b"/xdsd/z", b"x" * 1_048_576, 5, 20_000, 2, 77),
    ),
    (SnapshotLease(77, 600),),
)
"""10,000 keys and one value of 1 MiB."""


@some.composite
def snapshots(draw: some.DrawFn) -> Snapshot:
    """Any snapshot that a store could have."""
    leases = draw(some.dictionaries(some.integers(1, 2**63 - 1), some.integers(1, 10**9), max_size=4))
    keys = draw(some.sets(some.binary(min_size=1, max_size=60), max_size=40))
    kvs = []
    for key in sorted(keys):
        created = draw(some.integers(2, 10**6))
        modified = draw(some.integers(created, 10**7))
        version = draw(some.integers(1, modified - created + 1))
        value = draw(some.binary(max_size=100)) * draw(some.sampled_from((1, 1, 1, 100)))
        lease = draw(some.sampled_from((0, *leases)))
        kvs.append(KeyValue(key, value, created, modified, version, lease))
    newest = max((kv.mod_revision for kv in kvs), default=1)
    granted = tuple(SnapshotLease(*lease) for lease in sorted(leases.items()))
    return Snapshot(newest + draw(some.integers(0, 5)), tuple(kvs), granted)
