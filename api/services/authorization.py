"""Who may reach whom: Authorization."""

import asyncio
import json
from typing import Any

import grpc

from api.access.caller import Right, current
from api.ports import Intents, Mesh
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.verdicts import cells_to_wire, verdicts_to_wire
from xdsd.authorization.parties import UnknownError
from xdsd.authorization.reach import Question, can, matrix
from xdsd.authorization.sites import Site, seen, site_of

Context = grpc.aio.ServicerContext[object, object]

_KINDS = (
    "AuthorizationPolicy",
    "RequestAuthentication",
    "PeerAuthentication",
    "DestinationRule",
    "MeshConfig",
)


class AuthorizationService:
    """xdsd.admin.v1.Authorization. It tells of all namespaces at once, so whoever asks must see all that runs."""

    def __init__(self, mesh: Mesh, intents: Intents) -> None:
        self._mesh = mesh
        self._intents = intents

    async def Can(self, request: pb.CanRequest, context: Context) -> pb.CanResponse:  # noqa: N802
        current().require(Right.OBSERVE)
        try:
            question = question_of(request)
        except ValueError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "claims are no JSON map")
        site = await self._site()
        try:
            return verdicts_to_wire(await asyncio.to_thread(can, site, question))
        except UnknownError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))

    async def Matrix(self, request: pb.MatrixRequest, _context: Context) -> pb.MatrixResponse:  # noqa: N802
        current().require(Right.OBSERVE)
        site = await self._site()
        return cells_to_wire(await asyncio.to_thread(matrix, site, request.namespace))

    async def _site(self) -> Site:
        objects: list[Any] = [each.object for each in self._mesh.foreign() if each.object.kind in _KINDS]
        for kind in _KINDS:
            objects += (await self._intents.list(kind)).objects
        catalog = self._mesh.catalog
        services = dict(catalog.services())
        endpoints = {key: catalog.endpoints(key) for key in services}
        mesh = self._mesh
        known = seen(mesh.shut_out.identities, mesh.observed().proxies, mesh.foreign_domains)
        return site_of(objects, services, endpoints, mesh.settings, known)


def question_of(request: pb.CanRequest) -> Question:
    """The question of a request. ValueError: its claims are no JSON map."""
    claims = json.loads(request.claims) if request.claims else None
    if claims is not None and not isinstance(claims, dict):
        raise ValueError("claims are no map")
    return Question(
        request.source,
        request.target,
        request.namespace or "default",
        request.port,
        request.method or "GET",
        request.path or "/",
        tuple((header.name, header.value) for header in request.headers),
        claims,
    )
