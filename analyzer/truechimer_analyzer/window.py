"""What was asked: the options of a query, checked, and the stretch of time that they name."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import Via
from truechimer.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

NS = 1_000_000_000
DEFAULT_SINCE_S = 3600.0
# Samples are stamped with their host's best idea of UTC: those of a host that is ahead still count as new.
AHEAD_NS = 86_400 * NS
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)")
_EPOCH_S = (0.0, 9_000_000_000.0)

_COMMON = ("since", "from", "to", "cluster", "node")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "clocks": _COMMON,
    "skew": (*_COMMON, "max_offset", "k", "pairs"),
    "rtt": (*_COMMON, "histogram", "by", "via", "peer"),
    "pauses": (*_COMMON, "source", "stay", "heartbeat"),
    "stability": _COMMON,
    "timeouts": (*_COMMON, "false_per_month", "detect_within", "rate", "heartbeat", "product", "current"),
    "report": (
        *_COMMON,
        "false_per_month",
        "detect_within",
        "rate",
        "heartbeat",
        "product",
        "current",
        "kind",
        "format",
    ),
}
DIVISIONS = ("hour",)
LIARS_TOLERATED = 1
MOST_LIARS_TOLERATED = 2
_LIARS = tuple(map(str, range(MOST_LIARS_TOLERATED + 1)))
REPORT_KINDS = ("full", "clocks", "timeouts")
REPORT_FORMATS = ("md", "html", "json")


@dataclass(frozen=True, slots=True)
class Window:
    """From ``since_ns`` (included) to ``until_ns`` (left out), Unix ns.

    ``open`` says that the window ends now: ``until_ns`` then lies a day ahead, because a host whose
    clock is ahead stamps its samples there. ``as_of_ns`` is the instant that the answer is about.
    """

    since_ns: int
    until_ns: int
    as_of_ns: int
    open: bool

    @property
    def length_s(self) -> float:
        """The window's length in seconds, up to ``as_of_ns``."""
        return (self.as_of_ns - self.since_ns) / NS


@dataclass(frozen=True, slots=True)
class Question:
    """The options of one query, checked; None where nothing was asked for."""

    window: Window
    cluster: str | None = None
    node: str | None = None
    histogram: bool = False
    by: str | None = None
    via: str | None = None
    peer: str | None = None
    false_per_month: float | None = None
    detect_within_s: float | None = None
    rate_hz: float | None = None
    product: str | None = None
    current: str | None = None
    kind: str = REPORT_KINDS[0]
    formats: tuple[str, ...] = REPORT_FORMATS[:1]
    max_offset_s: float | None = None
    k: int = LIARS_TOLERATED
    pairs: int | None = None
    source: str | None = None
    stay_s: float | None = None
    heartbeat_s: float | None = None


def parse_question(command: str, options: Mapping[str, str], now_ns: int) -> Question:
    """The options of a query of ``command`` at ``now_ns`` (Unix ns, by the store's clock).

    Names may be written with - or _. Raises UserError for an unknown command or option (naming the
    nearest known one) and for a value that is not what the option takes.
    """
    if command not in OPTIONS:
        raise UserError(f"unknown command {command!r}", hint=_nearest(command, tuple(OPTIONS)))
    given: dict[str, str] = {}
    for name, value in options.items():
        plain = name.replace("-", "_")
        if plain not in OPTIONS[command]:
            raise UserError(f"{command} has no option {name!r}", hint=_nearest(plain, OPTIONS[command]))
        if value.strip():
            given[plain] = value.strip()
    return Question(
        window=parse_window(given, now_ns),
        cluster=given.get("cluster"),
        node=given.get("node"),
        histogram=_flag("histogram", given.get("histogram")),
        by=_one_of("by", given["by"], DIVISIONS) if "by" in given else None,
        via=_one_of("via", given["via"], tuple(Via)) if "via" in given else None,
        peer=given.get("peer"),
        false_per_month=_positive("false_per_month", given.get("false_per_month"), "1"),
        detect_within_s=_seconds("detect_within", given.get("detect_within")),
        rate_hz=_positive("rate", given.get("rate"), "100 (operations per second)"),
        product=given.get("product"),
        current=given.get("current"),
        kind=_one_of("kind", given.get("kind", REPORT_KINDS[0]), REPORT_KINDS),
        formats=tuple(
            _one_of("format", each.strip(), REPORT_FORMATS)
            for each in given.get("format", REPORT_FORMATS[0]).split(",")
        ),
        max_offset_s=_seconds("max_offset", given.get("max_offset")),
        k=int(_one_of("k", given.get("k", str(LIARS_TOLERATED)), _LIARS)),
        pairs=_count("pairs", given.get("pairs")),
        source=given.get("source"),
        stay_s=_seconds("stay", given.get("stay")),
        heartbeat_s=_seconds("heartbeat", given.get("heartbeat")),
    )


def parse_window(options: Mapping[str, str], now_ns: int) -> Window:
    """``since`` (how long before now) or ``from`` and ``to`` (ISO 8601 or Unix seconds) as a window."""
    if "since" in options and "from" in options:
        raise UserError("since and from both say where to begin", hint="give one of them")
    as_of_ns = parse_time(options["to"], "to") if "to" in options else now_ns
    if "from" in options:
        since_ns = parse_time(options["from"], "from")
    else:
        length_s = parse_duration(options["since"], "since") if "since" in options else DEFAULT_SINCE_S
        since_ns = as_of_ns - round(length_s * NS)
    if since_ns >= as_of_ns:
        raise UserError(
            f"the window ends ({iso(as_of_ns)}) before it begins ({iso(since_ns)})",
            hint="from must be earlier than to, and than now",
        )
    is_open = "to" not in options
    return Window(since_ns, as_of_ns + AHEAD_NS if is_open else as_of_ns, as_of_ns, is_open)


def parse_duration(text: str, option: str) -> float:
    """``90s``, ``30m``, ``1.5h``, ``7d``, ``1h30m`` to seconds; UserError otherwise."""
    compact = text.strip().lower()
    parts = list(_DURATION.finditer(compact))
    if parts and "".join(part.group(0) for part in parts) == compact:
        seconds = sum(float(part.group(1)) * _UNIT_S[part.group(2)] for part in parts)
        if 0 < seconds <= 100 * 366 * 86_400:
            return seconds
    raise UserError(
        f"{option}={text!r} is no length of time",
        hint="write a number and its unit (ms, s, m, h, d, w), like 90s, 30m, 1h or 7d",
    )


def parse_time(text: str, option: str) -> int:
    """ISO 8601 (UTC unless it says otherwise) or Unix seconds to Unix ns; UserError otherwise."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        try:
            # A + in a query that was not escaped arrives as a blank.
            moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip()))
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = math.nan
    if not _EPOCH_S[0] <= seconds <= _EPOCH_S[1]:
        raise UserError(
            f"{option}={text!r} is no time",
            hint="write ISO 8601 like 2026-11-22T20:00:00Z, or seconds since 1970 like 1795377600",
        )
    return round(seconds * NS)


def iso(time_ns: int) -> str:
    """Unix ns as ISO 8601 in UTC, to the microsecond."""
    seconds, rest = divmod(int(time_ns), NS)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def number(value: float | np.floating) -> float | None:
    """A float as JSON may hold it: None for NaN and the infinities."""
    plain = float(value)
    return plain if math.isfinite(plain) else None


def groups(*keys: NDArray[np.object_]) -> Iterator[tuple[tuple[str, ...], NDArray[np.intp]]]:
    """Rows that agree in every key: (the keys' values, the rows in their order), keys in order.

    Linear in the rows but for one stable integer sort; the strings themselves are only hashed.
    """
    codes, names = encode(*keys)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names))) if len(names) else np.zeros(0, dtype=np.intp)
    begin = 0
    rows: dict[tuple[str, ...], NDArray[np.intp]] = {}
    for name, end in zip(names, ends.tolist(), strict=True):
        rows[name] = order[begin:end]
        begin = end
    for name in sorted(rows):
        yield name, rows[name]


def encode(*keys: NDArray[np.object_]) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Each row's tuple of keys as a number, and the tuples that the numbers stand for."""
    if len(keys[0]) and all((key == key[0]).all() for key in keys):
        return np.zeros(len(keys[0]), dtype=np.intp), [tuple(str(key[0]) for key in keys)]
    numbers: dict[tuple[str, ...], int] = {}
    rows = zip(*(key.tolist() for key in keys), strict=True)
    codes = np.fromiter((numbers.setdefault(row, len(numbers)) for row in rows), dtype=np.intp)
    return codes, list(numbers)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def _flag(option: str, text: str | None) -> bool:
    if text is None:
        return False
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise UserError(f"{option}={text!r} is neither yes nor no", hint="write 1 or 0")


def _one_of(option: str, text: str, known: Sequence[str]) -> str:
    if text not in known:
        raise UserError(f"{option}={text!r} is unknown", hint=_nearest(text, known))
    return text


def _positive(option: str, text: str | None, example: str) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise UserError(f"{option}={text!r} is no positive number", hint=f"write a number like {example}")
    return value


def _count(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) < 10**9):
        raise UserError(f"{option}={text!r} is no count", hint="write a whole number like 50; 0 for none")
    return int(text)


def _seconds(option: str, text: str | None) -> float | None:
    return None if text is None else parse_duration(text, option)
