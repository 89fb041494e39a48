"""HTTP answers: bodies, read whole and within a limit, and why there is none, in words for people.

A single ``read(n)`` of a stream gives what has arrived, which is the beginning of the body if the network is slow.
"""

import os
import re
import ssl
from socket import gaierror

import aiohttp

_ERRNO = re.compile(r"\[Errno (\d+)\]")
_CHUNK = 1 << 16


class TooLarge(Exception):  # noqa: N818 - it is named after what is the matter
    """The body has more bytes than are read."""


async def read_whole(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """All of the body. Raises TooLarge above ``most`` bytes, and aiohttp's ClientError."""
    data = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > most:
            answer.close()
            raise TooLarge
    return bytes(data)


async def read_start(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The body's first ``most`` bytes, or all of it. Raises aiohttp's ClientError."""
    data = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) >= most:
            answer.close()
            break
    return bytes(data[:most])


def plainly(error: Exception) -> str:
    """What is the matter, in the system's words rather than in those of Python."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not to be trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and not isinstance(cause, gaierror | ssl.SSLError):
        # Of several addresses that were tried, asyncio gives the numbers in the text alone.
        numbers = [cause.errno] if cause.errno else [int(each) for each in _ERRNO.findall(str(cause))]
        if numbers:
            return " and ".join(dict.fromkeys(os.strerror(each) for each in numbers)).lower()
    said = cause.strerror if isinstance(cause, gaierror) else str(cause)
    return (said or str(error) or type(error).__name__).lower()
