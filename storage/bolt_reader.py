"""Reads a bbolt file out of bytes, trusting nothing that they say; see ``storage.bolt`` for the words."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from storage.bolt import (
    BRANCH,
    BRANCH_ELEMENT,
    BUCKET,
    CHECKSUM,
    IS_BUCKET,
    LEAF,
    LEAF_ELEMENT,
    MAGIC,
    META,
    META_FIELDS,
    PAGE,
    VERSION,
    checksum,
)

_SMALLEST_PAGE = 1024
_PAGE_SIZES = tuple(_SMALLEST_PAGE << shift for shift in range(15))


class BoltError(Exception):
    """The bytes are no bbolt file, or a damaged one; the message says which, without naming the file."""


class _Meta(NamedTuple):
    page_size: int
    root: int
    pages: int
    transaction: int


class _Page(NamedTuple):
    is_leaf: bool
    elements: int
    body: memoryview


class BoltReader:
    """The buckets of a file. Raises BoltError, then and while it is read."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._meta = _newest_meta(data)
        self._seen: set[int] = set()
        self._buckets: Mapping[bytes, bytes] = {
            key: value for flags, key, value in self._tree(self._meta.root) if flags & IS_BUCKET
        }

    def items(self, bucket: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in order, once; nothing if there is no such bucket. Buckets inside buckets are left out."""
        header = self._buckets.get(bucket)
        if header is None:
            return
        if len(header) < BUCKET.size:
            raise BoltError(f"the bucket {bucket!r} has no whole header")
        root, _ = BUCKET.unpack_from(header)
        found = self._tree(root) if root else _elements(_inline(memoryview(header)[BUCKET.size :]))
        before = b""
        for flags, key, value in found:
            if key <= before:
                raise BoltError(f"the keys of the bucket {bucket!r} are not in order")
            before = key
            if not flags & IS_BUCKET:
                yield key, value

    def _tree(self, root: int) -> Iterator[tuple[int, bytes, bytes]]:
        waiting = [root]
        while waiting:
            number = waiting.pop()
            page = self._page(number)
            if page.is_leaf:
                yield from _elements(page, number)
            else:
                waiting += reversed(_children(page, number))

    def _page(self, number: int) -> _Page:
        size, start = self._meta.page_size, number * self._meta.page_size
        if not 2 <= number < self._meta.pages or start + size > len(self._data):
            raise BoltError(f"page {number} is named, and the file ends before it")
        if number in self._seen:
            raise BoltError(f"page {number} is used twice")
        self._seen.add(number)
        found, flags, count, overflow = PAGE.unpack_from(self._data, start)
        end = start + (overflow + 1) * size
        if found != number or flags not in (BRANCH, LEAF) or end > len(self._data):
            raise BoltError(f"page {number} is not what it should be")
        return _Page(flags == LEAF, count, self._data[start:end])


def _newest_meta(data: memoryview) -> _Meta:
    first = _meta(data, 0)
    sizes = (first.page_size,) if first else _PAGE_SIZES
    second = next((found for size in sizes if (found := _meta(data, size)) and found.page_size == size), None)
    metas = [meta for meta in (first, second) if meta]
    if not metas:
        raise BoltError("it does not begin as a bbolt file does")
    return max(metas, key=lambda meta: meta.transaction)


def _meta(data: memoryview, start: int) -> _Meta | None:
    fields = start + PAGE.size
    end = fields + META_FIELDS.size
    if end + CHECKSUM.size > len(data):
        return None
    _, flags, _, _ = PAGE.unpack_from(data, start)
    magic, version, size, _, root, _, _, pages, transaction = META_FIELDS.unpack_from(data, fields)
    (said,) = CHECKSUM.unpack_from(data, end)
    if flags != META or magic != MAGIC or version != VERSION or size not in _PAGE_SIZES:
        return None
    if checksum(data[fields:end]) != said:
        return None
    return _Meta(size, root, pages, transaction)


def _inline(body: memoryview) -> _Page:
    if len(body) < PAGE.size:
        raise BoltError("an inline bucket has no whole page")
    _, flags, count, _ = PAGE.unpack_from(body)
    if flags != LEAF:
        raise BoltError("an inline bucket is no leaf")
    return _Page(is_leaf=True, elements=count, body=body)


def _elements(page: _Page, number: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
    body = page.body
    size = len(body)
    at = PAGE.size
    if at + page.elements * LEAF_ELEMENT.size > size:
        raise BoltError(f"page {number} has more elements than room")
    for flags, position, key_size, value_size in LEAF_ELEMENT.iter_unpack(
        body[at : at + page.elements * LEAF_ELEMENT.size]
    ):
        key = at + position
        value = key + key_size
        if value + value_size > size:
            raise BoltError(f"page {number} has an element beyond its end")
        yield flags, bytes(body[key:value]), bytes(body[value : value + value_size])
        at += LEAF_ELEMENT.size


def _children(page: _Page, number: int) -> list[int]:
    end = PAGE.size + page.elements * BRANCH_ELEMENT.size
    if end > len(page.body):
        raise BoltError(f"page {number} has more elements than room")
    return [child for _, _, child in BRANCH_ELEMENT.iter_unpack(page.body[PAGE.size : end])]
