"""Reading a store for skew: the last minutes of every node, wherever their stamps lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer.errors import NotEnough
from truechimer_analyzer.reading import joined
from truechimer_analyzer.skew.proving import SILENT_S
from truechimer_analyzer.skew.reading import (
    BOUND_FIELDS,
    CLOCK_FIELDS,
    EXCHANGE_FIELDS,
    READ_S,
    Evidence,
    has_exchanges,
    is_stamp,
)
from truechimer_analyzer.stores import Columns
from truechimer_analyzer.window import NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truechimer_analyzer.reading import Reader

DISPLACED_S = 60.0
"""A node that is heard and yet stamps its samples so far in the past is read where its stamps are."""

REMEMBERED_S = 86_400.0
"""A node that is silent is named as left out for so long; then it is taken to be no more."""


def gather(reader: Reader) -> Evidence:
    """The evidence for a question, of all nodes of its clusters. Raises NotEnough without any exchange.

    A host whose wall clock is hours off and that never had a bound of UTC stamps its samples hours off.
    """
    whole, window = reader.whole(), reader.question.window
    displaced = _displaced(whole)
    others = None
    if displaced:
        others = sorted({node.node for node in whole.known} - displaced.keys())
    read_ns = round(READ_S * NS)

    def rows(measurement: str, fields: Sequence[str]) -> Columns:
        parts = [whole.rows(measurement, fields, since_ns=window.as_of_ns - read_ns, nodes=others)]
        parts += [
            whole.rows(measurement, fields, since_ns=stamp_ns - read_ns, nodes=[node])
            for node, stamp_ns in sorted(displaced.items())
        ]
        return joined(parts)

    probes = rows("truechimer_rtt", EXCHANGE_FIELDS)
    remembered_ns = window.as_of_ns - round(REMEMBERED_S * NS)
    heard_ns: dict[tuple[str, ...], int] = {
        (node.cluster, node.node): min(node.last_received_ns, window.as_of_ns)
        for node in whole.known
        if node.first_received_ns <= window.as_of_ns
        and node.last_received_ns >= remembered_ns
        and whole.question.cluster in (None, node.cluster)
    }
    evidence = Evidence(
        clocks=rows("truechimer_clock", CLOCK_FIELDS),
        bounds=rows("truechimer_bound", BOUND_FIELDS),
        exchanges=_selected(probes, np.flatnonzero(is_stamp(probes))),
        heard_ns=heard_ns,
    )
    if not has_exchanges(evidence):
        raise NotEnough(
            f"no agent has exchanged packets with another one in the {READ_S:.0f} s before",
            hint="skew is proven from probes between agents: give each a [mesh] section with its peers "
            "in agent.toml, and wait some seconds",
        )
    return evidence


def _displaced(reader: Reader) -> dict[str, int]:
    """Nodes of which something just arrived with a stamp far in the past: their newest stamp."""
    window = reader.question.window
    if not window.open:
        return {}
    newest = reader.latest("truechimer_clock", ("epoch",))
    found = (newest.received_ns >= window.as_of_ns - round(SILENT_S * NS)) & (
        newest.time_ns < window.as_of_ns - round(DISPLACED_S * NS)
    )
    stamps: dict[str, int] = {}
    for node, stamp_ns in zip(
        newest.tags["node"][found].tolist(), newest.time_ns[found].tolist(), strict=True
    ):
        stamps[node] = min(stamp_ns, stamps.get(node, stamp_ns))
    return stamps


def _selected(columns: Columns, rows: np.typing.NDArray[np.intp]) -> Columns:
    return Columns(
        columns.measurement,
        columns.time_ns[rows],
        columns.received_ns[rows],
        {name: values[rows] for name, values in columns.tags.items()},
        {name: values[rows] for name, values in columns.fields.items()},
    )
