"""The commands of ``xdsctl kv`` together."""

import click

from api.commands.hints import HintedGroup
from api.commands.kv.compacting import compact
from api.commands.kv.reading import get
from api.commands.kv.transaction import txn
from api.commands.kv.watching import watch
from api.commands.kv.writing import delete, put


@click.group(cls=HintedGroup)
def kv() -> None:
    """Read and write the store itself, as etcdctl does.

    Objects live at /xdsd/objects/PLURAL.GROUP/NAMESPACE/NAME as JSON; what is put there is checked as `xdsctl apply`
    checks it, and refused with the same problems.
    """


for command in (get, put, delete, watch, txn, compact):
    kv.add_command(command)
