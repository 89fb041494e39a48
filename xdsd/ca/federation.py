"""Whom the mesh trusts beside its own authority, from all that say so: bundles that operators declare, in PEM or by an
address, and those that other parts of the daemon bring. Each vouches for its own trust domain alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from cryptography import x509
from structlog.typing import FilteringBoundLogger

from xdsd.ca.bundles import read_bundle
from xdsd.ca.federation_problems import problems
from xdsd.ca.issuer import bundle
from xdsd.ca.reading import Unreadable, read_certificates
from xdsd.model.federation import Declared, DeclaredBundle
from xdsd.model.key_source import FetchedKeys, KeySource
from xdsd.model.problem import Problem

TIMEOUT = 10.0

Domains = Mapping[str, tuple[x509.Certificate, ...]]
"""Authorities by trust domain."""


class Federation:
    """``want`` is told which addresses are to be fetched (and says what is known of them), ``tell`` that something changed,
    ``admit`` which domains were brought beside those that are declared, and ``report`` all that is wrong now.
    """

    def __init__(
        self,
        trust_domain: str,
        logger: FilteringBoundLogger,
        want: Callable[[Iterable[KeySource]], Mapping[str, FetchedKeys]],
        tell: Callable[[], None] = lambda: None,
        admit: Callable[[tuple[str, ...]], None] = lambda _: None,
        report: Callable[[Sequence[Problem]], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._trust_domain = trust_domain
        self._logger = logger
        self._want = want
        self.tell = tell
        self.admit = admit
        self._report = report
        self._now = now
        self._faults: dict[DeclaredBundle, str] = {}
        self._declared = Declared()
        self._given: dict[str, tuple[x509.Certificate, ...]] = {}
        self._fetched: dict[str, tuple[x509.Certificate, ...]] = {}
        self._brought: dict[str, Domains] = {}

    @property
    def own_domains(self) -> tuple[str, ...]:
        """The mesh's own trust domain and its aliases."""
        return tuple(dict.fromkeys((self._trust_domain, *self._declared.aliases)))

    def declare(self, declared: Declared) -> None:
        """This is what operators declare from now on."""
        self._declared = declared
        self._faults = {
            each: why for each, why in self._faults.items() if each.url and each in declared.bundles
        }
        self._given = {each.pem: self._read(each) for each in declared.bundles if not each.url}
        urls = {each.url for each in declared.bundles if each.url}
        self._fetched = {url: found for url, found in self._fetched.items() if url in urls}
        for url, known in self._want([KeySource(url, False, TIMEOUT) for url in sorted(urls)]).items():
            self._take(url, known)
        self.tell()
        self.look()

    def fetched(self, url: str, found: FetchedKeys) -> None:
        """What is known of an address, and why it cannot be asked now."""
        before = self._fetched.get(url)
        self._take(url, found)
        for each in self._declared.bundles:
            if each.url == url:
                self._faults[each] = found.fault
        if self._fetched.get(url) != before:
            self.tell()
        self.look()

    def look(self) -> None:
        """Reports what is wrong now, as when certificates may have expired meanwhile."""
        known = {each: self._roots(each) for each in self._declared.bundles}
        self._report(tuple(problems(self._declared, known, self._faults, self._now())))

    def bring(self, source: str, domains: Domains) -> None:
        """These are what ``source`` knows from now on. Nobody brings authorities of the mesh's own trust domain."""
        kept = {domain: found for domain, found in domains.items() if domain not in self.own_domains}
        for domain in domains.keys() - kept.keys():
            self._logger.warning(
                "authorities of the mesh's own trust domain are refused", source=source, domain=domain
            )
        if kept == self._brought.get(source, {}):
            return
        self._brought[source] = kept
        # First whom to trust, then whom to let in.
        self.tell()
        self.admit(tuple(sorted({domain for each in self._brought.values() for domain in each})))

    def own(self) -> tuple[x509.Certificate, ...]:
        """Further authorities of the mesh's own trust domain."""
        return tuple(dict.fromkeys(root for each, roots in self._all() if not each for root in roots))

    def foreign(self) -> Mapping[str, bytes]:
        """The bundles of other trust domains, in PEM; empty while no authority of one is known.

        Such a domain is named all the same: to let it in must not let further authorities of our own vouch for it.
        """
        found: dict[str, list[x509.Certificate]] = {}
        for domain, roots in self._all():
            if domain:
                found.setdefault(domain, []).extend(roots)
        return {domain: bundle(roots) for domain, roots in sorted(found.items())}

    def _all(self) -> Iterable[tuple[str, tuple[x509.Certificate, ...]]]:
        """Authorities with their domain, which is empty for the mesh's own."""
        for each in self._declared.bundles:
            roots = self._roots(each)
            for domain in each.trust_domains or ("",):
                yield ("" if domain in self.own_domains else domain, roots)
        for domains in self._brought.values():
            yield from (
                (domain, roots) for domain, roots in domains.items() if domain not in self.own_domains
            )

    def _roots(self, declared: DeclaredBundle) -> tuple[x509.Certificate, ...]:
        known = self._fetched if declared.url else self._given
        return known.get(declared.url or declared.pem, ())

    def _take(self, url: str, found: FetchedKeys) -> None:
        if found.jwks:
            try:
                self._fetched[url] = read_bundle(found.jwks)
            except Unreadable as error:  # checked where it was fetched
                self._logger.warning("a bundle is as it was", url=url, why=str(error))

    def _read(self, declared: DeclaredBundle) -> tuple[x509.Certificate, ...]:
        """The authorities, read as admission reads them; should that fail, these alone do not count."""
        try:
            return read_certificates(declared.pem.encode(errors="replace"), "caCertificates")
        except Unreadable as error:
            self._faults[declared] = str(error)
            self._logger.warning(
                "authorities are not trusted", domains=declared.trust_domains, why=str(error)
            )
            return ()
