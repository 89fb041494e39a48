"""A revisioned key-value store; it knows nothing of meshes.

The *contract* (``storage.base``) has etcd's semantics. ``storage.memory`` keeps everything in memory, for
tests; ``storage.embedded`` keeps it in one SQLite file. Both are an *engine* (``storage.engine``) over a
*ledger* (``storage.ledger``): the ledger remembers every version of every key, the engine decides
transactions, hands events to *watches*, and ends *leases*. A *revision* is the number of a write; history
before the *compacted* revision is let go.

A *snapshot* (``storage.snapshot_file``) is all that a store held at one revision, without history. Its file is
etcd's own, a bbolt database (``storage.bolt``) with a checksum; ``storage.snapshot_restore`` makes stores of
it.
"""
