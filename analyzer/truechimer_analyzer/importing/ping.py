"""The output of iputils ping, with or without -D: replies, and losses by the gaps of icmp_seq.

Source: iputils ping.c and ping_common.c (s20221126): the line of a reply, its ``(DUP!)``, ``no answer yet``
of -O, the header and the summary. icmp_seq has 16 bits and wraps.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.importing.found import (
    NS,
    Block,
    Found,
    Line,
    Note,
    Probe,
    Refused,
    Replies,
    decimal,
    is_length,
    is_time,
    refuse,
)
from truechimer_analyzer.importing.lines import singly
from truechimer_analyzer.importing.pingblocks import WRAP, replies_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from truechimer_analyzer.importing.pingblocks import Quick

INTERVAL_S = 1.0
# A reply that comes so many probes late is still that probe's; what is further back is another run.
LATE = 1024
LONGEST_LINE = 4096
# A summary that claims more losses than this at the end is not believed.
_MOST_BEHIND = 10 * WRAP

_REPLY = re.compile(
    r"(?:\[(\d{1,12}\.\d{1,9})\] )?\d+ bytes from .*?(?:icmp_)?seq[= ](\d{1,5})\b"
    r".*?time[=<](-?[\d.,]{1,30}) ms(.*)"
)
# A reply whose time cannot be read: it came all the same.
_UNREAD = re.compile(r"(?:\[\d{1,12}\.\d{1,9}\] )?\d+ bytes from .*?(?:icmp_)?seq[= ](\d{1,5})\b")
_HEADER = re.compile(r"(?:\[[\d.]+\] )?PING (\S+)")
_SUMMARY = re.compile(r"(\d{1,9}) packets transmitted, .*?(?:time (\d{1,12})ms)?$")
_KNOWN = re.compile(
    r"---|Request timeout for |rtt |round-trip |pipe \d|no answer yet|From |ping: |WARNING:|Warning:|\s|\^C|"
    r".*(?:, ipg/ewma|packets transmitted|errno|Unreachable|exceeded|filtered|wrong data byte|truncated|"
    r"DIFFERENT ADDRESS)|\d+/\d+ packets|#\d+\s|cp:|dp:",
)
_STAMP = re.compile(r"\[\d{1,12}\.\d{1,9}\] ")
UNTIMED = (
    "ping without -D tells no times: they are made from icmp_seq and --interval ({interval_s:g} s), "
    "beginning at --begin"
)
OTHER_INTERVAL = "the summary says that probes were {found_s:.3g} s apart: --interval says so"


def parse(lines: Iterable[Line | Block], begin_ns: int, interval_s: float = INTERVAL_S) -> Iterator[Found]:
    """Probes of a file with one run of ping or several; of blocks of nothing but replies together.

    Without -D they are ``interval_s`` apart from ``begin_ns`` on. A lost probe is placed between its
    neighbours. Probes before the first reply count as lost where the run's header is there, those after the
    last one where its summary is, but for the very last, which may have been under way.
    """
    run = _Run(begin_ns, round(interval_s * NS), None, is_whole=False)
    for some in lines:
        quick = replies_of(some) if isinstance(some, Block) else None
        if quick is not None:
            run = yield from _take_all(run, quick)
            continue
        for line in singly((some,)):
            run = yield from _take(run, line, interval_s)
    yield from run.end(None)


def _take_all(run: _Run, quick: Quick) -> Generator[Found, None, _Run]:
    begin = 0
    while begin < len(quick.rtt_s):
        together = run.following_on(quick, begin)
        if together:
            yield from run.replies(quick, begin, begin + together)
            begin += together
            continue
        stamp, seq, time = quick.parts[begin]
        if run.is_over_by(int(seq)):
            yield from run.end(None)
            run = run.following()
        yield from run.reply(Line(0, ""), stamp or None, seq, time, "")
        begin += 1
    return run


def _take(run: _Run, line: Line, interval_s: float) -> Generator[Found, None, _Run]:
    text = line.text
    if line.why is not None:
        yield refuse(line, line.why)
    elif len(text) > LONGEST_LINE:
        yield refuse(line, "longer than any line of ping")
    elif (reply := _REPLY.match(text)) is not None:
        if run.is_over_by(int(reply.group(2))):
            yield from run.end(None)
            run = run.following()
        yield from run.reply(line, *reply.groups())
    elif (header := _HEADER.match(text)) is not None:
        yield from run.end(None)
        run = _Run(run.next_ns, round(interval_s * NS), header.group(1), is_whole=True)
    elif (summary := _SUMMARY.match(text)) is not None:
        yield from run.end(int(summary.group(1)))
        yield from _interval_of_summary(summary, interval_s, is_timed=run.is_timed)
    elif text and not _KNOWN.match(_STAMP.sub("", text, count=1)):
        yield refuse(line, _why(text))
        if (unread := _UNREAD.match(text)) is not None:
            run.strike(int(unread.group(1)))
    return run


def _why(text: str) -> str:
    return "a reply without icmp_seq or time" if " bytes from " in text else "not a line of ping"


def _interval_of_summary(summary: re.Match[str], interval_s: float, *, is_timed: bool) -> Iterator[Found]:
    sent, took_ms = int(summary.group(1)), summary.group(2)
    if is_timed or took_ms is None or sent < 10:
        return
    found_s = int(took_ms) / 1000 / (sent - 1)
    if found_s > 0 and abs(found_s - interval_s) > 0.1 * interval_s:
        yield Note(OTHER_INTERVAL.format(found_s=found_s))


class _Run:
    """One run of ping; ``number`` counts its probes from the first on, beyond 65535 too."""

    def __init__(self, begin_ns: int, interval_ns: int, peer: str | None, *, is_whole: bool) -> None:
        self._begin_ns = begin_ns
        self._interval_ns = interval_ns
        self._peer = peer
        self._is_whole = is_whole
        self._first: int | None = None
        self._last = 0
        self._last_ns = begin_ns - interval_ns
        self._missing: dict[int, int] = {}
        self._ended = False
        self.is_timed = False
        self.next_ns = begin_ns

    def reply(self, line: Line, stamp: str | None, seq: str, time: str, rest: str) -> Iterator[Found]:
        """A line of a reply, and the probes before it that were lost."""
        rtt_s = decimal(time) / 1e3
        if int(seq) >= WRAP:
            yield refuse(line, "icmp_seq is beyond 65535")
            return
        if not is_length(rtt_s):
            yield refuse(line, "its time is no length of time")
            self.strike(int(seq))
            return
        if "(DUP!)" in rest:
            return
        self.is_timed = self.is_timed or stamp is not None
        sent_ns = None if stamp is None else round((float(stamp) - rtt_s) * NS)
        if sent_ns is not None and not is_time(sent_ns):
            yield refuse(line, "its time is beyond the years 1970 to 2255")
            return
        if self._first is None:
            yield from self._begin(int(seq), sent_ns)
            yield from self._forward(int(seq), sent_ns, rtt_s)
            return
        step = (int(seq) - self._last) % WRAP
        if step == 0:
            return
        if step < WRAP // 2:
            yield from self._forward(self._last + step, sent_ns, rtt_s)
        else:
            yield from self._late(self._last + step - WRAP, sent_ns, rtt_s)

    def strike(self, seq: int) -> None:
        """A probe that was answered, nobody knows how soon: no loss."""
        step = (seq - self._last) % WRAP
        if self._first is None or seq >= WRAP or step == 0:
            return
        if step >= WRAP // 2:
            self._missing.pop(self._last + step - WRAP, None)
            return
        for number in range(self._last + 1, self._last + step):
            self._missing[number] = self._last_ns + (number - self._last) * self._interval_ns
        self._last_ns += step * self._interval_ns
        self._last += step

    def following_on(self, quick: Quick, begin: int) -> int:
        """How many replies from ``begin`` on are just the next ones, each in its turn."""
        if self._ended or self._first is None or (quick.seq[begin] - self._last) % WRAP != 1:
            return 0
        count = quick.unbroken(begin)
        if self._missing:
            # Until the first of them can be answered no more.
            count = min(count, next(iter(self._missing)) + LATE - self._last)
        if quick.sent_ns is None and not is_time(self._last_ns + count * self._interval_ns):
            return 0
        return max(0, count)

    def replies(self, quick: Quick, begin: int, end: int) -> Iterator[Found]:
        """Those that ``following_on`` counted."""
        if quick.sent_ns is None:
            sent_ns = self._last_ns + self._interval_ns * np.arange(1, end - begin + 1)
        else:
            sent_ns = quick.sent_ns[begin:end]
            self.is_timed = True
        self._last += end - begin
        self._last_ns = int(sent_ns[-1])
        self.next_ns = max(self.next_ns, int(sent_ns.max()) + self._interval_ns)
        yield Replies(sent_ns, quick.rtt_s[begin:end], self._peer)

    def is_over_by(self, seq: int) -> bool:
        """Whether this number can only be of another run, whose header is missing."""
        step = (seq - self._last) % WRAP
        return self._ended or (self._first is not None and WRAP // 2 <= step < WRAP - LATE)

    def following(self) -> _Run:
        """Another run, of whose beginning nothing is known."""
        return _Run(self.next_ns, self._interval_ns, self._peer, is_whole=False)

    def end(self, transmitted: int | None) -> Iterator[Found]:
        """The run's end: what is missing was lost, and all that its summary says was sent but one."""
        if self._ended:
            return
        for number in list(self._missing):
            yield self._lost(number)
        behind = range(self._last + 1, self._begin_number() + (transmitted or 0) - 1)
        if self._is_whole and len(behind) <= _MOST_BEHIND:
            for number in behind:
                yield self._probe(number, self._last_ns + (number - self._last) * self._interval_ns, None)
        self._ended = True

    def _begin_number(self) -> int:
        # iputils begins at 1, others at 0.
        return 0 if self._first == 0 else 1

    def _begin(self, number: int, sent_ns: int | None) -> Iterator[Found]:
        self._first = number
        if sent_ns is None:
            yield Note(UNTIMED.format(interval_s=self._interval_ns / NS))
        before = number - self._begin_number() if self._is_whole else 0
        self._last = number - 1
        if sent_ns is None:
            self._last_ns = self._begin_ns + (before - 1) * self._interval_ns
        else:
            self._last_ns = sent_ns - self._interval_ns
        for lost in range(number - before, number):
            yield self._probe(lost, self._last_ns - (self._last - lost) * self._interval_ns, None)

    def _forward(self, number: int, sent_ns: int | None, rtt_s: float) -> Iterator[Found]:
        """The next probe, or one after a gap; probes that nobody can answer any more are lost."""
        if sent_ns is None:
            sent_ns = self._last_ns + (number - self._last) * self._interval_ns
        apart_ns = (sent_ns - self._last_ns) // (number - self._last)
        for gone in range(self._last + 1, number):
            self._missing[gone] = self._last_ns + (gone - self._last) * apart_ns
        self._last, self._last_ns = number, sent_ns
        # In the order of their numbers, because they were put in so.
        while self._missing and (gone := next(iter(self._missing))) < number - LATE:
            yield self._lost(gone)
        yield self._probe(number, sent_ns, rtt_s)

    def _late(self, number: int, sent_ns: int | None, rtt_s: float) -> Iterator[Found]:
        """A reply that came out of order; a second one of a probe is none."""
        gap_ns = self._missing.pop(number, None)
        if gap_ns is not None:
            yield self._probe(number, gap_ns if sent_ns is None else sent_ns, rtt_s)

    def _lost(self, number: int) -> Found:
        return self._probe(number, self._missing.pop(number), None)

    def _probe(self, number: int, sent_ns: int, rtt_s: float | None) -> Found:
        self.next_ns = max(self.next_ns, sent_ns + self._interval_ns)
        if not is_time(sent_ns):
            return Refused(0, f"icmp_seq {number}", "its time is beyond the years 1970 to 2255")
        return Probe(sent_ns, rtt_s, self._peer)
