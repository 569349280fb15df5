"""What a store holds on delays: the window's probes, the counters of paths, and what settles open losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import Via
from truechimer_analyzer.reading import nothing
from truechimer_analyzer.rtt import losses
from truechimer_analyzer.rtt.settling import Probes, Reflections, Settled, settle
from truechimer_analyzer.window import NS, groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.rtt.settling import Level
    from truechimer_analyzer.stores import Columns

PROBE_FIELDS = ("outcome", "rtt_seconds", "reflector_seconds", "dscp")
PATH_FIELDS = (
    *losses.COUNTERS,
    "undetermined",
    "dscp",
    "session",
    "reflected_total",
    "steady_seconds",
    "epoch",
)
REFLECTION_FIELDS = ("requests", "session", "seen_total", "steady_seconds", "epoch")
_SETTLING_FIELDS = (
    "outcome",
    "rtt_seconds",
    "lower_seconds",
    "upper_seconds",
    "peer_epoch",
    "dscp",
    "steady_seconds",
    "epoch",
)
# How far before the window the latest reply of a path that is silent may lie.
LOOK_BACK_NS = 86_400 * NS
# Two points of 10 s: the one that holds the reply, and the peer's before it.
_AROUND_NS = 30 * NS
# Probes of so many nodes are read at once.
_ROWS_AT_ONCE = 2_000_000

# Cluster, node, peer and DSCP class.
Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows of truechimer_rtt and truechimer_path, and the losses that the peers' reports settle."""

    probes: Columns
    paths: Columns
    settled: Mapping[Key, Settled]


@dataclass(frozen=True, slots=True)
class _Open:
    """A path whose newest row leaves losses undetermined; its latest reply came after ``since_ns``."""

    key: Key
    session: float
    level: Level
    since_ns: int
    sent: int


def gather(reader: Reader) -> Evidence:
    """Read what the question is about."""
    question = reader.question
    tags = {name: value for name, value in (("via", question.via), ("peer", question.peer)) if value}
    probes = reader.rows("truechimer_rtt", PROBE_FIELDS, tags=tags)
    if question.via not in (None, Via.STAMP.value):
        return Evidence(probes, nothing("truechimer_path", PATH_FIELDS), {})
    named = {} if question.peer is None else {"peer": question.peer}
    paths = reader.rows("truechimer_path", PATH_FIELDS, tags=named)
    return Evidence(probes, paths, _settle(reader, paths, named))


def by_path(columns: Columns) -> Iterator[tuple[Key, NDArray[np.intp]]]:
    """Rows of each path of a measurement with ``peer`` and ``dscp``."""
    tags, dscp = columns.tags, columns.fields["dscp"]
    for (cluster, node, peer), rows in groups(tags["cluster"], tags["node"], tags["peer"]):
        for code, some in by_class(dscp, rows):
            yield (cluster, node, peer, code), some


def by_class(dscp: NDArray[np.float64], rows: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """The rows of each DSCP class; absent is 0."""
    codes = dscp[rows]
    given = codes > 0
    if not given.any():
        yield 0, rows
        return
    codes = np.where(given, codes, 0)
    for code in np.unique(codes):
        yield int(code), rows[codes == code]


def _settle(reader: Reader, paths: Columns, named: Mapping[str, str]) -> dict[Key, Settled]:
    waiting = _opened(reader, paths, named)
    settled: dict[Key, Settled] = {}
    for some in _in_turn(waiting):
        since_ns = min(each.since_ns for each in some)
        nodes = sorted({each.key[1] for each in some})
        peers = sorted({each.key[2] for each in some})
        probes = reader.rows(
            "truechimer_rtt",
            _SETTLING_FIELDS,
            since_ns=since_ns,
            nodes=nodes,
            tags={"via": Via.STAMP.value, **named},
        )
        reflections = reader.rows("truechimer_reflection", REFLECTION_FIELDS, since_ns=since_ns, nodes=peers)
        sent = dict(by_path(probes))
        seen = dict(groups(reflections.tags["cluster"], reflections.tags["node"], reflections.tags["peer"]))
        for each in some:
            cluster, node, peer, _ = each.key
            if each.key in sent and (cluster, peer, node) in seen:
                settled[each.key] = settle(
                    each.level,
                    _probes(probes, sent[each.key]),
                    _reflections(reflections, seen[cluster, peer, node], each.session),
                    reader.question.window.since_ns,
                )
    return settled


def _opened(reader: Reader, paths: Columns, named: Mapping[str, str]) -> list[_Open]:
    """Paths with open losses; where the window holds no reply, the time before it is searched for one."""
    found: list[_Open] = []
    silent: dict[Key, tuple[float, Level]] = {}
    for key, rows in by_path(paths):
        level = losses.open_level(paths.fields, int(rows[-1]))
        if level is None:
            continue
        session = float(paths.fields["session"][rows[-1]])
        opened = _last_reply(key, session, level, paths, rows)
        if opened is None:
            silent[key] = session, level
        else:
            found.append(opened)
    if silent:
        window = reader.question.window
        earlier = reader.rows(
            "truechimer_path",
            PATH_FIELDS,
            since_ns=max(0, window.since_ns - LOOK_BACK_NS),
            nodes=sorted({key[1] for key in silent}),
            tags=named,
        )
        before = [
            _last_reply(key, *silent[key], earlier, rows) for key, rows in by_path(earlier) if key in silent
        ]
        found += [opened for opened in before if opened is not None]
    return found


def _last_reply(
    key: Key, session: float, level: Level, paths: Columns, rows: NDArray[np.intp]
) -> _Open | None:
    replied = np.flatnonzero(
        (paths.fields["received"][rows] > 0) & (paths.fields["session"][rows] == session)
    )
    if not len(replied):
        return None
    after = rows[replied[-1] :]
    sent = losses.told(paths.fields["sent"][after]) or 0
    return _Open(key, session, level, max(0, int(paths.time_ns[after[0]]) - _AROUND_NS), sent)


def _in_turn(waiting: Sequence[_Open]) -> Iterator[list[_Open]]:
    """Those that are silent for alike long together, so many that their probes fit."""
    some: list[_Open] = []
    rows = 0
    for each in sorted(waiting, key=lambda one: -one.since_ns):
        if some and rows + each.sent > _ROWS_AT_ONCE:
            yield some
            some, rows = [], 0
        some.append(each)
        rows += each.sent
    if some:
        yield some


def _probes(columns: Columns, rows: NDArray[np.intp]) -> Probes:
    fields = columns.fields
    rows = rows[np.isfinite(fields["steady_seconds"][rows])]
    rows = rows[np.argsort(fields["steady_seconds"][rows], kind="stable")]
    return Probes(
        columns.time_ns[rows],
        fields["steady_seconds"][rows],
        fields["epoch"][rows],
        fields["outcome"][rows],
        fields["rtt_seconds"][rows],
        fields["lower_seconds"][rows],
        fields["upper_seconds"][rows],
        fields["peer_epoch"][rows],
    )


def _reflections(columns: Columns, rows: NDArray[np.intp], session: float) -> Reflections:
    fields = columns.fields
    rows = rows[fields["session"][rows] == session]
    rows = rows[np.argsort(fields["steady_seconds"][rows], kind="stable")]
    return Reflections(
        *(fields[name][rows] for name in ("steady_seconds", "epoch", "requests", "seen_total"))
    )
