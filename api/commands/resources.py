"""``xdsctl api-resources`` and ``xdsctl schema``: which kinds there are and what may stand in them."""

import click

from api.commands.kind import KIND
from api.commands.output import DataFormat, print_data, print_table, to_json
from api.kinds import CATALOG_KINDS
from xdsd.model.intent import KINDS, Kind
from xdsd.model.intent.kinds import CATALOG
from xdsd.model.intent.schema import field_lines, json_schema


@click.command(name="api-resources")
@click.option(
    "-o", "--output", type=click.Choice(["json", "yaml", "wide", "name"]), help="Data, or names alone."
)
def api_resources(output: str | None) -> None:
    """List the kinds of objects; those that registries report are only read, with get and describe."""
    kinds = sorted(KINDS.values(), key=lambda kind: kind.plural)
    if output in {"json", "yaml"}:
        print_data(
            {
                "resources": [
                    {
                        "name": kind.plural,
                        "singularName": kind.singular,
                        "shortNames": list(kind.short_names),
                        "group": kind.group,
                        "versions": list(kind.versions),
                        "namespaced": True,
                        "kind": kind.kind,
                        "readOnly": False,
                    }
                    for kind in kinds
                ]
                + [
                    {
                        "name": kind.plural,
                        "singularName": kind.singular,
                        "shortNames": list(kind.short_names),
                        "group": CATALOG,
                        "versions": ["v1"],
                        "namespaced": True,
                        "kind": kind.kind,
                        "readOnly": True,
                    }
                    for kind in CATALOG_KINDS
                ]
            },
            output,
        )
    elif output == "name":
        for kind in kinds:
            click.echo(f"{kind.plural}.{kind.group}")
        for reported in CATALOG_KINDS:
            click.echo(f"{reported.plural}.{CATALOG}")
    else:
        columns = ("NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "READ-ONLY", "VERSIONS")
        width = len(columns) if output == "wide" else len(columns) - 1
        rows = [
            (
                kind.plural,
                ",".join(kind.short_names),
                kind.preferred,
                "true",
                kind.kind,
                "false",
                ",".join(kind.versions),
            )
            for kind in kinds
        ]
        rows += [
            (
                kind.plural,
                ",".join(kind.short_names),
                f"{CATALOG}/v1",
                "true",
                kind.kind,
                "true",
                "v1",
            )
            for kind in CATALOG_KINDS
        ]
        print_table(columns[:width], [row[:width] for row in rows])


@click.command()
@click.argument("kind", required=False, type=KIND)
@click.option(
    "--fields", is_flag=True, help="One line a leaf: kind, path, type, and yes or refused, with tabs."
)
@click.option("-o", "--output", type=DataFormat, default="json", help="How the schema is written.")
def schema(kind: Kind | None, fields: bool, output: str) -> None:
    """Print the JSON Schema of a kind, or of all; editors check and complete with it."""
    if fields:
        for line in field_lines(kind.kind if kind else None):
            click.echo(f"{line.kind}\t{line.path}\t{line.type}\t{'yes' if line.supported else 'refused'}")
        return
    if kind:
        print_data(json_schema(kind.kind), output)
        return
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Any object",
        "oneOf": [
            {key: value for key, value in json_schema(name).items() if key != "$schema"} for name in KINDS
        ],
    }
    click.echo(to_json(whole)) if output == "json" else print_data(whole, output)
