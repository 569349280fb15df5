"""What settings lead to: false alarms a month, and how long a failover takes, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_analyzer.advice.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.advice.measured import Measured
    from truechimer_analyzer.advice.schema import Part, Product

# A timeout that just fits must not fall short by a float's error: 1.2 - 0.1 is less than 1.1.
_FLOAT_ERROR = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time that varies, seconds."""

    least: float
    mean: float
    most: float

    def __add__(self, other: Span) -> Span:
        return Span(self.least + other.least, self.mean + other.mean, self.most + other.most)

    def document(self) -> dict[str, float]:
        """As answers have it."""
        return {"min": self.least, "mean": self.mean, "max": self.most}


@dataclass(frozen=True, slots=True)
class Forecast:
    """``false_per_month`` (at most) and the failover's parts; None where unknown or not part of it."""

    false_per_month: float | None
    detect: Span | None
    elect: Span | None
    reconnect: Span | None
    failover: Span | None

    def document(self) -> dict[str, object]:
        """As the contract's ``predicted`` has it: ``failover_s`` is the mean."""
        parts = {"detect": self.detect, "elect": self.elect, "reconnect": self.reconnect}
        return {
            "false_per_month": self.false_per_month,
            "failover_s": None if self.failover is None else self.failover.mean,
            "failover": {
                **{name: None if part is None else part.document() for name, part in parts.items()},
                "total": None if self.failover is None else self.failover.document(),
            },
        }


def forecast(product: Product, measured: Measured, values: Mapping[str, float | None]) -> Forecast:
    """What ``values`` (effective, seconds) lead to under what was measured."""
    prediction = product.prediction
    if prediction is None:
        return Forecast(None, None, None, None, None)
    scope = Scope(measured, values)
    every, timeout = scope.find(prediction.every).value, scope.find(prediction.timeout).value
    stream = measured.stream(prediction.alarm)
    false = None
    if stream is not None and every is not None and timeout is not None:
        false = stream.false_per_month(every, timeout * _FLOAT_ERROR)
    detect = _span(scope, prediction.detect)
    elect = _span(scope, prediction.elect)
    reconnect = _span(scope, prediction.reconnect)
    total = detect
    for declared, found in ((prediction.elect, elect), (prediction.reconnect, reconnect)):
        if declared is not None:
            total = None if total is None or found is None else total + found
    return Forecast(false, detect, elect, reconnect, total)


def _span(scope: Scope, part: Part | None) -> Span | None:
    if part is None:
        return None
    least, mean, most = (scope.find(each).value for each in (part.least, part.mean, part.most))
    return None if least is None or mean is None or most is None else Span(least, mean, most)
