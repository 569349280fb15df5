"""Who tells, under which name, and what goes out of it: pauses, and windows with what was watched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError
from truechimer_agent.toldpauses.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer.gcpause.wire import Record
    from truechimer_agent.toldpauses.teller import Believed, Teller

MOST_SOURCES, MOST_SOURCES_OF_USER = 64, 32
FORGET_NS = 600_000_000_000
"""So long after its last program a source's name is free again."""
SINGLES_PER_SECOND, MOST_SINGLES = 50, 500
OF_ONE_PER_SECOND, MOST_OF_ONE = 10, 200

_OF_USER = re.compile(r".*@([0-9]+)", re.ASCII)


@dataclass(slots=True)
class Window:
    """What a source told since the last window; ``pauses`` at least as long as the threshold."""

    observed_ns: int = 0
    pauses: int = 0
    total_ns: int = 0
    max_ns: int = 0


class Source:
    """All programs of one name and runtime; they belong to one user."""

    def __init__(self, name: str, runtime: str, uid: int, now_mono_ns: int) -> None:
        self.name = name
        self.runtime = runtime
        self.uid = uid
        self.watched_from: dict[Teller, int] = {}
        self.left_at_ns = now_mono_ns
        self.window = Window()
        self.budget = Budget(OF_ONE_PER_SECOND, MOST_OF_ONE, now_mono_ns)
        self.summed: Believed | None = None


class Ledger:
    """``emit`` gets a source and pauses of it: single ones as they come, the rest as a sum each window.

    ``taken``: names and runtimes that are others' already.
    """

    def __init__(
        self,
        threshold_ns: int,
        emit: Callable[[Source, Believed], None],
        now_mono_ns: int,
        taken: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._taken = taken
        self._threshold_ns = threshold_ns
        self._emit = emit
        self._budget = Budget(SINGLES_PER_SECOND, MOST_SINGLES, now_mono_ns)
        self._sources: dict[tuple[str, str], Source] = {}
        self._of: dict[Teller, Source] = {}

    def take(self, teller: Teller, uid: int, record: Record, now_mono_ns: int) -> None:
        """A record of a program of user ``uid``. Raises DecodeError when it is refused."""
        believed = teller.take(record, now_mono_ns)
        if believed is None:
            source = self._source(teller, uid, now_mono_ns)
            source.watched_from[teller] = teller.since_mono_ns
            self._of[teller] = source
            return
        source = self._of[teller]
        window = source.window
        window.max_ns = max(window.max_ns, believed.max_ns)
        if believed.max_ns < self._threshold_ns:
            return
        window.pauses += believed.pauses
        window.total_ns += believed.total_ns
        if source.budget.take(now_mono_ns) and self._budget.take(now_mono_ns):
            self._emit(source, believed)
        else:
            source.summed = believed if source.summed is None else _both(source.summed, believed)

    def left(self, teller: Teller, now_mono_ns: int) -> None:
        """A program is gone."""
        source = self._of.pop(teller, None)
        if source is not None:
            source.window.observed_ns += now_mono_ns - source.watched_from.pop(teller)
            source.left_at_ns = now_mono_ns

    def windows(self, now_mono_ns: int) -> list[tuple[Source, Window]]:
        """Of each source that was watched since the last call; the sums of what was too much go out."""
        found: list[tuple[Source, Window]] = []
        for key, source in list(self._sources.items()):
            if source.summed is not None:
                summed, source.summed = source.summed, None
                self._emit(source, summed)
            window, source.window = source.window, Window()
            for teller, since_ns in source.watched_from.items():
                window.observed_ns += now_mono_ns - since_ns
                source.watched_from[teller] = now_mono_ns
            if window.observed_ns > 0:
                found.append((source, window))
            elif not source.watched_from and now_mono_ns - source.left_at_ns > FORGET_NS:
                del self._sources[key]
        return found

    def _source(self, teller: Teller, uid: int, now_mono_ns: int) -> Source:
        assert teller.hello is not None
        key = (teller.hello.name, teller.hello.runtime)
        if key in self._taken:
            raise DecodeError(f"the name {key[0]!r} is one of the configuration's")
        of_user = _OF_USER.fullmatch(key[0])
        if of_user is not None and of_user[1] != str(uid):
            raise DecodeError(f"the name {key[0]!r} is for programs of user {of_user[1]}, not {uid}")
        source = self._sources.get(key)
        if source is not None and source.uid != uid:  # neither silenced by the other nor mixed with it
            key = (f"{key[0]}@{uid}", key[1])
            source = self._sources.get(key)
        if source is None:
            if len(self._sources) >= MOST_SOURCES:
                raise DecodeError(f"{MOST_SOURCES} names tell their pauses already: no room for {key[0]!r}")
            # root may use all of them: it needs no tricks to silence others
            if uid and sum(one.uid == uid for one in self._sources.values()) >= MOST_SOURCES_OF_USER:
                raise DecodeError(
                    f"user {uid} has {MOST_SOURCES_OF_USER} names already: no room for {key[0]!r}"
                )
            source = self._sources[key] = Source(*key, uid, now_mono_ns)
        return source


def _both(one: Believed, other: Believed) -> Believed:
    return type(one)(
        min(one.start_mono_ns, other.start_mono_ns),
        one.pauses + other.pauses,
        one.total_ns + other.total_ns,
        max(one.max_ns, other.max_ns),
    )
