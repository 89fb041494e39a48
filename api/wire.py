"""References and problems between their values and their messages."""

from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

FAULT = "xdsd-fault"
"""Trailing metadata of a call that failed though the daemon lives; its value says what is out of order."""
WARNING = "xdsd-warning-bin"
"""Trailing metadata of a write in etcd's API: what admission remarks, one entry each."""

_SEVERITIES = {Severity.ERROR: pb.SEVERITY_ERROR, Severity.WARNING: pb.SEVERITY_WARNING}


def ref_to_wire(ref: ObjectRef) -> pb.ObjectRef:
    """The reference's message."""
    return pb.ObjectRef(kind=ref.kind, namespace=ref.namespace, name=ref.name)


def ref_from_wire(ref: pb.ObjectRef) -> ObjectRef:
    """The reference."""
    return ObjectRef(ref.kind, ref.namespace, ref.name)


def problem_to_wire(problem: Problem) -> pb.Problem:
    """The problem's message."""
    return pb.Problem(
        reason=problem.reason.value,
        message=problem.message,
        object=ref_to_wire(problem.object) if problem.object else None,
        path=problem.path,
        file=problem.file,
        line=problem.line,
        severity=_SEVERITIES[problem.severity],
    )


def problem_from_wire(problem: pb.Problem) -> Problem:
    """The problem; a reason that this side does not know yet reads as InvalidValue."""
    known = {reason.value for reason in Reason}
    return Problem(
        reason=Reason(problem.reason) if problem.reason in known else Reason.INVALID_VALUE,
        message=problem.message,
        object=ref_from_wire(problem.object) if problem.HasField("object") else None,
        path=problem.path,
        file=problem.file,
        line=problem.line,
        severity=Severity.WARNING if problem.severity == pb.SEVERITY_WARNING else Severity.ERROR,
    )
