"""Numbers as people read them: units that fit, a dash for what is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

UNKNOWN = "–"
NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(value: float | None, *, signed: bool = False) -> str:
    """A time in the unit that suits it: ns, µs, ms, s, min, h or d."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    sign = "−" if value < 0 else ("+" if signed and value > 0 else "")
    if size == 0:
        return "0 s"
    for factor, unit in ((1e-6, "ns"), (1e-3, "µs"), (1.0, "ms")):
        if size < factor * 0.9995:
            return f"{sign}{_three(size / (factor / 1000))} {unit}"
    if size < 120:
        return f"{sign}{_three(size)} s"
    for limit, divisor, unit in ((7200.0, 60.0, "min"), (172_800.0, 3600.0, "h")):
        if size < limit:
            return f"{sign}{_three(size / divisor)} {unit}"
    return f"{sign}{_three(size / 86_400)} d"


def count(value: float | None) -> str:
    """A count or a rate, with thin groups of thousands."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}".replace(",", " ")
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")


def ppm(value: float | None) -> str:
    """A frequency error."""
    return UNKNOWN if value is None else f"{value:+.2f} ppm".replace("-", "−")


def text(value: object) -> str:
    """Anything else."""
    return UNKNOWN if value is None or value == "" else str(value)


def iso(unix_ns: int) -> str:
    """Unix ns as ISO 8601 in UTC with nine decimals."""
    whole, nanoseconds = divmod(unix_ns, NS)
    return f"{_EPOCH + timedelta(seconds=whole):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _three(value: float) -> str:
    """Three significant digits without an exponent."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
