"""What registries report, joined, with who reports what: Catalog.

A service is shown to whoever may read objects of its namespace. Thousands of services are put together in steps, since the
event loop may not wait.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from api.access.caller import Right, current
from api.catalog_wire import endpoints_to_wire, matching, service_to_wire, workload_to_wire
from api.concerning import concerning
from api.platform_names import is_of_service
from api.ports import Intents, Mesh
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.selectors import Selector, SelectorError, parse_selector
from api.services.objects import reader
from api.wire import problem_to_wire, ref_to_wire
from xdsd.manifest import AnyObject
from xdsd.model.catalog import Endpoint, Service, ServiceKey
from xdsd.model.exporting import audience
from xdsd.model.global_names import is_global
from xdsd.model.identity import InvalidIdentity, SpiffeID
from xdsd.model.problem import ObjectRef, Problem

Context = grpc.aio.ServicerContext[object, object]

_AT_ONCE = 200
_SHOWN = 5


class CatalogService:
    """xdsd.admin.v1.Catalog."""

    def __init__(self, mesh: Mesh, intents: Intents) -> None:
        self._mesh = mesh
        self._intents = intents

    async def ListServices(  # noqa: N802
        self, request: pb.ListCatalogRequest, context: Context
    ) -> pb.ListServicesResponse:
        if request.label_selector:
            message = "services have no labels; select endpoints or workloads"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        response = pb.ListServicesResponse()
        await self._each(request, lambda service: response.services.append(self._service(service)))
        return response

    async def ListEndpoints(  # noqa: N802
        self, request: pb.ListCatalogRequest, context: Context
    ) -> pb.ListEndpointsResponse:
        selects = await _selector(request.label_selector, context)
        response = pb.ListEndpointsResponse()

        def add(service: Service) -> None:
            found = endpoints_to_wire(self._mesh.catalog, service)
            response.endpoints.extend(each for each in found if selects(each.labels))

        await self._each(request, add)
        return response

    async def ListWorkloads(  # noqa: N802
        self, request: pb.ListCatalogRequest, context: Context
    ) -> pb.ListWorkloadsResponse:
        selects = await _selector(request.label_selector, context)
        may_read = reader(request.namespace)
        catalog = self._mesh.catalog
        found = [
            (key, source, endpoint)
            for source, key, endpoint in catalog.workloads()
            if request.namespace in {"", key.namespace}
            and request.name in {"", key.name}
            and may_read(key.namespace)
            and selects(endpoint.labels)
        ]
        response = pb.ListWorkloadsResponse()
        for number, (key, source, endpoint) in enumerate(sorted(found, key=lambda each: each[:2]), 1):
            response.workloads.append(workload_to_wire(catalog, source, key, endpoint))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return response

    async def DescribeService(  # noqa: N802
        self, request: pb.DescribeServiceRequest, context: Context
    ) -> pb.DescribeServiceResponse:
        current().require(Right.READ, request.namespace)
        catalog = self._mesh.catalog
        keys = matching(catalog, request.namespace, request.host, self._mesh.settings.domain)
        exact = [key for key in keys if key.hostname == request.host] or keys
        if len(exact) > 1:
            several = ", ".join(key.hostname for key in exact[:_SHOWN]) + (
                ", …" if len(exact) > _SHOWN else ""
            )
            message = f"{request.host} means several services in namespace {request.namespace}: {several}; name one in full"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        service = catalog.service(exact[0]) if exact else None
        if service is None:
            message = f"there is no service {request.host} in namespace {request.namespace}{self._elsewhere(request.host)}"
            await context.abort(grpc.StatusCode.NOT_FOUND, message)
        endpoints = catalog.endpoints(service.key)
        objects = await self._concerning(service, endpoints)
        refs = {each.ref for each in objects}
        return pb.DescribeServiceResponse(
            service=self._service(service),
            endpoints=endpoints_to_wire(catalog, service),
            objects=[pb.Concerning(ref=ref_to_wire(each.ref), how=each.how) for each in objects],
            problems=[problem_to_wire(each) for each in self._problems(service.key, refs)],
            visible_to=sorted(audience(await self._exported(service), service.namespace)),
            identities=sorted(set(self._identities(service, endpoints))),
        )

    async def ListGlobal(  # noqa: N802
        self, request: pb.ListGlobalRequest, context: Context
    ) -> pb.ListGlobalResponse:
        del context
        if request.client_namespace:
            current().require(Right.READ, request.client_namespace)
        may_read = reader(request.namespace)
        response = pb.ListGlobalResponse()
        keys = [key for key in self._mesh.catalog.services() if is_global(key.hostname)]
        for number, key in enumerate(sorted(keys), 1):
            names = {"", key.hostname, key.hostname.partition(".")[0]}
            if request.name in names and request.namespace in {"", key.namespace} and may_read(key.namespace):
                response.names.append(self._global(key, request))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return response

    def _global(self, key: ServiceKey, request: pb.ListGlobalRequest) -> pb.GlobalName:
        clients = request.client_namespace or key.namespace
        places = [
            pb.GlobalPlace(
                peer=way.behind,
                locality=way.locality,
                healthy=way.healthy,
                total=way.total,
                weight=way.weight,
                priority=way.priority,
                percent=way.percent,
            )
            for way in self._mesh.traffic(key, clients, request.locality)
        ]
        return pb.GlobalName(namespace=key.namespace, host=key.hostname, places=places)

    def _service(self, service: Service) -> pb.CatalogService:
        given = self._mesh.given_addresses(service.namespace, service.hostname)
        return service_to_wire(self._mesh.catalog, service, given)

    async def _each(self, request: pb.ListCatalogRequest, add: Callable[[Service], None]) -> None:
        """Calls ``add`` with each service that the request names and the caller may see."""
        may_read = reader(request.namespace)
        catalog = self._mesh.catalog
        keys = matching(catalog, request.namespace, request.name, self._mesh.settings.domain)
        for number, key in enumerate(keys, 1):
            service = catalog.service(key)
            if service is not None and may_read(key.namespace):
                add(service)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _concerning(self, service: Service, endpoints: Sequence[Endpoint]) -> list[Any]:
        listing = await self._intents.list()
        # Where the store declares an object too, its word holds.
        known = {each.object.ref: each.object for each in self._mesh.foreign()}
        known.update((each.ref, each) for each in listing.objects)
        objects: list[AnyObject] = [
            each for each in known.values() if current().may(Right.READ, each.metadata.namespace)
        ]
        return await asyncio.to_thread(concerning, objects, service, endpoints, self._mesh.settings)

    async def _exported(self, service: Service) -> Sequence[str]:
        """Whom it is exported to; where it does not say, as the mesh does."""
        if service.export_to:
            return service.export_to
        spec = await self._mesh_config()
        return spec.default_service_export_to if spec else ()

    async def _mesh_config(self) -> Any:  # a MeshConfig, if there is one
        found = await self._intents.list("MeshConfig", self._mesh.settings.root_namespace)
        return next((each.spec for each in found.objects if each.metadata.name == "default"), None)

    def _problems(self, key: ServiceKey, refs: set[ObjectRef]) -> list[Problem]:
        workloads = {each.workload for each in self._mesh.catalog.reported(key)} - {""}
        domain = self._mesh.settings.domain

        def is_of(ref: ObjectRef) -> bool:
            return ref in refs or is_of_service(ref, key, workloads, domain)

        return [each for each in self._mesh.problems() if each.object is not None and is_of(each.object)]

    def _identities(self, service: Service, endpoints: Sequence[Endpoint]) -> list[str]:
        found = []
        for account in {each.service_account for each in endpoints if each.service_account}:
            try:
                found.append(str(SpiffeID(self._mesh.settings.trust_domain, service.namespace, account)))
            except InvalidIdentity:
                continue  # no proxy can prove such a one; whoever reports it has a problem of it
        return found

    def _elsewhere(self, host: str) -> str:
        """Where services of that name are, of the namespaces that the caller may read."""
        found = matching(self._mesh.catalog, "", host, self._mesh.settings.domain)
        places = sorted({key.namespace for key in found if current().may(Right.READ, key.namespace)})
        return f"; there is one in {', '.join(places)}" if places else "; `xdsctl get services -A` lists all"


async def _selector(text: str, context: Context) -> Selector:
    try:
        return parse_selector(text)
    except SelectorError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
