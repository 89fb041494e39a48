"""``xdsctl completion``: what makes a shell complete our commands."""

import click
from click.shell_completion import get_completion_class

_HOW = {
    "bash": 'add to ~/.bashrc:  eval "$(xdsctl completion bash)"',
    "zsh": 'add to ~/.zshrc:  eval "$(xdsctl completion zsh)"',
    "fish": "run:  xdsctl completion fish > ~/.config/fish/completions/xdsctl.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_HOW)))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: add to ~/.bashrc:  eval "$(xdsctl completion bash)"
    zsh:  add to ~/.zshrc:   eval "$(xdsctl completion zsh)"
    fish: xdsctl completion fish > ~/.config/fish/completions/xdsctl.fish
    """
    maker = get_completion_class(shell)
    if maker is None:
        raise click.ClickException(f"click cannot complete for {shell}")
    root = click.get_current_context().find_root().command
    click.echo(maker(root, {}, "xdsctl", "_XDSCTL_COMPLETE").source())
