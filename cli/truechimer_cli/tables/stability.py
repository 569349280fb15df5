"""``truechimer stability`` as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import UNKNOWN, seconds, text
from truechimer_cli.output import QUIET, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

RECORDS = {
    "wall_minus_steady": "wall − steady",
    "utc_minus_steady": "UTC − steady",
    "utc_minus_wall": "UTC − wall",
}
# Of a whole fleet only these are shown; of one node every τ.
_FEW_S = (10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0)


def tables(document: dict[str, Any]) -> list[RenderableType]:
    """A row for each τ of each record, then what the records rest on."""
    nodes = document.get("nodes") or []
    records = [(node, record) for node in nodes for record in node.get("series") or []]
    rows = [
        row
        for node, record in records
        if not record.get("refused")
        for row in _taus(node, record, few=len(nodes) > 1)
    ]
    parts: list[RenderableType] = []
    if rows:
        taus = ("node", "record", ">τ", ">ADEV", ">95 %", ">TDEV", ">95 %", ">MTIE", ">certain")
        parts += [table("Stability", taus, rows), ""]
    evidence = ("node", "record", ">used", ">of window", ">unbroken", "ended by", ">each ±", "missing")
    parts.append(table("What this rests on", evidence, [_evidence(node, record) for node, record in records]))
    return parts


def _taus(node: dict[str, Any], record: dict[str, Any], *, few: bool) -> Iterable[list[RenderableType]]:
    found = {
        kind: {each["tau_s"]: each for each in record.get(kind) or []} for kind in ("adev", "tdev", "mtie")
    }
    for tau_s in sorted({tau_s for by_tau in found.values() for tau_s in by_tau}):
        if few and tau_s not in _FEW_S:
            continue
        adev, tdev, mtie = (by_tau.get(tau_s) for by_tau in found.values())
        yield [
            Text(text(node.get("node"))),
            _name(record),
            seconds(tau_s),
            UNKNOWN if adev is None else _ratio(adev["value"]),
            UNKNOWN if adev is None else f"{_ratio(adev['lower'])} … {_ratio(adev['upper'])}",
            *_amounts(tdev),
            *_amounts(mtie),
        ]


def _amounts(of: dict[str, Any] | None) -> tuple[str, str]:
    if of is None:
        return UNKNOWN, UNKNOWN
    return seconds(of["value"]), f"{seconds(of['lower'])} … {seconds(of['upper'])}"


def _evidence(node: dict[str, Any], record: dict[str, Any]) -> list[RenderableType]:
    share = record.get("used_share")
    refused = record.get("refused") or {}
    needed = refused.get("needed_s")
    missing = str(refused.get("reason") or "") + (f"; {seconds(needed)} more" if needed else "")
    breaks = record.get("breaks") or {}
    return [
        Text(text(node.get("node"))),
        _name(record),
        seconds(record.get("span_s")),
        UNKNOWN if share is None else f"{share:.0%}",
        seconds(record.get("longest_s")),
        Text(", ".join(f"{number}× {why}" for why, number in breaks.items())),
        seconds(record.get("half_width_s")),
        Text(missing, style=QUIET),
    ]


def _name(record: dict[str, Any]) -> Text:
    name = text(record.get("series"))
    return Text(RECORDS.get(name, name))


def _ratio(value: float) -> str:
    """A deviation without unit: 1.2e-9."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return "0" if value == 0 else f"{mantissa}e{int(exponent)}".replace("-", "−")
