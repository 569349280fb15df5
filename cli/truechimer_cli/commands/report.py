"""The ``report`` command: where each form of a report goes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from truechimer.errors import PeerError, UserError
from truechimer_cli.asking import ask
from truechimer_cli.commands.answers import answering
from truechimer_cli.output import write_json
from truechimer_cli.presentsettings import product_options

STDOUT = "-"


@click.command()
@answering
@click.option("--md", "markdown", metavar="OUT|-", help="Write Markdown to a file; - is stdout.")
@click.option("--html", metavar="OUT|-", help="Write HTML, one file with its plots; - is stdout.")
@click.option(
    "--product",
    "products",
    multiple=True,
    metavar="NAME[@VERSION]",
    help="As for timeouts; may be repeated.",
)
@click.option("--current", metavar="FILE|-", help="As for timeouts.")
@click.option("--false-per-month", metavar="N", help="As for timeouts.")
@click.option("--detect-within", metavar="5s", help="As for timeouts.")
@click.option("--rate", metavar="HZ", help="As for timeouts.")
@click.option("--heartbeat", metavar="1s", help="As for timeouts.")
def report(
    query: dict[str, str],
    store: str | None,
    *,
    as_json: bool,
    check: bool,  # noqa: ARG001 - a report has no verdict of its own
    markdown: str | None,
    html: str | None,
    products: tuple[str, ...],
    current: str | None,
    **asked: str | None,
) -> int:
    """Clocks, delays, pauses and timeouts in one document: as Markdown, as HTML with plots, or both.

    Without --md and --html Markdown goes to stdout. --json prints the documents that the report is made of,
    beside the Markdown.

    Example: truechimer report --since 24h --html report.html
    """
    if markdown is None and html is None and not as_json:
        markdown = STDOUT
    if [markdown, html, STDOUT if as_json else None].count(STDOUT) > 1:
        raise UserError("only one of --md -, --html - and --json can go to stdout", hint="name a file")
    query |= {name: value for name, value in asked.items() if value is not None}
    query |= product_options(products, current)
    wanted = {"md": markdown is not None or as_json, "html": html is not None, "json": as_json}
    formats = ",".join(form for form, is_wanted in wanted.items() if is_wanted)
    # Markdown alone is what an analyzer gives untold, one of an earlier version too.
    document = ask("report", query if formats == "md" else {**query, "format": formats}, store)
    if markdown is not None:
        _write(markdown, document.get("markdown"), "Markdown")
    if html is not None:
        _write(html, document.pop("html", None), "HTML")
    if as_json:
        write_json(document)
    return 0


def _write(out: str, text: object, form: str) -> None:
    """A report to a file, or to stdout for -."""
    if not isinstance(text, str):
        raise PeerError(
            f"asking for a report: the answer holds no {form}", hint="is the analyzer of this version?"
        )
    if out == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"writing {out}: {error.strerror}") from error
