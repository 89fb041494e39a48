"""Which revision of the store the newest change of objects is."""

import json

import grpc

from api.client import Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services


def newest_change(client: Client) -> int:
    """Of the newest record of history, which knows removals too; of the newest object where there is no record."""
    return _newest_record(client) or _newest_object(client)


def newest_change_of_objects(client: Client) -> int:
    """The same where somebody may have written to the store past the daemons."""
    return max(_newest_record(client), _newest_object(client))


def _newest_record(client: Client) -> int:
    """0 without any, and where the daemon keeps none."""
    try:
        answer = services.HistoryStub(client.channel).List(pb.ListHistoryRequest(limit=1), timeout=30)
    except grpc.RpcError as error:
        translated = client.translated(error)
        if translated.code is grpc.StatusCode.UNIMPLEMENTED:
            return 0
        raise translated from error
    return max((record.revision for record in answer.records), default=0)


def _newest_object(client: Client) -> int:
    versions = (json.loads(item.json)["metadata"].get("resourceVersion") for item in client.list().objects)
    return max((int(version) for version in versions if version), default=0)
