"""docs/samples.md: every measurement with its tags, fields and codes, from their declarations."""

from __future__ import annotations

from truechimer.codes import Cause, EventKind, Via
from truechimer.samples import COMMON_TAGS, MEASUREMENTS, Field, Measurement

_INTRODUCTION = """\
# Samples

What agents measure and stores hold. Generated from `library/truechimer/samples.py` by
`python -m dashboards.build`; change it there.

- A point's identity is its measurement, tags and timestamp (Unix nanoseconds): sending it twice changes
  nothing.
- Every point has the tags {common} (`zone` when configured).
- In a store of metrics the name is `measurement_field`, for example `truechimer_bound_lower_seconds`.
- Offsets are reference − local: positive means that the local clock is behind. W is the wall clock
  (CLOCK_REALTIME), RAW is CLOCK_MONOTONIC_RAW, S is the steady clock, RAW plus an anchor of the boot.
- Fields ending in `_total` only grow while their source lives. A field that does not apply is absent.
- Codes are integers whose numbers never change; new ones are appended.
"""

_TAG_VALUES = {"kind": EventKind, "via": Via, "cause": Cause}


def samples_markdown() -> str:
    """The whole page."""
    common = ", ".join(f"`{tag}`" for tag in COMMON_TAGS)
    contents = "\n".join(
        f"- [`{measurement.name}`](#{measurement.name}): one point per {measurement.per}"
        for measurement in MEASUREMENTS.values()
    )
    sections = "\n".join(_section(measurement) for measurement in MEASUREMENTS.values())
    return f"{_INTRODUCTION.format(common=common)}\n{contents}\n\n{sections}"


def _section(measurement: Measurement) -> str:
    lines = [f"## {measurement.name}", "", f"One point per {measurement.per}.", ""]
    for tag in measurement.tags:
        values = ", ".join(f"`{value}`" for value in _TAG_VALUES.get(tag, ()))
        lines += [f"Tag `{tag}`" + (f": {values}." if values else "."), ""]
    lines += ["| field | type | meaning |", "|---|---|---|"]
    lines += [f"| `{field.name}` | {field.kind} | {_meaning(field)} |" for field in measurement.fields]
    return "\n".join(lines) + "\n"


def _meaning(field: Field) -> str:
    if field.codes is None:
        return field.meaning
    codes = ", ".join(f"{code.value} {code.name.lower()}" for code in field.codes)
    return f"{field.meaning}: {codes}"
