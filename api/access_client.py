"""A client of ``xdsd.admin.v1.Access``: who may do what; over a ``Client``'s channel, as its caller.

Raises ``api.client.ApiError`` and its kinds.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc

from api.client import Client, NotFoundError
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services

_TOLD_BY = "xdsctl user show NAME"
_Response = TypeVar("_Response")


class AccessClient:
    """Each call takes what a person would say, and gives the user as it is then, or would be."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stub = services.AccessStub(client.channel)

    def whoami(self) -> pb.WhoAmIResponse:
        """The caller, as the daemon knows it."""
        return self._client.call(self._stub.WhoAmI, pb.WhoAmIRequest(), pb.WhoAmIResponse)

    def users(self) -> Sequence[pb.User]:
        return self._client.call(self._stub.ListUsers, pb.ListUsersRequest(), pb.ListUsersResponse).users

    def user(self, name: str) -> pb.User:
        """Raises NotFoundError."""
        found = next((user for user in self.users() if user.name == name), None)
        if found is None:
            raise NotFoundError(
                grpc.StatusCode.NOT_FOUND, f"there is no user {name}; xdsctl user list tells who there is"
            )
        return found

    def add(self, request: pb.AddUserRequest) -> pb.User:
        return self._write(self._stub.AddUser, request, pb.User)

    def delete(self, name: str, *, dry_run: bool = False) -> None:
        request = pb.DeleteUserRequest(name=name, dry_run=dry_run)
        self._write(self._stub.DeleteUser, request, pb.DeleteUserResponse)

    def update(self, request: pb.UpdateUserRequest) -> pb.User:
        return self._write(self._stub.UpdateUser, request, pb.User)

    def issue_token(self, name: str, ttl_seconds: int = 0, description: str = "") -> pb.IssueTokenResponse:
        """A token that lives so long; 0: until it is revoked."""
        request = pb.IssueTokenRequest(name=name, ttl_seconds=ttl_seconds, description=description)
        return self._write(self._stub.IssueToken, request, pb.IssueTokenResponse)

    def revoke_token(self, name: str, identity: str = "", *, dry_run: bool = False) -> pb.User:
        """One token, or all."""
        request = pb.RevokeTokenRequest(name=name, id=identity, dry_run=dry_run)
        return self._write(self._stub.RevokeToken, request, pb.User)

    def roles(self) -> Sequence[pb.Role]:
        return self._client.call(self._stub.ListRoles, pb.ListRolesRequest(), pb.ListRolesResponse).roles

    def grant(self, name: str, role: str, namespaces: Sequence[str], *, dry_run: bool = False) -> pb.User:
        return self._write(self._stub.Grant, _grant(name, role, namespaces, dry_run), pb.User)

    def withdraw(self, name: str, role: str, namespaces: Sequence[str], *, dry_run: bool = False) -> pb.User:
        return self._write(self._stub.Withdraw, _grant(name, role, namespaces, dry_run), pb.User)

    def _write(self, method: Callable[..., Any], request: Any, response: type[_Response]) -> _Response:
        told_by = "" if getattr(request, "dry_run", False) else _TOLD_BY
        return self._client.call(method, request, response, told_by=told_by)


def _grant(name: str, role: str, namespaces: Sequence[str], dry_run: bool) -> pb.GrantRequest:
    return pb.GrantRequest(name=name, binding=pb.Binding(role=role, namespaces=namespaces), dry_run=dry_run)
