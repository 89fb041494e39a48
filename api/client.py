"""A typed client of the admin API, for programs and for ``xdsctl``. It blocks; calls have deadlines.

``with Client(parse_address("unix:/var/lib/xdsd/admin.sock")) as client: client.get(ref)``

What the daemon refuses inside a response (problems) is in the response; what keeps it from answering raises
``ApiError``, whose message says what to do next. Beyond this machine a daemon is spoken to over TLS alone.
"""

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from api.credentials import Credentials, with_token
from api.diagnosis import broken, stopped, unreachable
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services
from api.wire import FAULT, ref_to_wire
from xdsd.model.problem import ObjectRef
from xdsd.setting_values import Address, TcpAddress, UnixAddress

Response = TypeVar("Response")

_DEADLINE_SECONDS = 30.0
_REACH_SECONDS = 5.0
_NO_CREDENTIALS = Credentials()
_CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


class ApiError(Exception):
    """The call could not be served. ``code`` is gRPC's word for why."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnreachableError(ApiError):
    """Nobody answers at the endpoint."""


class LostError(ApiError):
    """The connection broke before the answer: of a write nobody knows whether it was done."""


class NotFoundError(ApiError):
    """What was asked for does not exist."""


class Client:
    """A connection to one daemon; made when first used. A Unix socket is never spoken to over TLS."""

    def __init__(
        self,
        endpoint: Address,
        credentials: Credentials = _NO_CREDENTIALS,
        *,
        deadline: float = _DEADLINE_SECONDS,
    ) -> None:
        self.endpoint = endpoint
        self._credentials = credentials
        self._deadline = deadline
        self._channel = _channel(endpoint, credentials)
        self._objects = services.ObjectsStub(self._channel)
        self._history = services.HistoryStub(self._channel)
        self._proxies = services.ProxiesStub(self._channel)
        self._registries = services.RegistriesStub(self._channel)
        self._catalog = services.CatalogStub(self._channel)
        self._problems = services.ProblemsStub(self._channel)
        self._authorization = services.AuthorizationStub(self._channel)
        self._daemon = services.DaemonStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    @property
    def channel(self) -> grpc.Channel:
        """What the calls go over, with all that proves who calls; other services of the port share it."""
        return self._channel

    def reach(self, seconds: float = _REACH_SECONDS) -> None:
        """Returns once the daemon answers, whatever it says. Raises UnreachableError."""
        try:
            self._daemon.Version(pb.VersionRequest(), timeout=seconds)
        except grpc.RpcError as error:
            translated = self.translated(error)
            if isinstance(translated, UnreachableError | LostError):
                raise UnreachableError(translated.code, str(translated)) from error
            if translated.code is grpc.StatusCode.DEADLINE_EXCEEDED:
                message = f"the daemon at {self.endpoint} did not answer in {seconds:g} seconds"
                raise UnreachableError(translated.code, message) from error

    def apply(self, objects: Sequence[bytes], *, dry_run: bool = False) -> pb.ApplyResponse:
        """Creates or replaces objects, each as JSON, all or none."""
        request = pb.ApplyRequest(objects=[pb.Object(json=json) for json in objects], dry_run=dry_run)
        told_by = "" if dry_run else "xdsctl diff -f …"
        return self.call(self._objects.Apply, request, pb.ApplyResponse, told_by=told_by)

    def get(self, ref: ObjectRef) -> bytes:
        """An object's JSON. Raises NotFoundError."""
        return self.call(self._objects.Get, pb.GetRequest(ref=ref_to_wire(ref)), pb.GetResponse).object.json

    def list(self, kind: str = "", namespace: str = "", selector: str = "") -> pb.ListResponse:
        """Objects of one kind or all, of one namespace or all, with matching labels."""
        request = pb.ListRequest(kind=kind, namespace=namespace, label_selector=selector)
        return self.call(self._objects.List, request, pb.ListResponse)

    def delete(
        self, refs: Sequence[ObjectRef], *, dry_run: bool = False, ignore_missing: bool = False
    ) -> pb.DeleteResponse:
        """Removes objects, all or none."""
        request = pb.DeleteRequest(
            refs=[ref_to_wire(ref) for ref in refs], dry_run=dry_run, ignore_missing=ignore_missing
        )
        told_by = "" if dry_run else "xdsctl get"
        return self.call(self._objects.Delete, request, pb.DeleteResponse, told_by=told_by)

    def diff(self, objects: Sequence[bytes]) -> pb.DiffResponse:
        """What ``apply`` of these would change."""
        request = pb.DiffRequest(objects=[pb.Object(json=json) for json in objects])
        return self.call(self._objects.Diff, request, pb.DiffResponse)

    def watch(
        self, kind: str = "", namespace: str = "", name: str = "", selector: str = ""
    ) -> Generator[pb.WatchResponse, None, None]:
        """What is there, a bookmark, then changes, until the caller stops or the daemon goes (ApiError)."""
        request = pb.WatchRequest(kind=kind, namespace=namespace, name=name, label_selector=selector)
        call = self._objects.Watch(request)
        try:
            yield from call
        except grpc.RpcError as error:
            raise self.translated(error, stream="the watch") from error
        finally:
            call.cancel()

    def history(self, wanted: pb.ListHistoryRequest) -> pb.ListHistoryResponse:
        """Records of writes, the newest first."""
        return self.call(self._history.List, wanted, pb.ListHistoryResponse)

    def rollback(self, ref: ObjectRef, revision: int, *, dry_run: bool = False) -> pb.ApplyResponse:
        """Makes an object what it was at a revision."""
        request = pb.RollbackRequest(ref=ref_to_wire(ref), revision=revision, dry_run=dry_run)
        told_by = "" if dry_run else "xdsctl history"
        return self.call(self._history.Rollback, request, pb.ApplyResponse, told_by=told_by)

    def diff_revisions(self, wanted: pb.DiffRevisionsRequest) -> pb.DiffResponse:
        """What changed between two revisions; ``live`` is the first one's side."""
        return self.call(self._history.Diff, wanted, pb.DiffResponse)

    def proxies(self) -> Sequence[pb.ProxyStatus]:
        """The connected proxies and how far each type has come."""
        return self.call(self._proxies.List, pb.ListProxiesRequest(), pb.ListProxiesResponse).proxies

    def dump_config(self, node: str, type_url: str = "") -> pb.DumpConfigResponse:
        """A proxy's resources of one type, or of all. Raises NotFoundError."""
        request = pb.DumpConfigRequest(node=node, type_url=type_url)
        return self.call(self._proxies.DumpConfig, request, pb.DumpConfigResponse)

    def secrets(self, node: str) -> pb.ListSecretsResponse:
        """What may be known of the certificates that a proxy was given and trusts. Raises NotFoundError."""
        return self.call(self._proxies.ListSecrets, pb.ListSecretsRequest(node=node), pb.ListSecretsResponse)

    def registries(self) -> Sequence[pb.RegistryStatus]:
        """The sources of the catalog."""
        request = pb.ListRegistriesRequest()
        return self.call(self._registries.List, request, pb.ListRegistriesResponse).registries

    def global_names(self, wanted: pb.ListGlobalRequest) -> Sequence[pb.GlobalName]:
        """Names that mean the same service in all meshes, and where traffic for them would go."""
        return self.call(self._catalog.ListGlobal, wanted, pb.ListGlobalResponse).names

    def services(self, wanted: pb.ListCatalogRequest) -> Sequence[pb.CatalogService]:
        """Services of the catalog."""
        return self.call(self._catalog.ListServices, wanted, pb.ListServicesResponse).services

    def endpoints(self, wanted: pb.ListCatalogRequest) -> Sequence[pb.CatalogEndpoint]:
        """Endpoints of services of the catalog."""
        return self.call(self._catalog.ListEndpoints, wanted, pb.ListEndpointsResponse).endpoints

    def workloads(self, wanted: pb.ListCatalogRequest) -> Sequence[pb.CatalogWorkload]:
        """Workloads of the catalog."""
        return self.call(self._catalog.ListWorkloads, wanted, pb.ListWorkloadsResponse).workloads

    def describe_service(self, namespace: str, host: str) -> pb.DescribeServiceResponse:
        """A service and all that concerns it. Raises NotFoundError."""
        request = pb.DescribeServiceRequest(namespace=namespace, host=host)
        return self.call(self._catalog.DescribeService, request, pb.DescribeServiceResponse)

    def problems(self, namespace: str = "") -> Sequence[pb.Problem]:
        """What is wrong now."""
        request = pb.ListProblemsRequest(namespace=namespace)
        return self.call(self._problems.List, request, pb.ListProblemsResponse).problems

    def analyze(self, namespace: str = "") -> Sequence[pb.Problem]:
        """What is wrong or odd now, with every object."""
        request = pb.ListProblemsRequest(namespace=namespace)
        return self.call(self._problems.Analyze, request, pb.ListProblemsResponse).problems

    def can(self, request: pb.CanRequest) -> pb.CanResponse:
        """Whether somebody may reach somebody."""
        return self.call(self._authorization.Can, request, pb.CanResponse)

    def matrix(self, request: pb.MatrixRequest) -> pb.MatrixResponse:
        """Who may reach whom."""
        return self.call(self._authorization.Matrix, request, pb.MatrixResponse)

    def version(self) -> pb.VersionResponse:
        return self.call(self._daemon.Version, pb.VersionRequest(), pb.VersionResponse)

    def status(self) -> pb.StatusResponse:
        return self.call(self._daemon.Status, pb.StatusRequest(), pb.StatusResponse)

    def call(
        self, method: Callable[..., Any], request: object, response: type[Response], *, told_by: str = ""
    ) -> Response:
        """One unary call; generated stubs are untyped, so the answer's type is checked here.

        ``told_by`` is, of a call that writes, the command that tells whether it was done where no answer came.
        """
        try:
            answer = method(request, timeout=self._deadline)
        except grpc.RpcError as error:
            raise self.translated(error, told_by=told_by) from error
        if not isinstance(answer, response):
            raise ApiError(grpc.StatusCode.INTERNAL, f"{self.endpoint} answered with something else")
        return answer

    def translated(self, error: grpc.RpcError, *, told_by: str = "", stream: str = "") -> ApiError:
        """What to raise for a call over ``channel`` that failed; ``stream`` names one whose answers go on."""
        code, details = error.code(), error.details() or "no reason given"
        faults = {item.key for item in error.trailing_metadata() or ()}
        perhaps = f"; what was sent may have been written: `{told_by}` tells" if told_by else ""
        if code is grpc.StatusCode.UNAVAILABLE and FAULT not in faults:
            if broken(details):
                return LostError(code, self._lost(details, perhaps, stream))
            return UnreachableError(code, unreachable(self.endpoint, details, self._credentials.tls))
        if code is grpc.StatusCode.NOT_FOUND:
            return NotFoundError(code, details)
        if code is grpc.StatusCode.UNIMPLEMENTED:
            details = f"the program at {self.endpoint} is no xdsd, or too old for this call: {details}"
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            details = f"the daemon at {self.endpoint} did not answer in {self._deadline:g} seconds{perhaps}"
        elif code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            details = f"{details}; send less at once, or raise max-message-size of the daemon"
        return ApiError(code, details)

    def _lost(self, details: str, perhaps: str, stream: str) -> str:
        if stream and stopped(details):
            return f"the daemon at {self.endpoint} ended {stream}, as it stops"
        if stream:
            return f"the connection to the daemon at {self.endpoint} was lost, and {stream} with it"
        return f"the connection to the daemon at {self.endpoint} broke before the answer{perhaps or '; try again'}"


def connect(daemons: Sequence[tuple[Address, Credentials]]) -> Client:
    """A client of the first that answers. Raises UnreachableError, which tells why each of them does not."""
    if len(daemons) == 1:
        return Client(*daemons[0])
    told = []
    for endpoint, credentials in daemons:
        client = Client(endpoint, credentials)
        try:
            client.reach()
        except UnreachableError as error:
            client.close()
            told.append(str(error).partition("\n")[0])
        else:
            return client
    raise UnreachableError(grpc.StatusCode.UNAVAILABLE, "\n".join(told))


def _channel(endpoint: Address, credentials: Credentials) -> grpc.Channel:
    tls = credentials.tls if isinstance(endpoint, TcpAddress) else None
    if tls is not None:
        name = (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
        options = (*_CHANNEL_OPTIONS, *name)
        channel = grpc.secure_channel(str(endpoint), tls.channel_credentials(), options=options)
    elif isinstance(endpoint, UnixAddress) or endpoint.is_loopback:
        channel = grpc.insecure_channel(str(endpoint), options=_CHANNEL_OPTIONS)
    else:
        raise ApiError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"{endpoint} is not on this machine, so it is spoken to over TLS alone; give the file of the CA that "
            "made its certificate with --ca or XDSCTL_CA",
        )
    return with_token(channel, credentials.token) if credentials.token else channel
