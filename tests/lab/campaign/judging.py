"""What an agent says of the time, held against the truth: the kernel's W, and what shifts make of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.campaign.tally import HIDDEN, MISSED, UNNOTICED, Tally
from lab.harness import ShiftedClock

from truechimer.clock import Interval
from truechimer.codes import NtpOutcome
from truechimer.readings import Reading
from truechimer.samples import Sample

MAX_DRIFT = 500e-6
FINDINGS_KEPT = 20
# steady_seconds is a float: within 2⁻²³ s of the instant in this century.
INSTANT_NS = 300
# An exchange's interval is told of W as it was read after the reply had been worked through.
EXCHANGE_NS = 100_000_000
# So long after a stop the agent may still be in the epoch before it.
UNSEEN_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Stop:
    """The host's clocks stood; it went on when its RAW showed `own_raw_ns`, the agent in `epoch` before."""

    own_raw_ns: int
    epoch: int | None
    traced: bool


class Judge:
    """Counts into a tally. Of servers that are not `honest` no exchange is judged."""

    def __init__(self, tally: Tally, shifted: ShiftedClock, honest: set[str]) -> None:
        self._tally = tally
        self._shifted = shifted
        self._honest = honest
        self._looks: list[tuple[int, int, float]] = []
        self.stops: list[Stop] = []
        self.tracking_width_s: float | None = None

    def no_bound(self, reason: str) -> None:
        """A program looked, and was told that there is no bound."""
        self._tally.looks += 1
        self._tally.without[reason] += 1

    def look(self, interval: Interval, reading: Reading, true_ns: int) -> None:
        """A program looked and was told `interval` at its `reading`, made when it was `true_ns`."""
        tally = self._tally
        tally.looks += 1
        tally.covered += 1
        tally.checked["looks of a program"] += 1
        half_ns = (reading.width_ns + 1) // 2
        if not interval.earliest_ns - half_ns <= true_ns <= interval.latest_ns + half_ns:
            off_ns = max(interval.earliest_ns - true_ns, true_ns - interval.latest_ns)
            self._missed("a program", reading.raw_ns, interval.epoch, off_ns)
            return
        width_s = interval.width_ns / 1e9
        tally.widths.append(width_s)
        self._looks.append((reading.raw_ns, interval.epoch, width_s))
        if self.tracking_width_s is not None:
            tally.beside.append((width_s, self.tracking_width_s))

    def beside(self, *, missed: bool) -> None:
        """The chronyd beside was asked, and its interval held against the truth."""
        self._tally.beside_asked += 1
        self._tally.beside_missed += missed

    def samples(self, samples: Sequence[Sample], anchor_ns: int) -> None:
        """Everything that the agent sent."""
        replies = []
        for sample in samples:
            if sample.measurement not in ("truechimer_bound", "truechimer_ntp"):
                continue
            own_raw_ns = round(float(sample.fields["steady_seconds"]) * 1e9) - anchor_ns
            if sample.measurement == "truechimer_bound":
                self._sample("bounds", sample, own_raw_ns, INSTANT_NS)
                continue
            self._tally.exchanges += 1
            if sample.fields["outcome"] == NtpOutcome.REPLY:
                self._tally.replies += 1
                replies.append((own_raw_ns, sample))
                if sample.tags["server"] in self._honest:
                    self._sample("honest servers' exchanges", sample, own_raw_ns, EXCHANGE_NS)
        self._compare_with_the_last_exchange(sorted(replies, key=lambda each: each[0]))

    def _sample(self, what: str, sample: Sample, own_raw_ns: int, for_ns: int) -> None:
        if "lower_seconds" not in sample.fields:
            return
        self._tally.checked[what] += 1
        lower_s, upper_s = (float(sample.fields[f"{end}_seconds"]) for end in ("lower", "upper"))
        truths_s = self._offsets_s(own_raw_ns - INSTANT_NS, own_raw_ns + for_ns)
        if not (lower_s <= max(truths_s) and min(truths_s) <= upper_s):
            off_ns = round(max(lower_s - max(truths_s), min(truths_s) - upper_s) * 1e9)
            self._missed(what, own_raw_ns, int(sample.fields["epoch"]), off_ns)

    def _offsets_s(self, first_ns: int, last_ns: int) -> list[float]:
        """UTC − W at both ends of a stretch of the host's RAW, and around every change in between."""
        marks = [first_ns, last_ns]
        for stretch in self._shifted.history:
            began_ns = stretch.from_raw_ns + stretch.raw_ns
            marks += [mark for mark in (began_ns - 1, began_ns) if first_ns < mark < last_ns]
        return [-self._shifted.at_own_raw(mark)[0].wall_ns / 1e9 for mark in marks]

    def _missed(self, what: str, own_raw_ns: int, epoch: int, off_ns: int) -> None:
        stops = [each for each in self.stops if 0 <= own_raw_ns + INSTANT_NS - each.own_raw_ns <= UNSEEN_NS]
        explanation = MISSED
        if stops and stops[-1].epoch == epoch:
            explanation = UNNOTICED if stops[-1].traced else HIDDEN
        self._tally.misses[explanation] += 1
        if explanation == MISSED and len(self._tally.findings) < FINDINGS_KEPT:
            self._tally.findings.append(
                f"{what} missed by {off_ns} ns at RAW {own_raw_ns} in epoch {epoch}; stops {self.stops}"
            )

    def _compare_with_the_last_exchange(self, replies: Sequence[tuple[int, Sample]]) -> None:
        """Beside each look, how wide the newest exchange alone would be, whichever server's it is."""
        newest = 0
        for own_raw_ns, epoch, width_s in self._looks:
            while newest < len(replies) and replies[newest][0] <= own_raw_ns:
                newest += 1
            if newest == 0 or replies[newest - 1][1].fields["epoch"] != epoch:
                continue
            at_ns, reply = replies[newest - 1]
            lower_s, upper_s = (float(reply.fields[f"{end}_seconds"]) for end in ("lower", "upper"))
            aged_s = 2 * MAX_DRIFT * (own_raw_ns - at_ns) / 1e9
            self._tally.alone.append((width_s, upper_s - lower_s + aged_s))
