"""Stability as Markdown: a row for each record of each node, at spans that people think in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer_analyzer.report.figures import UNKNOWN, length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

HEAD = (
    "node",
    "record",
    "ADEV at 1 min, 10 min, 1 h, 1 d",
    "TDEV",
    "MTIE",
    "MTIE for certain at most",
    "used",
)
EXPLAINED = (
    "ADEV is the change of the mean rate from one span to the next (1e−6 is 1 µs a second), TDEV the time "
    "error that the readings before do not foretell, MTIE the most that the clock strayed within any such "
    "span: what a lease of that length must allow. Nothing spans a gap or a step. – stands for too little "
    "evidence."
)
ASSUMPTIONS = (
    "how steady a clock is was the same in all its stretches without gap or step",
    "between two readings (10 s apart) a clock strays no further than at them",
)
_TAUS_S = (60.0, 600.0, 3600.0, 86_400.0)
_RECORDS = {
    "wall_minus_steady": "wall clock against oscillator",
    "utc_minus_steady": "oscillator against UTC",
    "utc_minus_wall": "wall clock against UTC",
}


def rows(stability: Mapping[str, Any]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """(cluster/node, the other cells) of each record; refused ones say what is missing. Not escaped."""
    for node in stability["nodes"]:
        name = f"{node['cluster']}/{node['node']}"
        for record in node["series"]:
            what = _RECORDS.get(record["series"], record["series"])
            if record["refused"]:
                yield (
                    name,
                    (what, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, f"refused: {record['refused']['reason']}"),
                )
                continue
            yield (
                name,
                (
                    what,
                    _at(record["adev"], "value", _ratio),
                    _at(record["tdev"], "value", length),
                    _at(record["mtie"], "value", length),
                    _at(record["mtie"], "upper", length),
                    f"{record['used_share']:.0%} of the window",
                ),
            )


def _at(estimates: list[dict[str, float]], end: str, show: Callable[[float], str]) -> str:
    found = {each["tau_s"]: each[end] for each in estimates}
    return ", ".join(show(found[tau_s]) if tau_s in found else UNKNOWN for tau_s in _TAUS_S)


def _ratio(value: float) -> str:
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return "0" if value == 0 else f"{mantissa}e{int(exponent)}".replace("-", "−")
