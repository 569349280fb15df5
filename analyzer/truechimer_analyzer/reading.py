"""Reading a store for an answer: what a question is about, and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.errors import UserError
from truechimer.samples import COMMON_TAGS, MEASUREMENTS
from truechimer_analyzer.stores import Columns, Series
from truechimer_analyzer.window import NS, groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from truechimer_analyzer.stores import Readable, Tally
    from truechimer_analyzer.window import Question

# Longer than any sampling interval: whoever said nothing in this time is known by the list of nodes only.
LATEST_NS = 7 * 86_400 * NS


Progress = Callable[[int, int], None]
"""Is told how many rows of a long reading are done, and how many there are."""


def silent(done: int, rows: int) -> None:
    """A Progress that nobody wants to know of."""


class Reader:
    """A store seen through a question: its window, its cluster, its node."""

    def __init__(self, store: Readable, question: Question, progress: Progress = silent) -> None:
        self._store = store
        self.question = question
        self.progress = progress
        self.known = store.nodes()
        self._check()

    def _check(self) -> None:
        """A node or cluster that was asked for must be known."""
        clusters = sorted({node.cluster for node in self.known})
        cluster, node = self.question.cluster, self.question.node
        if cluster is not None and cluster not in clusters:
            raise UserError(f"no cluster {cluster!r} is known", hint=_known("clusters", clusters))
        names = sorted({n.node for n in self.known if cluster in (None, n.cluster)})
        if node is not None and node not in names:
            raise UserError(f"no node {node!r} is known", hint=_known("nodes", names))

    def rows(
        self,
        measurement: str,
        fields: Sequence[str],
        *,
        since_ns: int | None = None,
        nodes: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Columns:
        """The window's rows, or those since ``since_ns``; of ``nodes``, else of those asked for."""
        window = self.question.window
        return self._store.samples(
            measurement,
            fields,
            window.since_ns if since_ns is None else since_ns,
            window.until_ns,
            nodes=self._nodes() if nodes is None else nodes,
            cluster=self.question.cluster,
            tags=tags,
        )

    def tally(
        self,
        measurement: str,
        by: Sequence[str],
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        nodes: Sequence[str] | None = None,
    ) -> list[Tally]:
        """The series of the window, or of a stretch of it; of ``nodes``, else of those asked for."""
        window = self.question.window
        return self._store.tally(
            measurement,
            by,
            window.since_ns if since_ns is None else since_ns,
            window.until_ns if until_ns is None else until_ns,
            nodes=self._nodes() if nodes is None else nodes,
            cluster=self.question.cluster,
        )

    def series(
        self,
        measurement: str,
        fields: Sequence[str],
        by: Sequence[str],
        of: Sequence[Tally],
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> Iterator[Series]:
        """These of ``tally`` over the same stretch, one whole after the other."""
        window = self.question.window
        return self._store.series(
            measurement,
            fields,
            by,
            of,
            window.since_ns if since_ns is None else since_ns,
            window.until_ns if until_ns is None else until_ns,
        )

    def every_series(
        self,
        measurement: str,
        fields: Sequence[str],
        by: Sequence[str],
        nodes: Sequence[str] | None = None,
    ) -> Iterator[Series]:
        """All series of the window, of ``nodes`` or else of those asked for, one whole after the other."""
        found = self.tally(measurement, by, nodes=nodes)
        return self.series(measurement, fields, by, found)

    def latest(self, measurement: str, fields: Sequence[str]) -> Columns:
        """The newest row of each series: by arrival for an answer about now, else by its own stamp."""
        window = self.question.window
        if not window.open:
            return _newest(self.rows(measurement, fields))
        return self._store.latest(
            measurement,
            fields,
            received_since_ns=min(window.since_ns, window.as_of_ns - LATEST_NS),
            nodes=self._nodes(),
            cluster=self.question.cluster,
        )

    def seen_ns(self) -> dict[tuple[str, ...], int]:
        """When anything last arrived from each (cluster, node) that was asked for."""
        cluster, node = self.question.cluster, self.question.node
        return {
            (each.cluster, each.node): each.last_received_ns
            for each in self.known
            if cluster in (None, each.cluster) and node in (None, each.node)
        }

    def whole(self) -> Reader:
        """The same question of every node: for what one node's answer needs of the others."""
        return Reader(self._store, replace(self.question, node=None), self.progress)

    def _nodes(self) -> Sequence[str] | None:
        return None if self.question.node is None else [self.question.node]


def _newest(columns: Columns) -> Columns:
    """The last row of each series of rows in time order."""
    rows = np.sort([series[-1] for _, series in groups(*columns.tags.values())]).astype(np.intp)
    return Columns(
        columns.measurement,
        columns.time_ns[rows],
        columns.received_ns[rows],
        {name: values[rows] for name, values in columns.tags.items()},
        {name: values[rows] for name, values in columns.fields.items()},
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """Rows of one measurement, read in parts, one part after the other."""
    first = parts[0]
    return Columns(
        first.measurement,
        np.concatenate([part.time_ns for part in parts]),
        np.concatenate([part.received_ns for part in parts]),
        {name: np.concatenate([part.tags[name] for part in parts]) for name in first.tags},
        {name: np.concatenate([part.fields[name] for part in parts]) for name in first.fields},
    )


def split(columns: Columns, by: Sequence[str]) -> Iterator[Series]:
    """Rows that are in memory as series told apart by the tags ``by``, in order of their keys."""
    for key, rows in groups(*(columns.tags[tag] for tag in by)):
        own = rows[np.argsort(columns.time_ns[rows], kind="stable")]
        values = {name: column[own] for name, column in columns.fields.items()}
        yield Series(key, columns.time_ns[own], values)


def nothing(measurement: str, fields: Sequence[str]) -> Columns:
    """No rows."""
    tags = (*COMMON_TAGS, *MEASUREMENTS[measurement].tags)
    times = np.zeros(0, dtype=np.int64)
    return Columns(
        measurement,
        times,
        times,
        {tag: np.zeros(0, dtype=np.object_) for tag in tags},
        {name: np.zeros(0) for name in fields},
    )


def _known(what: str, names: Sequence[str]) -> str:
    return f"known {what}: {', '.join(names[:20])}" if names else f"no {what} have reported yet"
