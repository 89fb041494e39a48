"""``xdsd new-ca``: what a lost sealing key means, and the beginning of another CA."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from xdsd.ca.beginning import CannotBegin, begin_anew, loss
from xdsd.identity import sealer_of
from xdsd.parts import open_store
from xdsd.settings import Settings

_MEANS = """
A new CA (--begin {domain}), where a root cannot be opened, means:
- Certificates of the old one are trusted no more by proxies that know the new one: mutual TLS between a proxy that does
  and one that does not fails until all are connected.
- Each proxy needs the new roots to connect (xdsctl ca bundle), and one that connects by a certificate another certificate.
- Credentials that the lost key sealed must be created again (xdsctl secret create).
Join tokens, objects and users stay. If the key is found again, give it as the second line of the sealing key's file."""


async def replace_lost_ca(options: Settings, begin: str | None, say: Callable[[str], None]) -> None:
    """Says what is lost; with the trust domain as ``begin`` puts the CA aside. Raises CannotBegin, SealingError,
    StorageError, OSError.
    """
    if options.ca_cert is not None or options.vault_address:
        raise CannotBegin("the CA comes from ca-cert or Vault, and is not in the store")
    if begin is not None and begin != options.trust_domain:
        raise CannotBegin(f"the trust domain is {options.trust_domain}; write --begin {options.trust_domain}")
    async with AsyncExitStack() as stack:
        store = await open_store(options, lambda why: say(f"the store: {why}"))
        stack.push_async_callback(store.close)
        found = await loss(store, sealer_of(options))
        for root in (*found.sealed, *found.opened):
            state = "cannot be opened" if root in found.sealed else "can be opened"
            expires = root.certificate.not_valid_after_utc.date().isoformat()
            say(f"root {root.id} ({root.state}, until {expires}) {state}")
        if found.why:
            say(found.why)
        if begin is None:
            say(_MEANS.format(domain=options.trust_domain))
            return
        aside = await begin_anew(store, found, datetime.now(UTC))
        say(f"put aside at {aside}; the next daemon that starts makes a new CA")
