"""etcdserverpb.Auth: a token for a name and a password; everything else about users is xdsctl's."""

from typing import Any

from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.access.proving import Prover
from api.services.etcd.errors import Context, unimplemented
from api.services.etcd.headers import Headers

Message = Any  # aetcd's generated messages carry no type information

_USERS = "users and their roles are told by `xdsctl user` and `xdsctl role`"


class AuthService(services.AuthServicer):  # type: ignore[misc]  # generated without types
    """Authentication."""

    def __init__(self, prover: Prover, headers: Headers) -> None:
        self._prover = prover
        self._headers = headers

    async def Authenticate(self, request: Message, context: Context) -> Message:  # noqa: N802
        token = await self._prover.authenticate(request.name, request.password, self._prover.origin(context))
        return rpc.AuthenticateResponse(header=await self._headers.now(), token=token)

    async def AuthStatus(self, _request: Message, _context: Context) -> Message:  # noqa: N802
        return rpc.AuthStatusResponse(
            header=await self._headers.now(), enabled=not self._prover.lets_anybody, authRevision=1
        )

    AuthEnable = unimplemented(
        "authentication is told by the daemon's settings admin-client-ca and admin-anonymous"
    )
    AuthDisable = AuthEnable
    UserAdd = unimplemented(_USERS)
    UserGet = UserAdd
    UserList = UserAdd
    UserDelete = UserAdd
    UserChangePassword = UserAdd
    UserGrantRole = UserAdd
    UserRevokeRole = UserAdd
    RoleAdd = UserAdd
    RoleGet = UserAdd
    RoleList = UserAdd
    RoleDelete = UserAdd
    RoleGrantPermission = UserAdd
    RoleRevokePermission = UserAdd
