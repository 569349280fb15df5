"""Importing a file into a store, and answering a question about a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import NotEnough, UserError
from truechimer_analyzer.importing import csv, hlog, jvmgclog, ping
from truechimer_analyzer.importing.columns import columns
from truechimer_analyzer.importing.found import MS
from truechimer_analyzer.importing.lines import blocks_of, singly
from truechimer_analyzer.importing.placing import Labels, Tally, placed
from truechimer_analyzer.importing.samples import batches, check_label
from truechimer_analyzer.window import iso, parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from truechimer_analyzer.importing.csv import Kind
    from truechimer_analyzer.importing.found import Block, Found, Line
    from truechimer_analyzer.stores import Batch

FORMATS = ("csv", "ping", "jvm-gc-log", "hlog")
BEGIN = "2000-01-01T00:00:00Z"
"""Where files without a time of day begin: a day that nobody takes for a measurement's."""
CLUSTER, NODE, PEER = "imported", "here", "there"
_SOURCES = {"csv": "imported", "ping": "imported", "jvm-gc-log": "jvm", "hlog": "jvm"}


@dataclass(frozen=True, slots=True)
class Wish:
    """How a file is to be read, as the command's options say it; None where nothing was said."""

    format: str
    time_column: str | None = None
    value_column: str | None = None
    unit: str | None = None
    begin: str | None = None
    interval: str | None = None
    cluster: str | None = None
    node: str | None = None
    peer: str | None = None
    source: str | None = None
    kind: Kind | None = None

    def labels(self) -> Labels:
        """The names of what is measured; UserError for one that is none."""
        named = {
            name: value if value is None else check_label(name, value)
            for name, value in (
                ("cluster", self.cluster),
                ("node", self.node),
                ("peer", self.peer),
                ("source", self.source),
            )
        }
        source = _SOURCES[self.format]
        return Labels(
            cluster=named["cluster"] or CLUSTER,
            node=named["node"] or NODE,
            peer=named["peer"] or PEER,
            source=named["source"] or source,
            runtime=source,
            is_peer_asked=self.peer is not None,
            is_source_asked=self.source is not None,
        )

    def check(self) -> None:
        """Raises UserError for a format or unit that is none, and for an option that the format has not."""
        if self.format not in FORMATS:
            raise UserError(f"--format {self.format!r} is unknown", hint=f"one of {', '.join(FORMATS)}")
        if self.unit is not None and self.unit not in csv.UNITS_S:
            raise UserError(f"--unit {self.unit!r} is unknown", hint=f"one of {', '.join(csv.UNITS_S)}")
        takes = {
            "time-column": (self.time_column, ("csv",)),
            "value-column": (self.value_column, ("csv",)),
            "unit": (self.unit, ("csv", "hlog")),
            "interval": (self.interval, ("ping",)),
            "begin": (self.begin, ("ping", "jvm-gc-log", "hlog")),
        }
        for option, (value, formats) in takes.items():
            if value is not None and self.format not in formats:
                raise UserError(f"--{option} is for --format {' and '.join(formats)}, not for {self.format}")

    def parse(self, blocks: Iterable[Line | Block]) -> Iterator[Found]:
        """What the lines tell."""
        begin_ns = parse_time(self.begin or BEGIN, "begin")
        if self.format == "csv":
            kind = self.kind or ("pauses" if self.source is not None else None)
            return csv.parse(singly(blocks), csv.Layout(self.time_column, self.value_column, self.unit, kind))
        if self.format == "ping":
            interval_s = (
                ping.INTERVAL_S if self.interval is None else parse_duration(self.interval, "interval")
            )
            return ping.parse(blocks, begin_ns, interval_s)
        if self.format == "jvm-gc-log":
            return jvmgclog.parse(singly(blocks), begin_ns)
        return hlog.parse(
            singly(blocks), begin_ns, hlog.NS_S if self.unit is None else csv.UNITS_S[self.unit]
        )


def import_file(path: Path, wish: Wish, write: Callable[[Batch], object]) -> dict[str, object]:
    """Hand the measurements of a file to ``write``, batch by batch; what became of its lines.

    Raises NothingThere and UserError where the file cannot be read or holds nothing of its format, and
    what ``write`` raises: batches before that are stored, and are known when the file is imported again.
    """
    wish.check()
    labels, tally = wish.labels(), Tally()
    with blocks_of(path) as blocks:
        for batch in batches(placed(wish.parse(blocks), tally), labels):
            write(batch)
    return _document(path, wish, tally)


def answer_file(command: str, options: Mapping[str, str], path: Path, wish: Wish) -> dict[str, object]:
    """The document of ``command`` about a file, over all of it unless the options say when.

    It holds what became of the file's lines as ``import``. Raises what the answer raises, too, with that
    in its ``document`` where it has one.
    """
    from truechimer_analyzer.answers import answer
    from truechimer_analyzer.stores.inmemory import InMemoryStore

    wish.check()
    labels, tally = wish.labels(), Tally()
    with blocks_of(path) as blocks:
        kept = columns(placed(wish.parse(blocks), tally), labels)
    imported = _document(path, wish, tally)
    from_ns, to_ns = _window(tally)
    asked = dict(options)
    if not asked.keys() & {"since", "from"}:
        asked["from"] = iso(from_ns)
    if "since" not in asked and "to" not in asked:
        asked["to"] = iso(to_ns)
    try:
        return {**answer(command, asked, InMemoryStore(kept, to_ns)), "import": imported}
    except NotEnough as error:
        document = getattr(error, "document", None)
        if isinstance(document, dict):
            document["import"] = imported
        raise


def _window(tally: Tally) -> tuple[int, int]:
    """The span, to whole milliseconds, its end beyond the last measurement."""
    assert tally.from_ns is not None
    assert tally.to_ns is not None
    # Times that are asked for are floats of seconds on their way: right to some 0.2 us only.
    return tally.from_ns // MS * MS, (tally.to_ns // MS + 2) * MS


def _document(path: Path, wish: Wish, tally: Tally) -> dict[str, object]:
    first = tally.first
    told = None if first is None else {"line": first.number, "text": first.text, "why": first.why}
    if tally.from_ns is None:
        raise UserError(
            f"nothing in {path} could be read as {wish.format}: "
            + (
                "no line of it tells a measurement"
                if first is None
                else f"{tally.refused} lines refused, first line {first.number}: {first.why}"
            ),
            hint=f"is it of another format? --format is one of {', '.join(FORMATS)}",
        )
    from_ns, to_ns = _window(tally)
    return {
        "imported": tally.imported,
        "refused": tally.refused,
        "from": iso(from_ns),
        "to": iso(to_ns),
        "first_refused": told,
        "notes": tally.notes,
    }
