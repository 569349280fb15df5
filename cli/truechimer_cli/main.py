"""The ``truechimer`` command: a table of commands, each imported only when it is run."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from truechimer import __version__
from truechimer.errors import TruechimerError

if TYPE_CHECKING:
    from collections.abc import Sequence

# name -> (module:function, what --help says of it)
COMMANDS = {
    "up": ("truechimer_cli.commands.up:up", "Measure this host and show it: agent, analyzer, page."),
    "clocks": ("truechimer_cli.commands.answers:clocks", "How wrong each clock can be, and who drifts."),
    "skew": ("truechimer_cli.commands.answers:skew", "How far apart any two clocks can be, proven."),
    "rtt": ("truechimer_cli.commands.answers:rtt", "How long the network delays, path by path."),
    "pauses": ("truechimer_cli.commands.answers:pauses", "How long hosts and processes stop, and why."),
    "stability": ("truechimer_cli.commands.answers:stability", "How steadily each clock runs, by time span."),
    "timeouts": ("truechimer_cli.commands.answers:timeouts", "What every timeout should therefore be."),
    "report": ("truechimer_cli.commands.report:report", "All of it in one document."),
    "import": (
        "truechimer_cli.commands.importing:import_",
        "Measurements that you already have, into a store.",
    ),
    "now": ("truechimer_cli.commands.now:now", "This host's interval of true time."),
    "wait": ("truechimer_cli.commands.wait:wait", "Sleep until a time is certainly past (commit wait)."),
    "doctor": (
        "truechimer_cli.commands.doctor:doctor",
        "What works on this host, what does not, how to fix it.",
    ),
    "config": (
        "truechimer_cli.commands.config:config",
        "Check a configuration file; show the effective one.",
    ),
    "agent": ("truechimer_cli.commands.daemons:agent", "The daemon that measures one host."),
    "analyzer": ("truechimer_cli.commands.daemons:analyzer", "The daemon that stores, judges and shows."),
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for by name; its help imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            near = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            if near:
                raise click.UsageError(f"no command {cmd_name!r}: did you mean {near[0]!r}?", ctx)
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), function)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine; 1 bad news (with --check); 2 wrong usage or configuration; "
    "3 no agent, store or trustworthy bound; 4 too little data to answer.",
)
@click.version_option(__version__, prog_name="truechimer")
def cli() -> None:
    """How wrong clocks can be, how long networks delay and processes stop, what timeouts should be.

    Begin with `truechimer up`.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us (head, less) has seen enough; keep the interpreter from flushing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    sys.exit(code)


def run(words: Sequence[str]) -> int:
    """The exit code of one command line; errors become one message on stderr."""
    try:
        outcome: Any = cli.main(args=list(words), prog_name="truechimer", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "truechimer"
        _complain(words, error.format_message(), f"see `{where} --help`")
        return 2
    except click.ClickException as error:
        _complain(words, error.format_message(), None)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except TruechimerError as error:
        _complain(words, str(error), error.hint)
        return error.exit_code
    return outcome if isinstance(outcome, int) else 0


def _complain(words: Sequence[str], message: str, hint: str | None) -> None:
    sys.stderr.write(f"truechimer: {as_sentences(message, hint)}\n")
    if "--json" in words:
        sys.stdout.write(json.dumps({"error": message, "hint": hint}) + "\n")


def as_sentences(message: str, hint: str | None) -> str:
    """What happened, then what to do about it."""
    parts = [message, f"{hint[0].upper()}{hint[1:]}"] if hint else [message]
    return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts)


if __name__ == "__main__":
    main()
