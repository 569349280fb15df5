"""``truechimer import``: measurements of a file into a store."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from truechimer.errors import UserError
from truechimer.lineprotocol import encode_lines
from truechimer_cli.files import how_to_read, import_file, summary
from truechimer_cli.output import show, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@how_to_read
@click.option("--store", metavar="ADDRESS", help="http://HOST:8723 or embedded:DIR. [default: the nearest]")
@click.option("--cluster", help="Its cluster. [default: imported]")
@click.option("--node", help="The node that measured. [default: here]")
@click.option("--peer", help="Whom it probed. [default: as ping says, else there]")
@click.option("--source", help="What stopped; a csv with it holds pauses. [default: jvm or imported]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def import_(
    file: Path,
    format_: str | None,
    reading: dict[str, str],
    store: str | None,
    *,
    as_json: bool,
    **names: str | None,
) -> int:
    """Measurements that you already have become samples of a store: every answer then works on them.

    csv: a header with time (Unix seconds or ISO 8601) and rtt_s (empty: lost) or duration_s; ping: what
    iputils ping prints, with or without -D; jvm-gc-log: HotSpot's logs, unified or older; hlog: HdrHistogram
    logs of jHiccup. Files may be gzipped. Lines that cannot be read are counted, and the first is shown.
    The same file imported twice is stored once.

    Example: truechimer import ping.txt --format ping --node db-1 --store embedded:/var/tmp/store
    """
    if format_ is None:
        raise UserError("import goes with --format", hint="csv, ping, jvm-gc-log or hlog")
    from truechimer_cli.nearest import default_store

    named = {name: value for name, value in names.items() if value is not None}
    with _writing(default_store() if store is None else store) as write:
        document = import_file(file, {"format": format_, **reading, **named}, write)
    if as_json:
        write_json(document)
    else:
        show(*summary(document))
    return 0


@contextmanager
def _writing(address: str) -> Iterator[Callable[[Any], object]]:
    """Where batches go: a function that returns once its batch is durable."""
    from truechimer_cli.asking import need_analyzer
    from truechimer_cli.overhttp import post_lines

    scheme, _, rest = address.partition(":")
    if scheme in {"http", "https"}:
        yield lambda batch: post_lines(address, encode_lines(batch.samples))
        return
    if scheme != "embedded" or not rest:
        raise UserError(f"{address!r} takes no imports", hint="write http://HOST:8723 or embedded:DIR")
    need_analyzer()
    stores: Any = importlib.import_module("truechimer_analyzer.stores")
    opened: list[Any] = []

    def write(batch: Any) -> object:  # noqa: ANN401 - a Batch
        # A file that holds nothing leaves no store behind.
        if not opened:
            opened.append(stores.open_store(address))
        return opened[0].write(batch)

    try:
        yield write
    finally:
        for each in opened:
            each.close()
