"""The metric names that a store of line protocol gives to samples: ``measurement_field``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from truechimer.samples import COMMON_TAGS, MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"\btruechimer_[a-z0-9_]+")

# Metric name → the labels that its series have.
METRICS: Mapping[str, tuple[str, ...]] = {
    f"{measurement.name}_{field.name}": (*COMMON_TAGS, *measurement.tags)
    for measurement in MEASUREMENTS.values()
    for field in measurement.fields
}


def metrics_in(expression: str) -> set[str]:
    """The names of truechimer's metrics in a PromQL expression."""
    return set(_NAME.findall(expression))


def refuse_unknown(expression: str) -> None:
    """Raise ValueError when an expression names a metric that no sample has."""
    unknown = metrics_in(expression) - set(METRICS)
    if unknown or not metrics_in(expression):
        raise ValueError(f"{expression!r}: {', '.join(sorted(unknown)) or 'names no metric'}; see samples.py")
