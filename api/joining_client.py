"""A client of ``xdsd.admin.v1.Joining``: who may join, whom the mesh trusts, who is shut out; over a ``Client``'s channel.

Raises ``api.client.ApiError`` and its kinds.
"""

from collections.abc import Sequence

from api.client import Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services


class JoiningClient:
    """Each call takes what a person would say."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stub = services.JoiningStub(client.channel)

    def create_token(self, request: pb.CreateJoinTokenRequest) -> pb.CreateJoinTokenResponse:
        return self._client.call(
            self._stub.CreateToken, request, pb.CreateJoinTokenResponse, told_by="xdsctl token list"
        )

    def tokens(self) -> Sequence[pb.JoinToken]:
        request = pb.ListJoinTokensRequest()
        return self._client.call(self._stub.ListTokens, request, pb.ListJoinTokensResponse).tokens

    def revoke_token(self, identity: str) -> pb.JoinToken:
        request = pb.RevokeJoinTokenRequest(id=identity)
        return self._client.call(self._stub.RevokeToken, request, pb.JoinToken, told_by="xdsctl token list")

    def trust(self) -> pb.Trust:
        return self._client.call(self._stub.GetTrust, pb.GetTrustRequest(), pb.Trust)

    def revoke(self, request: pb.RevokeRequest) -> pb.Revocation:
        return self._client.call(self._stub.Revoke, request, pb.Revocation, told_by="xdsctl cert revocations")

    def revocations(self) -> Sequence[pb.Revocation]:
        request = pb.ListRevocationsRequest()
        return self._client.call(self._stub.ListRevocations, request, pb.ListRevocationsResponse).revocations

    def issued(self, identity: str) -> Sequence[pb.IssuedCertificate]:
        request = pb.ListIssuedRequest(identity=identity)
        return self._client.call(self._stub.ListIssued, request, pb.ListIssuedResponse).certificates

    def restore(self, request: pb.RestoreRequest) -> pb.Revocation:
        return self._client.call(
            self._stub.Restore, request, pb.Revocation, told_by="xdsctl cert revocations"
        )

    def rotation(self) -> pb.Rotation:
        return self._client.call(self._stub.GetRotation, pb.GetRotationRequest(), pb.Rotation)

    def rotate(self, request: pb.RotateRequest) -> pb.Rotation:
        return self._client.call(self._stub.Rotate, request, pb.Rotation, told_by="xdsctl ca rotate --status")
