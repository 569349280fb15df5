"""What a rule sees while it is evaluated: settings' values and what was measured; the figures it used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from truechimer_analyzer.advice.expressions import Unknown
from truechimer_analyzer.advice.schema import EVIDENCE, SHOWN
from truechimer_analyzer.advice.values import shown_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truechimer_analyzer.advice.expressions import Expression
    from truechimer_analyzer.advice.measured import Measured

State = Literal["holds", "violated", "unknown"]
_BUMP = 1.01


@dataclass(frozen=True, slots=True)
class Found:
    """A rule's value in seconds (or plain), or what is missing for it; ``figures`` are those it rests on."""

    value: float | None
    missing: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()


@dataclass(slots=True)
class Scope:
    """Evaluates rules over ``values`` (settings, seconds or plain) and what was measured."""

    measured: Measured
    values: Mapping[str, float | None]
    _figures: dict[str, str] = field(default_factory=dict)
    _missing: list[str] = field(default_factory=list)
    _bumped: str | None = None

    def find(self, rule: Expression) -> Found:
        """The rule's value, or the first thing that is missing."""
        self._figures, self._missing = {}, []
        try:
            value = rule.number(self._names(), self._functions())
        except Unknown as unknown:
            return Found(None, (self._said(unknown.name),), ())
        quantities = self.measured.quantities()
        used = [name for name in rule.names if quantities.get(name) is not None]
        figures = [f"{SHOWN[name]} {shown_s(quantities[name] or 0.0)}" for name in sorted(used)]
        return Found(value, (), (*figures, *self._figures.values()))

    def state(self, rule: Expression) -> State:
        """Whether a condition holds; unknown where something that decides it is."""
        try:
            return "holds" if rule.value(self._names(), self._functions()) else "violated"
        except Unknown:
            return "unknown"

    def dominant(self, rule: Expression) -> str | None:
        """Which name of the rule moves it most when it grows by a hundredth: evidence before settings."""
        base = self.find(rule).value
        if base is None or base == 0:
            return None
        quantities = self.measured.quantities()
        evidence = sorted(rule.calls & set(EVIDENCE)) + sorted(rule.names & set(quantities))
        moved: dict[str, float] = {}
        for name in (*evidence, *sorted(rule.names - set(quantities))):
            bumped = Scope(self.measured, self.values, _bumped=name).find(rule).value
            if bumped is not None:
                moved[name] = abs(bumped - base) / abs(base)
        most = max(moved, key=lambda name: moved[name], default=None)
        return most if most is not None and moved[most] > 0 else None

    def _names(self) -> dict[str, float | None]:
        names = {**self.measured.quantities(), **self.values}
        if self._bumped is not None and (value := names.get(self._bumped)) is not None:
            names[self._bumped] = value * _BUMP
        return names

    def _functions(self) -> dict[str, Callable[..., float | None]]:
        return {name: self._evidence(name) for name in EVIDENCE}

    def _evidence(self, name: str) -> Callable[[float], float | None]:
        def call(every_s: float) -> float | None:
            stream = self.measured.stream(name)
            found = None if stream is None else stream.timeout_s(every_s)
            if found is None:
                self._missing.append(self.measured.missing(name, every_s))
                return None
            note = stream.note(every_s) if stream is not None and stream.note is not None else None
            told = f"{name} {shown_s(found)} at one every {shown_s(every_s)}"
            self._figures[name] = f"{told}, {note}" if note else told
            return found * (_BUMP if self._bumped == name else 1.0)

        return call

    def _said(self, name: str) -> str:
        if self._missing:
            return self._missing[0]
        if name in self.values:
            return f"a value of {name}"
        return self.measured.missing(name)
