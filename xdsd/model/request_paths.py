"""How proxies normalize the paths of requests before policies see them."""

import re

from xdsd.model.intent import PathNormalizationType

_SLASHES = re.compile("%(2f|5c)", re.IGNORECASE)
_ESCAPE = re.compile("%([0-9a-fA-F]{2})")
_ESCAPED = frozenset(' "<>^`{|}')
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normalized(
    target: str, how: PathNormalizationType = PathNormalizationType.DECODE_AND_MERGE_SLASHES
) -> str | None:
    """The path that policies see of a request's target, without its query; None for one that is refused with 400."""
    if "#" in target:
        return None
    path = target.partition("?")[0]
    if how is PathNormalizationType.NONE:
        return path
    if how is PathNormalizationType.DECODE_AND_MERGE_SLASHES:
        path = _SLASHES.sub(lambda found: "/" if found[1].lower() == "2f" else "\\", path)
    if "%00" in path:
        return None
    path = _without_dots(_escapes(path.replace("\\", "/")))
    if how in (PathNormalizationType.MERGE_SLASHES, PathNormalizationType.DECODE_AND_MERGE_SLASHES):
        path = re.sub("//+", "/", path)
    return path


def _escapes(path: str) -> str:
    """What needs no escape has none, what needs one has one; others stay as they are."""

    def plain(found: re.Match[str]) -> str:
        char = chr(int(found[1], 16))
        return char if char in _UNRESERVED else found[0]

    escaped = "".join(f"%{ord(char):02X}" if char in _ESCAPED else char for char in path)
    return _ESCAPE.sub(plain, escaped)


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
            continue
        if last:
            kept.append("")
    return "/" + "/".join(kept)
