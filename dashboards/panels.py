"""What a dashboard is made of, as data: rows of panels, each with its PromQL queries.

``HOST`` in a query stands for the selector of the chosen clusters and nodes. Queries keep to PromQL that
Prometheus and VictoriaMetrics read alike. In a panel drawn once per node the series carry no node's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from enum import IntEnum


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and the legend of its series."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; ``unit`` is Grafana's name of it, ``codes`` name the values of a ``states`` panel."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["lines", "points", "bars", "number", "states"] = "lines"
    width: int = 12
    height: int = 8
    per_node: bool = False
    band: tuple[str, str] | None = None
    """Legends of the upper and lower series between which to fill."""
    codes: type[IntEnum] | None = None
    bad_from: float | None = None
    """For a number: the value from which it is shown red."""


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and what stands under it."""

    title: str
    panels: tuple[Panel, ...]
