"""How each data centre is left: through a gateway of its own, to one host of the world outside, and to nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.lab.centres import Centre

OUTSIDE = "world.example.com"
OUT, HTTP, ELSE = 8443, 80, 81


def leaving(centre: Centre) -> str:
    """What leads out: programs' sidecars to the gateway by mutual TLS, and the gateway to the host's server."""
    return f"""
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: default, namespace: istio-system}}
spec: {{outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: exit, namespace: foo}}
spec:
  hosts: [exit.foo.svc.cluster.local]
  ports: [{{number: {OUT}, name: http, protocol: HTTP}}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints:
    - address: {centre.machines["exit"].address}
      serviceAccount: exit
      labels: {{security.istio.io/tlsMode: istio}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: exit, namespace: foo}}
spec:
  host: exit.foo.svc.cluster.local
  trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL, sni: "*"}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: exit, namespace: foo}}
spec:
  selector: {{app: exit}}
  servers:
    - port: {{number: {OUT}, name: out, protocol: HTTPS}}
      hosts: [{OUTSIDE}]
      tls: {{mode: ISTIO_MUTUAL}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside, namespace: foo}}
spec:
  hosts: [{OUTSIDE}]
  ports: [{{number: {HTTP}, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: {centre.machines["world"].address}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: outside, namespace: foo}}
spec:
  hosts: [{OUTSIDE}]
  gateways: [mesh, exit]
  http:
    - match: [{{gateways: [mesh]}}]
      route: [{{destination: {{host: exit.foo.svc.cluster.local, port: {{number: {OUT}}}}}}}]
    - match: [{{gateways: [exit]}}]
      route: [{{destination: {{host: {OUTSIDE}, port: {{number: {HTTP}}}}}}}]
"""


@asynccontextmanager
async def world(centre: Centre) -> AsyncIterator[None]:
    """A server outside, which tells everybody from which address they came."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            body = str(writer.get_extra_info("peername")[0]).encode()
            head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            writer.write(head + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with AsyncExitStack() as stack:
        with centre.machines["world"].entered():
            servers = [await asyncio.start_server(answer, "0.0.0.0", port) for port in (HTTP, ELSE)]
        for server in servers:
            await stack.enter_async_context(server)
        yield


async def asked(centre: Centre, host: str, port: int = HTTP) -> str:
    """What a program of service1's machine is answered that asks the server outside for a host: from where it came, or the
    status of a proxy that does not let it out; empty where its connection is closed.
    """
    machine, server = centre.machines["service1"], centre.machines["world"]
    try:
        async with asyncio.timeout(20):
            with machine.entered():
                reader, writer = await asyncio.open_connection(server.address, port)
            try:
                writer.write(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
                text = (await reader.read()).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""
    head, _, body = text.partition("\r\n\r\n")
    status = head.split(" ")[1] if head else ""
    return body if status == "200" else status
