"""What policies decide, as the admin API's messages."""

from collections.abc import Iterable

from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.authorization.deciding import Match, Miss
from xdsd.authorization.parties import Party
from xdsd.authorization.reach import Cell, Verdict
from xdsd.model.problem import ObjectRef


def verdicts_to_wire(verdicts: Iterable[Verdict]) -> pb.CanResponse:
    """Verdicts in their order."""
    return pb.CanResponse(verdicts=[_verdict(each) for each in verdicts])


def cells_to_wire(cells: Iterable[Cell]) -> pb.MatrixResponse:
    """Cells in their order."""
    found = [
        pb.MatrixCell(source=each.source, target=each.target, port=each.port, outlook=each.outlook.value)
        for each in cells
    ]
    return pb.MatrixResponse(cells=found)


def _verdict(verdict: Verdict) -> pb.AuthorizationVerdict:
    decision = verdict.decision
    made = pb.AuthorizationVerdict(
        source=_party(verdict.source),
        target=_party(verdict.target),
        port=verdict.port,
        http=verdict.http,
        allowed=verdict.allowed,
        why=verdict.refused or decision.why.value,
        asked=[_match(each) for each in decision.asked],
        audited=[_match(each) for each in decision.audited],
        tried=[_match(each) for each in decision.tried],
        identity_lost=verdict.lost,
    )
    if verdict.refused:
        return made
    if decision.by is not None:
        made.by.CopyFrom(_match(decision.by))
    if decision.nearest is not None:
        made.nearest.CopyFrom(_miss(decision.nearest))
        for each in decision.nearest.failures:
            made.failures.add(path=each.path, wants=each.wants, negated=each.negated, has=each.has)
    return made


def _party(party: Party) -> pb.AuthorizationParty:
    return pb.AuthorizationParty(
        name=party.name, identity=party.peer, address=party.address, labels=dict(party.labels)
    )


def _match(match: Match) -> pb.AuthorizationRule:
    return pb.AuthorizationRule(
        policy=_ref(match.policy), rule=match.rule, action=match.action.value, provider=match.provider
    )


def _miss(miss: Miss) -> pb.AuthorizationRule:
    return pb.AuthorizationRule(policy=_ref(miss.policy), rule=miss.rule, action=miss.action.value)


def _ref(ref: ObjectRef) -> pb.ObjectRef:
    return pb.ObjectRef(kind=ref.kind, namespace=ref.namespace, name=ref.name)
