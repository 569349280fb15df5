"""What an alert rule is, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. ``lasting`` is Prometheus' ``for``; annotations may use its templates."""

    name: str
    expression: str
    lasting: str
    severity: Literal["critical", "warning", "info"]
    summary: str
    description: str
    runbook: str


@dataclass(frozen=True, slots=True)
class Group:
    """Rules evaluated together."""

    name: str
    alerts: tuple[Alert, ...]
