"""Which services, rules and routes count for whom: the published API's visibility, precedence and conflict rules.

All functions here are queries (see ``graph``): their arguments are their identity and what they read is recorded.
"""

from xdsd.compile.resolve.egress import (
    ALL_HOSTS,
    EVERYTHING,
    Egress,
    EgressHosts,
    egress_of,
    imports,
    scope_services,
    service_for,
)
from xdsd.compile.resolve.inspections import Standing, inspections, is_own, is_read_somewhere
from xdsd.compile.resolve.routing import (
    destination_service,
    request_destinations,
    virtual_service_for,
    virtual_service_spec,
)
from xdsd.compile.resolve.rules import merged_rule, rule_spec, rules_for
from xdsd.compile.resolve.sections import SECTIONS, Section, section_of, sections_of
from xdsd.compile.resolve.sidecars import allow_any, default_sidecar, shapes_egress, sidecar_for, sidecar_spec
from xdsd.compile.resolve.views import Client, Home, View, client_towards, reads_towards, view_of
from xdsd.compile.resolve.visibility import (
    Labels,
    exported_to,
    exports,
    host_matches,
    sees,
    selects,
    settings,
)

__all__ = [
    "ALL_HOSTS",
    "EVERYTHING",
    "SECTIONS",
    "Client",
    "Egress",
    "EgressHosts",
    "Home",
    "Labels",
    "Section",
    "Standing",
    "View",
    "allow_any",
    "client_towards",
    "default_sidecar",
    "destination_service",
    "egress_of",
    "exported_to",
    "exports",
    "host_matches",
    "imports",
    "inspections",
    "is_own",
    "is_read_somewhere",
    "merged_rule",
    "reads_towards",
    "request_destinations",
    "rule_spec",
    "rules_for",
    "scope_services",
    "section_of",
    "sections_of",
    "sees",
    "selects",
    "service_for",
    "settings",
    "shapes_egress",
    "sidecar_for",
    "sidecar_spec",
    "view_of",
    "virtual_service_for",
    "virtual_service_spec",
]
