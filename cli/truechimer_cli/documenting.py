"""docs/commands.md from the commands' own help: ``python -m truechimer_cli.documenting``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from truechimer_cli.main import COMMANDS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 100
_HEAD = """\
# Commands

Generated from the commands' own help by `make generate`: do not edit. JSON documents have units in their
names, `null` for what is unknown, and never NaN. With `--json`, an error is `{"error": …, "hint": …}` on
stdout, and the same words on stderr.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | bad news, with `--check`; for `up`: a daemon ended by itself |
| 2 | wrong usage or configuration |
| 3 | the agent, the store or a trustworthy bound is not there |
| 4 | too little data to answer; the message says how much longer to wait |
| 130 | Ctrl-C (`up` ends with 0: Ctrl-C is its normal end) |

| variable | meaning |
|---|---|
| `TRUECHIMER_DATA_DIR` | the folder of `up` |
| `TRUECHIMER_RUNTIME_DIR` | where the agent's segment is, for `now`, `doctor` and `truechimer.clock` |
| `TRUECHIMER_TOKEN_FILE` | a file with the token for an analyzer that asks for one |

Without `--store` the answering commands ask an analyzer on 127.0.0.1:8723, else the folder of `up`, else
/var/lib/truechimer/analyzer.
"""


def document() -> str:
    """The whole page."""
    root = click.Context(
        cli, info_name="truechimer", terminal_width=_WIDTH, help_option_names=["-h", "--help"]
    )
    parts = [_HEAD]
    for context in _commands(root):
        help_text = "\n".join(line.rstrip() for line in context.get_help().splitlines())
        parts.append(f"## {context.command_path}\n\n```text\n{help_text}\n```\n")
    return "\n".join(parts)


def _commands(root: click.Context) -> Iterator[click.Context]:
    """A context for every command that is not itself a group, in the table's order."""
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        if not isinstance(command, click.Group):
            yield context
            continue
        for inner_name in command.list_commands(context):
            inner = command.get_command(context, inner_name)
            assert inner is not None
            yield click.Context(inner, info_name=inner_name, parent=context)


if __name__ == "__main__":
    sys.stdout.write(document())
