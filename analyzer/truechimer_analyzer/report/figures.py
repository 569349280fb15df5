"""Figures as people read them: three digits and the unit that fits; – for unknown."""

from __future__ import annotations

UNKNOWN = "–"
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def length(seconds: float | None) -> str:
    """A length of time: 1.2 s, 340 µs, 2.5 h."""
    if seconds is None:
        return UNKNOWN
    if seconds == 0:
        return "0 s"
    size = abs(seconds)
    # Minutes stay in seconds: below two hours people compare seconds.
    unit_s, name = next(
        ((unit, name) for unit, name in _UNITS if size >= (2 * unit if unit > 1 else unit)), _UNITS[-1]
    )
    return f"{_three(seconds / unit_s)} {name}"


def signed(seconds: float | None) -> str:
    """An offset with its sign: +340 µs, −0.5 s."""
    if seconds is None:
        return UNKNOWN
    sign = "−" if seconds < 0 else "+"
    return sign + length(abs(seconds))


def rate(lower_ppm: float | None, upper_ppm: float | None) -> str:
    """A frequency's interval in ppm."""
    if lower_ppm is None or upper_ppm is None:
        return UNKNOWN
    return f"{lower_ppm:+.1f} to {upper_ppm:+.1f}".replace("-", "−")


def count(number: int, noun: str, several: str | None = None) -> str:
    """A number with its noun: 1 node, 3 nodes."""
    return f"{number} {noun}" if number == 1 else f"{number} {several or noun + 's'}"


def _three(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
