"""etcdserverpb.Cluster: the daemons that share the store are its members."""

from typing import Any

from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.access.caller import Right, require_somewhere
from api.ports import Member, Members
from api.services.etcd.errors import Context, unimplemented
from api.services.etcd.headers import Headers

Message = Any  # aetcd's generated messages carry no type information

_HOW = "a daemon is a member for as long as it runs on this store: start one, or stop it"


class ClusterService(services.ClusterServicer):  # type: ignore[misc]  # generated without types
    """Members."""

    def __init__(self, members: Members, headers: Headers) -> None:
        self._members = members
        self._headers = headers

    async def MemberList(self, _request: Message, _context: Context) -> Message:  # noqa: N802
        require_somewhere(Right.OBSERVE)
        found = [_member(each) for each in await self._members.list()]
        return rpc.MemberListResponse(header=await self._headers.now(), members=found)

    MemberAdd = unimplemented(_HOW)
    MemberRemove = unimplemented(_HOW)
    MemberUpdate = unimplemented(_HOW)
    MemberPromote = unimplemented(_HOW)


def _member(member: Member) -> Message:
    return rpc.Member(
        ID=member.id, name=member.name, peerURLs=[_url(member.xds)], clientURLs=[_url(member.admin)]
    )


def _url(address: str) -> str:
    return address if address.startswith("unix:") else f"http://{address}"
