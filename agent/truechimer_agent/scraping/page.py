"""A page of /metrics, read by prometheus-client's parsers, bounded: Prometheus' text format, OpenMetrics."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truechimer.errors import DecodeError
from truechimer_agent.scraping.families import (
    BY_NAME,
    FAMILIES,
    PREFIXED,
    SIGNS,
    STARTED,
    is_concurrent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from truechimer_agent.scraping.families import Family

LONGEST_LINE = 16 << 10
MOST_LINES = 5_000
_NAMES = (*BY_NAME, *SIGNS, STARTED)
_SOUGHT = tuple(name.encode() for name in _NAMES)
_WANTED = re.compile(
    rf"(?:# TYPE )?(?:{'|'.join(_NAMES)}|[a-zA-Z_:][a-zA-Z0-9_:]*{PREFIXED})(?:_[a-z]+)?[ \t{{]".encode()
)
_BROKEN = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError)
_LARGEST = 1e15
Key = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Series:
    """Pauses of one kind: how many, their sum in seconds, the longest that is remembered, and buckets.

    ``buckets``: (upper edge in seconds, how many were no longer), in the order of edges; may be empty.
    """

    count: int = 0
    sum_s: float = 0.0
    longest_s: float | None = None
    buckets: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimePauses:
    """What one runtime of a page tells: its metric and its series by their labels."""

    family: Family
    series: Mapping[Key, Series]


@dataclass(frozen=True, slots=True)
class Page:
    """Pauses by runtime (go, jvm, node), and when the process began (its own Unix time), if it says so."""

    runtimes: Mapping[str, RuntimePauses]
    started_s: float | None


def read_page(body: bytes, *, openmetrics: bool) -> Page:
    """Read a page. Raises DecodeError when it is not what it claims to be."""
    lines = _lines(body)
    samples = list(_samples(lines, openmetrics=openmetrics))
    started_s = next((value for name, _, value in samples if name == STARTED and math.isfinite(value)), None)
    present = {found for name, _, _ in samples if (found := _family_of(name))} | _announced(lines)
    runtimes: dict[str, RuntimePauses] = {}
    for family in FAMILIES:
        if family.name in present and family.runtime not in runtimes:
            runtimes[family.runtime] = RuntimePauses(family, _series(family.name, samples))
    return Page(runtimes, started_s)


def _lines(body: bytes) -> list[bytes]:
    """The lines about pauses: pages of megabytes are mostly about something else, and are not parsed.

    Raises DecodeError for too many, or too long ones.
    """
    starts: set[int] = set()
    for name in _SOUGHT:
        at = body.find(name)
        while at >= 0:
            starts.add(body.rfind(b"\n", 0, at) + 1)
            if len(starts) > MOST_LINES:
                raise DecodeError(f"more than {MOST_LINES} lines about pauses")
            end = body.find(b"\n", at)
            at = body.find(name, end) if end >= 0 else -1
    lines = []
    for start in sorted(starts):
        end = body.find(b"\n", start)
        line = body[start : end if end >= 0 else len(body)]
        if len(line) > LONGEST_LINE:
            raise DecodeError(f"a line of over {LONGEST_LINE} bytes")
        if _WANTED.match(line):
            lines.append(line)
    return lines


def _announced(lines: Iterable[bytes]) -> set[str]:
    """Families of which a page has only the type, or only a sign: no pause of theirs has been seen yet."""
    types = (line.split() for line in lines if line.startswith(b"# TYPE "))
    names = (words[2].decode(errors="replace") for words in types if len(words) > 2)
    return {found for name in names if (found := SIGNS.get(name) or _family_of(name))}


def _family_of(name: str) -> str | None:
    """The family that a sample's name belongs to."""
    if name in SIGNS:
        return SIGNS[name]
    for suffix in ("", "_count", "_sum", "_bucket", "_max"):
        base = name.removesuffix(suffix)
        if base.endswith(PREFIXED):
            return PREFIXED
        if base in BY_NAME:
            return base
    return None


def _samples(lines: Iterable[bytes], *, openmetrics: bool) -> Iterator[tuple[str, Mapping[str, str], float]]:
    try:
        text = b"\n".join(lines).decode()
        for family in _families(text + "\n", openmetrics=openmetrics):
            for sample in family.samples:
                yield sample.name, sample.labels, float(sample.value)
    except _BROKEN as error:
        raise DecodeError(f"not Prometheus' text format: {str(error)[:200]!r}") from error


def _families(text: str, *, openmetrics: bool) -> Iterable[Metric]:
    parse: Any
    if openmetrics:
        from prometheus_client.openmetrics import parser as strict

        parse, text = strict.text_string_to_metric_families, text + "# EOF\n"
    else:
        from prometheus_client import parser

        parse = parser.text_string_to_metric_families
    families: Iterable[Metric] = parse(text)
    return families


def _series(name: str, samples: Iterable[tuple[str, Mapping[str, str], float]]) -> dict[Key, Series]:
    found: dict[Key, Series] = {}
    edges: dict[Key, dict[float, int]] = {}
    for sample, labels, value in samples:
        if _family_of(sample) != name or sample in SIGNS or is_concurrent(labels):
            continue
        key = tuple(sorted((k, v) for k, v in labels.items() if k not in ("le", "quantile")))
        series = found.setdefault(key, Series())
        if sample.endswith("_count"):
            series.count = _count(sample, value)
        elif sample.endswith("_sum"):
            series.sum_s = _seconds(sample, value)
        elif sample.endswith("_bucket"):
            edges.setdefault(key, {})[_edge(labels.get("le", ""))] = _count(sample, value)
        elif (sample.endswith("_max") or labels.get("quantile") in ("1", "1.0")) and value >= 0:
            series.longest_s = _seconds(sample, value)
    for key, counts in edges.items():
        found[key].buckets = tuple(sorted(counts.items()))
    return found


def _count(name: str, value: float) -> int:
    if not (0 <= value < _LARGEST and value == int(value)):
        raise DecodeError(f"{name} is {value!r}, which is no count")
    return int(value)


def _seconds(name: str, value: float) -> float:
    if not 0 <= value < _LARGEST:
        raise DecodeError(f"{name} is {value!r}, which is no sum of durations")
    return value


def _edge(text: str) -> float:
    try:
        edge = float(text)
    except ValueError:
        edge = math.nan
    if math.isnan(edge):
        raise DecodeError(f"a bucket's edge is {text[:40]!r}")
    return edge
