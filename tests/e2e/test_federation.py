"""Peers of other trust domains on a real Envoy: each authority vouches for its own domain alone."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import indent

import aiohttp
import pytest

from tests.ca.making import issued, root
from tests.e2e.village import account, village
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.ca.issuer import Ca, bundle
from xdsd.ca.keys import new_key, private_pem
from xdsd.model.identity import SpiffeID

pytestmark = pytest.mark.e2e

ALICE = "127.0.0.45"
TELLER = SpiffeID("their.example", "bank", "teller")
CLERK = SpiffeID("other.example", "desk", "clerk")

SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: alice, namespace: default}}
spec:
  hosts: [alice.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  endpoints:
    - {{address: {address}, serviceAccount: alice, labels: {{app: alice, security.istio.io/tlsMode: istio}}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: STRICT}}}}
"""

POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tellers, namespace: default}
spec:
  selector: {matchLabels: {app: alice}}
  rules: [{from: [{source: {principals: [their.example/ns/bank/sa/teller]}}]}]
"""


def config(ca: Ca, domain: str) -> str:
    """A MeshConfig that trusts another authority for its domain."""
    pem = indent(bundle(ca.chain).decode(), "        ")
    return f"""
apiVersion: mesh.xdsd.io/v1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec:
  caCertificates:
    - trustDomains: [{domain}]
      pem: |
{pem}
"""


def caller(ca: Ca, identity: SpiffeID, roots: bytes, folder: Path) -> ssl.SSLContext:
    """TLS of whoever has a certificate of this identity that this authority signed."""
    key = new_key()
    made = issued(ca, identity, key=key, lifetime=timedelta(hours=1), now=datetime.now(UTC))
    file = folder / f"{made.certificate.serial_number:x}.pem"
    file.write_bytes(private_pem(key) + made.chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=roots.decode())
    context.load_cert_chain(file)
    return context


async def test_authorities_of_others_vouch_for_their_own_domains_alone(tmp_path: Path) -> None:
    """A peer of another domain is let in under STRICT, and policies and programs see who it is; a certificate of our own
    domain that the other authority signed is refused, as is a revoked one of ours; what is taken back is trusted no more.
    """
    now = datetime.now(UTC)
    theirs, others = (root(domain=each.trust_domain, now=now) for each in (TELLER, CLERK))
    (port,) = free_ports(1)
    async with Site("alice", "127.0.0.1", port) as alice, village(tmp_path) as made:
        await made.apply(SERVICE.format(port=port, address=ALICE))
        await made.sidecar("alice", ALICE)
        roots = made.authority.bundle
        teller, forger = (caller(theirs, each, roots, tmp_path) for each in (TELLER, account("bob")))
        clerk = caller(others, CLERK, roots, tmp_path)
        bob, stolen = await made.client("bob"), await made.client("mallory")

        async def says(tls: ssl.SSLContext) -> int:
            """The status of a request over a connection of its own; 0 where that is refused."""
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"https://{ALICE}:{port}/", ssl=tls) as response,
                ):
                    return response.status
            except (aiohttp.ClientError, OSError):
                return 0

        async def holds(tls: ssl.SSLContext, status: int) -> None:
            assert await says(tls) == status

        await eventually(lambda: holds(bob, 200), "alice serves her own mesh")
        assert await says(teller) == 0
        await made.apply(config(theirs, "their.example"))
        await eventually(lambda: holds(teller, 200), "the other domain is let in")
        assert f"URI={TELLER}" in alice.asked["x-forwarded-client-cert"]
        assert await says(forger) == await says(clerk) == 0
        assert await says(bob) == await says(stolen) == 200
        await made.revoke(made.shown["mallory"])
        await eventually(lambda: holds(stolen, 0), "a revoked certificate is refused")
        assert await says(bob) == await says(teller) == 200
        made.federation.bring("peers", {"other.example": others.chain})
        await eventually(lambda: holds(clerk, 200), "what was brought is let in too")
        await made.apply(POLICY)
        await eventually(lambda: holds(bob, 403), "the policy is there")
        assert (await says(teller), await says(clerk)) == (200, 403)
        await made.delete("MeshConfig", "default", "istio-system")
        await eventually(lambda: holds(teller, 0), "it is trusted no more")
        assert await says(forger) == 0
