"""A client of ``xdsd.admin.v1.Credentials``, over a ``Client``'s channel. Raises ``api.client.ApiError`` and its kinds."""

from collections.abc import Sequence

from api.client import Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services


class CredentialsClient:
    """Each call takes what a person would say."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stub = services.CredentialsStub(client.channel)

    def put(self, request: pb.PutCredentialRequest) -> pb.PutCredentialResponse:
        return self._client.call(
            self._stub.Put, request, pb.PutCredentialResponse, told_by="xdsctl secret list"
        )

    def all(self, namespace: str = "", name: str = "") -> Sequence[pb.Credential]:
        request = pb.ListCredentialsRequest(namespace=namespace, name=name)
        return self._client.call(self._stub.List, request, pb.ListCredentialsResponse).credentials

    def delete(self, namespace: str, name: str) -> pb.Credential:
        request = pb.DeleteCredentialRequest(namespace=namespace, name=name)
        return self._client.call(self._stub.Delete, request, pb.Credential, told_by="xdsctl secret list")
