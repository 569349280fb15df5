"""Which nodes are known: read from the tables once, then kept up to date by the writer."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from truechimer_analyzer.stores import NodeSeen
from truechimer_analyzer.stores.embedded.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

# ruff: noqa: S608 - names come from the declared measurements


class SeenNodes:
    """Every node of which something is kept. Asking costs no query, however much is stored."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._tables = tuple(tables)
        self._lock = threading.Lock()
        self._nodes: dict[tuple[str, str], NodeSeen] = {}

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read every table; nothing may be committed meanwhile. Raises duckdb.Error."""
        nodes = {(node.cluster, node.node): node for node in _query(connection, self._tables)}
        with self._lock:
            self._nodes = nodes

    def add(self, zones: Mapping[tuple[str, str], str], received_ns: int) -> None:
        """What was committed: each (cluster, node) with its zone, ``""`` where none was given."""
        with self._lock:
            for (cluster, name), zone in zones.items():
                known = self._nodes.get((cluster, name))
                if known is None:
                    node = NodeSeen(cluster, name, zone, received_ns, received_ns)
                else:
                    last_ns = max(known.last_received_ns, received_ns)
                    node = replace(known, zone=zone or known.zone, last_received_ns=last_ns)
                self._nodes[cluster, name] = node

    def all(self) -> list[NodeSeen]:
        """By cluster and name."""
        with self._lock:
            return [self._nodes[key] for key in sorted(self._nodes)]


def _query(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> list[NodeSeen]:
    parts = " UNION ALL ".join(
        f"SELECT cluster, node, arg_max(zone, received_ns) AS zone, min(received_ns) AS first,"
        f" max(received_ns) AS last FROM {quoted(name)} GROUP BY cluster, node"
        for name in tables
    )
    if not parts:
        return []
    rows = connection.execute(
        f"SELECT cluster, node, coalesce(arg_max(zone, last), ''), min(first), max(last)"
        f" FROM ({parts}) GROUP BY cluster, node"
    ).fetchall()
    return [NodeSeen(*row) for row in rows]
