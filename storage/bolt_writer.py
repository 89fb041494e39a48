"""Writes a bbolt file as bytes; see ``storage.bolt`` for the words.

Pages are filled from left to right and never change again: leaves first, then the branches above them, bucket by bucket,
and the root bucket last. Every bucket has pages of its own, and no page is free.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from storage.bolt import (
    BRANCH,
    BRANCH_ELEMENT,
    BUCKET,
    CHECKSUM,
    FREELIST,
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

PAGE_SIZE: Final = 4096

_FREELIST_PAGE = 2
_FIRST_PAGE = 3


class _Element(NamedTuple):
    """``number`` is a leaf's flags or a branch's page; a branch's element has no value."""

    number: int
    key: bytes
    value: bytes = b""


def bolt_file(buckets: Mapping[bytes, Iterable[tuple[bytes, bytes]]]) -> bytes:
    """A file with these buckets; the items of each have ascending keys, none of them empty."""
    pages = _Pages()
    roots = {
        name: pages.tree([_Element(0, key, value) for key, value in items]) for name, items in buckets.items()
    }
    root = pages.tree([_Element(IS_BUCKET, name, BUCKET.pack(roots[name], 0)) for name in sorted(roots)])
    metas = [_meta(number, root, pages.count) for number in range(2)]
    return b"".join((*metas, _padded(PAGE.pack(_FREELIST_PAGE, FREELIST, 0, 0)), *pages.written))


class _Pages:
    """The pages from ``_FIRST_PAGE`` on."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.count = _FIRST_PAGE

    def tree(self, elements: Sequence[_Element]) -> int:
        """Writes a tree; the page of its root."""
        level = [self._write(LEAF, group, _leaf_body(group)) for group in _leaves(elements)]
        while len(level) > 1:
            level = [self._write(BRANCH, group, _branch_body(group)) for group in _branches(level)]
        return level[0].number

    def _write(self, kind: int, group: Sequence[_Element], body: bytes) -> _Element:
        """Writes a page; the element by which a branch finds it."""
        number, overflow = self.count, (PAGE.size + len(body) - 1) // PAGE_SIZE
        self.written.append(_padded(PAGE.pack(number, kind, len(group), overflow) + body))
        self.count += overflow + 1
        return _Element(number, group[0].key if group else b"")


def _leaves(elements: Sequence[_Element]) -> Iterable[Sequence[_Element]]:
    """As many elements as fit a page, one that does not fit alone; one empty group if there are none."""
    group: list[_Element] = []
    used = PAGE.size
    for element in elements:
        size = LEAF_ELEMENT.size + len(element.key) + len(element.value)
        if group and used + size > PAGE_SIZE:
            yield group
            group, used = [], PAGE.size
        group.append(element)
        used += size
    yield group


def _branches(elements: Sequence[_Element]) -> Iterable[Sequence[_Element]]:
    """Groups of about one size, so that each has two at least, as bbolt wants it."""
    longest = max(len(element.key) for element in elements)
    most = max((PAGE_SIZE - PAGE.size) // (BRANCH_ELEMENT.size + longest), 2)
    groups = -(-len(elements) // most)
    for group in range(groups):
        yield elements[group * len(elements) // groups : (group + 1) * len(elements) // groups]


def _leaf_body(group: Sequence[_Element]) -> bytes:
    heads: list[bytes] = []
    data: list[bytes] = []
    position = len(group) * LEAF_ELEMENT.size
    for flags, key, value in group:
        heads.append(LEAF_ELEMENT.pack(flags, position, len(key), len(value)))
        data += (key, value)
        position += len(key) + len(value) - LEAF_ELEMENT.size
    return b"".join(heads + data)


def _branch_body(group: Sequence[_Element]) -> bytes:
    heads, data = [], []
    position = len(group) * BRANCH_ELEMENT.size
    for page, key, _ in group:
        heads.append(BRANCH_ELEMENT.pack(position, len(key), page))
        data.append(key)
        position += len(key) - BRANCH_ELEMENT.size
    return b"".join(heads + data)


def _meta(number: int, root: int, pages: int) -> bytes:
    fields = META_FIELDS.pack(MAGIC, VERSION, PAGE_SIZE, 0, root, 0, _FREELIST_PAGE, pages, number)
    return _padded(PAGE.pack(number, META, 0, 0) + fields + CHECKSUM.pack(checksum(fields)))


def _padded(page: bytes) -> bytes:
    return page + bytes(-len(page) % PAGE_SIZE)
