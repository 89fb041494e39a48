"""What is said where a daemon gives no certificate."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api.commands.cert.asking import Asker, NoCertificateError, ask
from api.commands.cert.folder import Files
from tests.server.hand import HandMesh
from tests.server.secure import A, Secure, secured
from tests.server.test_certificates import offer
from xdsd.ca.issuer import Request, issue
from xdsd.ca.keys import new_key, private_pem
from xdsd.setting_values import TcpAddress

LONG_AGO = timedelta(days=3)


async def said(made: Secure, port: int, asker: Asker) -> str:
    """Why there is none."""
    with pytest.raises(NoCertificateError) as error:
        await asyncio.to_thread(ask, [TcpAddress("127.0.0.1", port)], asker, 0)
    return str(error.value)


async def folder(made: Secure) -> Files:
    """What a proxy has that got its certificate."""
    credential = await made.authority.credential(A)
    return Files(credential.svid.chain, credential.key, made.authority.bundle)


async def test_a_certificate_is_had_by_a_token_and_by_the_last() -> None:
    """On the port for each."""
    async with secured(HandMesh(), prepare=offer) as made:
        first = Asker(made.authority.bundle, await made.token(A))
        files = await asyncio.to_thread(ask, [TcpAddress("127.0.0.1", made.tls)], first, 0)
        again = Asker(files.roots, files=files)
        await asyncio.to_thread(ask, [TcpAddress("127.0.0.1", made.mtls)], again, 0)


async def test_an_expired_certificate_is_told_by_who_has_it() -> None:
    """The daemon only closes the connection; the client knows since when it proves nothing."""
    async with secured(HandMesh(), prepare=offer) as made:
        trust, key, begun = made.authority._trust, new_key(), datetime.now(UTC) - LONG_AGO
        assert trust is not None
        old = issue(trust.cas[0], Request(key.public_key(), A, timedelta(hours=1), begun, 7))
        files = Files(old.chain, private_pem(key), made.authority.bundle)
        told = await said(made, made.mtls, Asker(files.roots, files=files))
        assert f"the certificate expired at {old.expires.isoformat()}" in told
        assert "xdsctl cert issue" in told


async def test_a_token_at_the_port_for_certificates_is_told_where_to_go() -> None:
    """That port closes the connection before it hears of a token."""
    async with secured(HandMesh(), prepare=offer) as made:
        told = await said(made, made.mtls, Asker(made.authority.bundle, await made.token(A)))
        assert "xds-tls-address takes tokens" in told


async def test_files_that_nobody_could_believe_are_named() -> None:
    """Roots that are none, and a key of another certificate, before anybody is asked."""
    async with secured(HandMesh(), prepare=offer) as made:
        files, others = await folder(made), await folder(made)
        for asker, why in (
            (Asker(b"nonsense", "token"), "what is to be trusted (--root, root.pem)"),
            (Asker(files.roots, files=replace(files, key=others.key)), "key.pem is not the key of cert.pem"),
            (Asker(files.roots, files=replace(files, certificate=b"x")), "cert.pem"),
            (Asker(files.roots, files=replace(files, key=b"x")), "key.pem"),
        ):
            assert why in await said(made, 1, asker)
