"""Each detector as its paper or program has it: one arrival after the other, in plain Python floats."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# (arrival, sequence, sending) in the order of arrival.
Arrival = tuple[float, int, float]


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def fixed(arrivals: Sequence[Arrival], timeout: float) -> Iterator[float]:
    for arrived, _, _ in arrivals:
        yield arrived + timeout


def nfd_s(arrivals: Sequence[Arrival], interval: float, delta: float) -> Iterator[float]:
    newest, deadline = -1, math.nan
    for _, sequence, sent in arrivals:
        if sequence > newest:
            newest, deadline = sequence, sent + interval + delta
        yield deadline


def nfd_e(
    arrivals: Sequence[Arrival], interval: float, alpha: float, windows: Sequence[int]
) -> Iterator[float]:
    """With several windows, 2W-FD: the latest expected arrival counts."""
    newest, deadline = -1, math.nan
    recent = [deque[float](maxlen=window) for window in windows]
    for arrived, sequence, sent in arrivals:
        if sequence > newest:
            newest = sequence
            for window in recent:
                window.append(arrived - sent)
            deadline = max(mean(window) for window in recent) + sent + interval + alpha
        yield deadline


def bertier(
    arrivals: Sequence[Arrival], interval: float, window: int, gamma: float, beta: float, phi: float
) -> Iterator[float]:
    newest, deadline = -1, math.nan
    recent = deque[float](maxlen=window)
    delay = var = 0.0
    for arrived, sequence, sent in arrivals:
        if sequence > newest:
            newest = sequence
            if recent:
                error = arrived - (mean(recent) + sent) - delay
                delay = delay + gamma * error
                var = var + gamma * (abs(error) - var)
            recent.append(arrived - sent)
            deadline = mean(recent) + sent + interval + beta * delay + phi * var
        yield deadline


def akka_phi(since: float, mean_s: float, deviation: float) -> float:
    y = (since - mean_s) / deviation
    e = math.exp(min(700.0, -y * (1.5976 + 0.070566 * y * y)))
    if since > mean_s:
        return math.inf if e == 0 else -math.log10(e / (1 + e))
    return -math.log10(1 - 1 / (1 + e))


def akka(
    arrivals: Sequence[Arrival],
    threshold: float,
    pause: float,
    heartbeat: float,
    window: int,
    least: float,
    y: float,
) -> Iterator[float]:
    """``y``: where φ reaches the threshold; whether an interval is learned goes by φ itself."""
    history = deque([heartbeat * 0.75, heartbeat * 1.25], maxlen=window)
    last = None
    for arrived, _, _ in arrivals:
        if last is not None:
            middle = mean(history)
            deviation = max(math.sqrt(mean([(x - middle) ** 2 for x in history])), least)
            if akka_phi(arrived - last, middle + pause, deviation) < threshold:
                history.append(arrived - last)
        last = arrived
        middle = mean(history)
        deviation = max(math.sqrt(mean([(x - middle) ** 2 for x in history])), least)
        yield arrived + middle + pause + y * deviation


def cassandra(
    arrivals: Sequence[Arrival], threshold: float, window: int, first: float, longest: float
) -> Iterator[float]:
    recent = deque([first], maxlen=window)
    last = None
    for arrived, _, _ in arrivals:
        if last is not None and arrived - last <= longest:
            recent.append(arrived - last)
        last = arrived
        yield arrived + mean(recent) * threshold * math.log(10)


def jacobson(replies: Sequence[float], known: Sequence[int], k: float, granularity: float) -> Iterator[float]:
    timeouts = [1.0]
    srtt = rttvar = 0.0
    for number, rtt in enumerate(replies):
        if number == 0:
            srtt, rttvar = rtt, rtt / 2
        else:
            rttvar = (1 - 1 / 4) * rttvar + 1 / 4 * abs(srtt - rtt)
            srtt = (1 - 1 / 8) * srtt + 1 / 8 * rtt
        timeouts.append(srtt + max(granularity, k * rttvar))
    for count in known:
        yield timeouts[count]


def mistakes(
    arrivals: Sequence[Arrival], deadlines: Sequence[float], until: float
) -> list[tuple[float, float]]:
    """Begin and end of each suspicion, by stepping through arrivals and deadlines as events."""
    found: list[tuple[float, float]] = []
    since = None
    nexts = [arrived for arrived, _, _ in [*arrivals[1:], (math.inf, 0, 0.0)]][: len(arrivals)]
    for (arrived, _, _), deadline, following in zip(arrivals, deadlines, nexts, strict=True):
        if since is not None and deadline > arrived:
            found.append((since, arrived))
            since = None
        begins = max(arrived, deadline)
        if since is None and begins < min(following, until):
            since = begins
    if since is not None:
        found.append((since, until))
    return found
