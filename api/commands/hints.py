"""Groups of commands that tell, of a word which is none of theirs, the command that does what is most likely meant."""

from collections.abc import Mapping
from difflib import get_close_matches

import click

OTHERS: Mapping[str, str] = {
    # istioctl's
    "proxy-status": "proxies",
    "ps": "proxies",
    "proxy-config": "config",
    "pc": "config",
    # etcdctl's
    "put": "kv put",
    "del": "kv del",
    "txn": "kv txn",
    "watch": "kv watch",
    "endpoint": "status",
    "alarm": "status",
    "auth": "user",
    # kubectl's
    "explain": "schema KIND",
    "create": "apply -f FILE",
    "replace": "apply -f FILE",
    "patch": "edit KIND NAME",
    "rollout": "rollback KIND NAME --to REVISION",
}
"""Commands of the programs whose words people have in their fingers, and ours."""


class HintedGroup(click.Group):
    """``hints`` are our words for others', without the program's name."""

    hints: Mapping[str, str] = {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant. What is none is wrong usage, told with a hint where there is one."""
        word = args[0]
        if ctx.resilient_parsing or word.startswith("-") or self.get_command(ctx, word) is not None:
            return super().resolve_command(ctx, args)
        ours = self.hints.get(word, "")
        if not ours:
            close = get_close_matches(word, self.list_commands(ctx), n=1)
            ours = f"{ctx.command_path} {close[0]}".partition(" ")[2] if close else ""
        hint = f"; did you mean `{ctx.find_root().info_name} {ours}`?" if ours else ""
        raise click.UsageError(f"there is no command {word!r}{hint}", ctx)
