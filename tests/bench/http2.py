"""As much of HTTP/2 and gRPC as a client of one bidirectional stream needs, by hand and cheap.

Headers are literals without Huffman coding or indexing. Windows are opened as far as they go at the start, so received
data needs no bookkeeping; what is sent stays below the server's first window.
"""

import struct
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
_LARGEST_FRAME = 16_384
_WIDEST = (1 << 31) - 1


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def opening(path: str, authority: str) -> bytes:
    """What a client sends first: preface, settings, windows and the headers of stream 1."""
    headers = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "bench"),
    )
    block = b"".join(b"\x00" + _string(name.encode()) + _string(value.encode()) for name, value in headers)
    settings = struct.pack(">HIHI", 4, _WIDEST, 5, (1 << 24) - 1)
    return (
        PREFACE
        + frame(SETTINGS, 0, 0, settings)
        + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDEST - 65_535))
        + frame(HEADERS, END_HEADERS, 1, block)
    )


def _string(text: bytes) -> bytes:
    if len(text) > 126:
        raise ValueError("longer than one length byte")
    return bytes((len(text),)) + text


def message(payload: bytes) -> bytes:
    """A gRPC message as DATA frames of stream 1."""
    data = b"\x00" + struct.pack(">I", len(payload)) + payload
    return b"".join(
        frame(DATA, 0, 1, data[at : at + _LARGEST_FRAME]) for at in range(0, len(data), _LARGEST_FRAME)
    )


class Inbound:
    """Turns received bytes into gRPC messages. ``replies`` are bytes that must be sent back; ``over`` is set when the
    stream or the connection ended.
    """

    __slots__ = ("_data", "_raw", "over", "replies")

    def __init__(self) -> None:
        self._raw = bytearray()
        self._data = bytearray()
        self.replies = b""
        self.over = False

    def feed(self, received: bytes) -> Iterator[bytes]:
        raw = self._raw
        raw += received
        at = 0
        while len(raw) - at >= 9:
            size = raw[at] << 16 | raw[at + 1] << 8 | raw[at + 2]
            if len(raw) - at - 9 < size:
                break
            kind, flags = raw[at + 3], raw[at + 4]
            if kind == DATA:
                self._data += memoryview(raw)[at + 9 : at + 9 + size]
            else:
                self._control(kind, flags, bytes(raw[at + 9 : at + 9 + size]))
            at += 9 + size
        del raw[:at]
        data = self._data
        while len(data) >= 5:
            size = int.from_bytes(data[1:5], "big")
            if len(data) < 5 + size:
                break
            yield bytes(data[5 : 5 + size])
            del data[: 5 + size]

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self.replies += frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self.replies += frame(PING, ACK, 0, payload)
        elif kind in (RST_STREAM, GOAWAY) or (kind == HEADERS and flags & END_STREAM):
            self.over = True
