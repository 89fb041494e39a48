"""Public keys of issuers, fetched for proxies: these get them with what proves tokens, and never ask anybody.

A *source* is an address that a RequestAuthentication names. Its keys are fetched when it is first named and from then on
again and again; what was seen last holds while it cannot be asked, also over a restart. Who may write objects could have
the daemon ask addresses that only it can reach, so it asks public ones alone unless a setting names others.
"""

from xdsd.jwks.addresses import Reach
from xdsd.jwks.fetching import Fetcher, FetchError
from xdsd.jwks.keeper import KeyKeeper

__all__ = ["FetchError", "Fetcher", "KeyKeeper", "Reach"]
