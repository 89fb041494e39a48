"""``xdsctl lease``: keys that go by themselves, in etcdctl's words."""

import base64
import time

import click

from api.commands.connection import Connection, pass_connection
from api.commands.etcd_output import (
    flat_json,
    header_fields,
    output_options,
    print_fields,
    print_ours,
    print_raw,
    text,
    view,
)
from api.commands.hints import HintedGroup
from api.commands.interrupt import interruptible
from api.commands.kv.operations import LEASE
from api.etcd_client import EtcdClient, Message


@click.group(cls=HintedGroup)
def lease() -> None:
    """Grant leases, look at them, keep them alive and end them.

    A key that was put with a lease is removed when nobody kept the lease alive.
    """


@lease.command()
@click.argument("ttl", type=click.IntRange(min=1))
@click.option("--dry-run", is_flag=True, help="Say what would be, and grant nothing.")
@output_options
@pass_connection
def grant(
    connection: Connection, ttl: int, dry_run: bool, write_out: str | None, output: str | None, hexed: bool
) -> None:
    """Make a lease of TTL seconds."""
    shown = view(write_out, output, hexed)
    if dry_run:
        click.echo(f"a lease would be granted with TTL({ttl}s) (dry run)")
        return
    with connection.client() as client:
        found = EtcdClient(client).grant(ttl)
    if shown.form == "ours":
        print_ours({"lease": f"{found.ID:016x}", "ttl": found.TTL})
    elif shown.form == "json":
        print_raw(flat_json(found, ID=found.ID, TTL=found.TTL, Error=found.error))
    elif shown.form == "fields":
        print_fields([*header_fields(found.header), ("ID", found.ID), ("TTL", found.TTL)])
    else:
        click.echo(f"lease {_id(found.ID)} granted with TTL({found.TTL}s)")


@lease.command()
@click.argument("lease_id", type=LEASE)
@click.option("--dry-run", is_flag=True, help="Say which keys would be removed, and remove none.")
@output_options
@pass_connection
def revoke(
    connection: Connection,
    lease_id: int,
    dry_run: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
) -> None:
    """End a lease and remove its keys."""
    shown = view(write_out, output, hexed)
    with connection.client() as client:
        etcd = EtcdClient(client)
        if dry_run:
            found = etcd.time_to_live(lease_id, keys=True)
            if found.TTL < 0:
                raise click.ClickException(f"there is no lease {_id(lease_id)}")
            for key in found.keys:
                click.echo(b"%b deleted (dry run)" % shown.bytes(key))
            click.echo(f"lease {_id(lease_id)} revoked (dry run)")
            return
        found = etcd.revoke(lease_id)
    if shown.form == "ours":
        print_ours({"lease": f"{lease_id:016x}", "revoked": True})
    elif shown.form == "json":
        print_raw(flat_json(found))
    elif shown.form == "fields":
        print_fields(header_fields(found.header))
    else:
        click.echo(f"lease {_id(lease_id)} revoked")


@lease.command()
@click.argument("lease_id", type=LEASE)
@click.option("--keys", is_flag=True, help="The keys of the lease, too.")
@output_options
@pass_connection
def timetolive(
    connection: Connection,
    lease_id: int,
    keys: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
) -> None:
    """Tell how long a lease has left."""
    shown = view(write_out, output, hexed)
    with connection.client() as client:
        found = EtcdClient(client).time_to_live(lease_id, keys=keys)
    if shown.form == "ours":
        listed = [text(key) for key in found.keys] if keys else None
        print_ours(
            {"lease": f"{lease_id:016x}", "ttl": found.TTL, "granted": found.grantedTTL, "keys": listed}
        )
    elif shown.form == "json":
        about = {"id": lease_id, "ttl": found.TTL, "granted-ttl": found.grantedTTL}
        print_raw(flat_json(found, **about, keys=_base64(found) or None))
    elif shown.form == "fields":
        about_it = [("ID", lease_id), ("TTL", found.TTL), ("GrantedTTL", found.grantedTTL)]
        print_fields([*header_fields(found.header), *about_it, *(("Key", key) for key in found.keys)])
    elif found.TTL < 0:
        click.echo(f"lease {_id(lease_id)} already expired")
    else:
        attached = b", attached keys([%b])" % b" ".join(map(shown.bytes, found.keys)) if keys else b""
        click.echo(
            f"lease {_id(lease_id)} granted with TTL({found.grantedTTL}s), remaining({found.TTL}s)".encode()
            + attached
        )


@lease.command(name="list")
@output_options
@pass_connection
def list_(connection: Connection, write_out: str | None, output: str | None, hexed: bool) -> None:
    """List all leases."""
    shown = view(write_out, output, hexed)
    with connection.client() as client:
        found = EtcdClient(client).leases()
    if shown.form == "ours":
        print_ours({"leases": [f"{each.ID:016x}" for each in found.leases]})
    elif shown.form == "json":
        print_raw(flat_json(found, leases=[{"id": each.ID} for each in found.leases]))
    elif shown.form == "fields":
        print_fields([*header_fields(found.header), *(("ID", each.ID) for each in found.leases)])
    else:
        click.echo(f"found {len(found.leases)} leases")
        for each in found.leases:
            click.echo(_id(each.ID))


@lease.command(name="keep-alive")
@click.argument("lease_id", type=LEASE)
@click.option("--once", is_flag=True, help="Once, and not until interrupted.")
@output_options
@pass_connection
def keep_alive(
    connection: Connection,
    lease_id: int,
    once: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
) -> None:
    """Begin a lease's time again, over and over, until interrupted."""
    shown = view(write_out, output, hexed)
    with interruptible(), connection.client() as client:
        for found in EtcdClient(client).keep_alive(lease_id):
            if found.TTL <= 0:
                raise click.ClickException(f"lease {_id(lease_id)} expired or revoked.")
            if shown.form == "ours":
                print_ours({"lease": f"{found.ID:016x}", "ttl": found.TTL})
            elif shown.form == "json":
                print_raw(flat_json(found, ID=found.ID, TTL=found.TTL))
            elif shown.form == "fields":
                print_fields([*header_fields(found.header), ("ID", found.ID), ("TTL", found.TTL)])
            else:
                click.echo(f"lease {_id(found.ID)} keepalived with TTL({found.TTL})")
            if once:
                return
            time.sleep(max(found.TTL / 3, 0.5))


def _id(lease_id: int) -> str:
    """As etcdctl writes it."""
    return f"{lease_id:016x}"


def _base64(found: Message) -> list[str]:
    """The keys of a lease as etcdctl's JSON has them."""
    return [base64.b64encode(key).decode() for key in found.keys]
