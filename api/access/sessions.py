"""Sessions: what a name and a password gave, to be shown instead of them, as etcd's clients do."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

SESSION = 300.0
"""Seconds without a call after which a session is over, as in etcd."""
MOST = 10_000
"""Sessions that are kept; the oldest make room."""


@dataclass(slots=True)
class _Session:
    name: str
    password: str = field(repr=False)
    used: float


class Sessions:
    """Users' names by the tokens of their sessions. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[str, _Session] = {}

    def begin(self, name: str, password: str) -> str:
        """The token of a new session of a user, which lasts as long as the hash of its password is this."""
        now = self._clock()
        for token, session in list(self._sessions.items()):
            if now - session.used >= SESSION or len(self._sessions) >= MOST:
                del self._sessions[token]
        token = secrets.token_urlsafe(24)
        self._sessions[token] = _Session(name, password, now)
        return token

    def find(self, token: str) -> tuple[str, str] | None:
        """The user's name, and the hash of the password that it gave; the session's time begins again."""
        session = self._sessions.get(token)
        if session is None:
            return None
        now = self._clock()
        if now - session.used >= SESSION:
            del self._sessions[token]
            return None
        session.used = now
        return session.name, session.password
