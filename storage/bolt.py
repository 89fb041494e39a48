"""The file format of bbolt, in which etcd keeps its data: the layout that ``bolt_reader`` and ``bolt_writer`` share.

A file is pages of one size. The first two are *meta* pages, of which the valid one with the higher transaction id counts;
it names the page of the root *bucket*. A bucket is a tree of *branch* and *leaf* pages, sorted by key; in the root bucket
the values are the headers of further buckets, whose tree begins at a page of its own or, if it is small, stands *inline*
after the header. A page that needs more room has *overflow* pages behind it. All numbers are little-endian, as on every
machine that etcd supports.
"""

from struct import Struct
from typing import Final

MAGIC: Final = 0xED0CDAED
VERSION: Final = 2

BRANCH: Final = 0x01
LEAF: Final = 0x02
META: Final = 0x04
FREELIST: Final = 0x10

IS_BUCKET: Final = 0x01
"""The flag of a leaf's element whose value is a bucket's header."""

PAGE: Final = Struct("<QHHI")
"""A page's header: its number, what it is, how many elements it has, how many overflow pages."""
LEAF_ELEMENT: Final = Struct("<IIII")
"""Flags, where the key stands counted from here, the size of the key, and of the value that follows it."""
BRANCH_ELEMENT: Final = Struct("<IIQ")
"""Where the key stands counted from here, its size, and the page that begins with it."""
BUCKET: Final = Struct("<QQ")
"""A bucket's header: the page of its root, 0 if inline, and a sequence that etcd leaves at 0."""
META_FIELDS: Final = Struct("<IIIIQQQQQ")
"""Magic, version, page size, flags, the root bucket's header, the freelist's page, the count of pages, the transaction."""
CHECKSUM: Final = Struct("<Q")

_FNV_BASIS = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3


def checksum(data: bytes | memoryview) -> int:
    """FNV-1a of 64 bits, with which a meta page ends."""
    found = _FNV_BASIS
    for byte in data:
        found = (found ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return found
