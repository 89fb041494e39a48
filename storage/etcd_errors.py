"""What etcd says when it does not do something, in the words of the contract."""

from enum import StrEnum

import grpc

from storage.base import (
    Compacted,
    Denied,
    Full,
    FutureRevision,
    InvalidRequest,
    KeyNotFound,
    LeaseExists,
    LeaseNotFound,
    StorageError,
    TooLarge,
    TooManyOperations,
    Unavailable,
    WrittenTwice,
)

Code = grpc.StatusCode

_WORDS: tuple[tuple[str, type[StorageError], str], ...] = (
    ("required revision is a future revision", FutureRevision, "the revision has not happened yet"),
    ("requested lease not found", LeaseNotFound, "the lease never was, was revoked, or has expired"),
    ("key not found", KeyNotFound, "there is no key of which anything could be kept"),
    ("lease already exists", LeaseExists, "a lease of this id exists already"),
    ("duplicate key given in txn request", WrittenTwice, "a transaction writes a key twice"),
    ("key is not provided", InvalidRequest, "a key cannot be empty"),
    ("value is provided", InvalidRequest, "a value is given, and it is to be kept; leave one of them out"),
    ("lease is provided", InvalidRequest, "a lease is given, and it is to be kept; leave one of them out"),
    ("too large lease TTL", InvalidRequest, "the lease is longer than etcd takes"),
    (
        "too many operations in txn request",
        TooManyOperations,
        "the transaction has more operations than this etcd takes (--max-txn-ops); write less at once",
    ),
    (
        "request is too large",
        TooLarge,
        "the write has more bytes than this etcd takes (--max-request-bytes, 1.5 MiB by default); write less at once",
    ),
    (
        "larger than max",
        TooLarge,
        "the write has more bytes than this etcd takes (--max-request-bytes, 1.5 MiB by default); write less at once",
    ),
    (
        "database space exceeded",
        Full,
        "etcd has no room (--quota-backend-bytes); what it holds can be read; compact, defragment and disarm its alarm",
    ),
    (
        "invalid user ID or password",
        Denied,
        "etcd does not know the user or the password; check store-user and store-password-file",
    ),
    ("user name is empty", Denied, "etcd wants a user; set store-user and store-password-file"),
    ("user name not found", Denied, "etcd does not know the user; check store-user"),
    (
        "permission denied",
        Denied,
        "etcd does not let our user do that; grant it readwrite on the prefix /xdsd/",
    ),
)

_UNREACHED: tuple[tuple[str, str], ...] = (
    (
        "certificate has expired",
        "its certificate has expired; let etcd have a new one, or set this machine's clock",
    ),
    ("certificate is not yet valid", "its certificate is not valid yet; set this machine's clock, or etcd's"),
    (
        "Hostname Verification Check failed",
        "its certificate is for another name; check the name in store, or etcd's",
    ),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate comes from no CA that is trusted here; check store-ca"),
    (
        "TSI_DATA_CORRUPTED",
        "it does not take our client certificate, or wants one; check store-cert and store-key",
    ),
    (
        "Handshake read failed",
        "it ends the TLS handshake; if it speaks plaintext, leave out store-ca and store-cert",
    ),
    ("WRONG_VERSION_NUMBER", "it speaks no TLS; leave out store-ca and store-cert"),
    ("Socket closed", "it ends the connection at once; if it speaks TLS, set store-ca"),
    (
        "Failed to create security handshaker",
        "the certificates for it cannot be used; check store-ca, store-cert, store-key",
    ),
    ("Connection refused", "connection refused"),
    ("DNS resolution failed", "its name cannot be resolved"),
    ("No route to host", "no route to host"),
    ("Network is unreachable", "network unreachable"),
    ("connect failed", "it does not answer"),
    ("imed out", "it does not answer"),
    ("FD Shutdown", "it does not answer"),
)
_SILENT = ("Deadline Exceeded", "ping timeout", "keepalive watchdog timeout")

_COMPACTED = "required revision has been compacted"
_STALE_TOKEN = ("invalid auth token", "revision of auth store is old")
_NOT_RUN = (
    "etcdserver: no leader",
    "etcdserver: too many requests",
    "etcdserver: not capable",
    "failed to connect to all addresses",
    "Connection refused",
    "connect failed",
    "DNS resolution failed",
    "no connection established",
    "error:0A",  # a TLS handshake that failed
    "Ssl handshake failed",
    "SSL_ERROR",
    "empty address list",
)


class Fate(StrEnum):
    """What is known of a call that failed."""

    REFUSED = "refused"
    """etcd looked at it and did nothing."""
    NOT_RUN = "not run"
    """It certainly did not run; another endpoint may be asked."""
    STALE_TOKEN = "stale token"  # noqa: S105 - a word, no secret
    """It did not run; it may be asked again by who proved anew who they are."""
    UNKNOWN = "unknown"
    """It may have run."""


def fate(error: grpc.aio.AioRpcError) -> Fate:
    """What is known of a call that ended so."""
    details = error.details() or ""
    if any(words in details for words in _STALE_TOKEN):
        return Fate.STALE_TOKEN
    if error.code() in {
        Code.UNAVAILABLE,
        Code.DEADLINE_EXCEEDED,
        Code.CANCELLED,
        Code.UNKNOWN,
        Code.INTERNAL,
    }:
        return Fate.NOT_RUN if any(words in details for words in _NOT_RUN) else Fate.UNKNOWN
    if error.code() is Code.RESOURCE_EXHAUSTED and "too many requests" in details:
        return Fate.NOT_RUN
    return Fate.REFUSED


def reason(error: grpc.aio.AioRpcError) -> str:
    """Why a member could not be asked, for whoever runs us."""
    details = error.details() or error.code().name
    if "failed to connect to all addresses" in details or "DNS resolution failed" in details:
        return next((sentence for words, sentence in _UNREACHED if words in details), details)
    if any(words in details for words in _SILENT):
        return "it does not answer"
    return details


def is_compacted(error: grpc.aio.AioRpcError) -> bool:
    """True where a revision was asked for that is no longer kept."""
    return _COMPACTED in (error.details() or "")


def refusal(error: grpc.aio.AioRpcError) -> StorageError:
    """What a call that etcd refused raises."""
    details = error.details() or error.code().name
    if found := _known(details):
        return found
    if is_compacted(error):
        return Compacted(0)
    if error.code() in {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}:
        return Denied(f"etcd refuses us: {details}")
    if error.code() is Code.INVALID_ARGUMENT:
        return InvalidRequest(f"etcd refuses the request: {details}")
    return Unavailable(f"etcd cannot do it now: {details}")


def is_about_us(said: str) -> bool:
    """True where etcd ended a watch for who we are, or for a token that ended."""
    return "permission denied" in said or "auth" in said or "user name" in said


def refused(said: str) -> StorageError:
    """What a watch that etcd ended for who we are raises."""
    return _known(said) or Denied(f"etcd refuses us: {said}")


def _known(details: str) -> StorageError | None:
    return next((kind(sentence) for words, kind, sentence in _WORDS if words in details), None)
