"""A batch through a store that refuses some of it: lines named are taken out, the rest is sent by halves.

No line is given up on the word of something that may be no store. Pure but for the ``exchange`` handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.lineprotocol import RefusedLine
from truechimer_agent.sinks.answers import Answer, Verdict, judge, refused_lines, retry_for
from truechimer_agent.sinks.sending import Retry, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROUNDS = 8  # of taking named lines out of a batch before the rest goes in halves
_MISSES = 24  # refusals in a row before it is no store; halving 16 million lines down to one takes 24

Row = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A line refused on its own, and what to say if that turns out to prove nothing."""

    line: RefusedLine
    definite: bool
    failure: Retry


class Sifter:
    """Sends one batch. ``known``: this store took something before, in this process."""

    def __init__(self, exchange: Callable[[bytes], Answer], *, known: bool) -> None:
        self._exchange = exchange
        self._known = known
        self._misses = 0
        self._refused: list[RefusedLine] = []
        self._more_refused = 0
        self._suspects: list[_Suspect] = []
        self.accepted = False

    def send(self, lines: bytes) -> Sent:
        """Send them all. Raises Retry when they are to be sent again, all of them."""
        self._send(list(enumerate(lines.splitlines(keepends=True), start=1)), _ROUNDS)
        for suspect in self._suspects:
            # Plain words at 400 may come from a proxy that was put before the store since.
            if not (self.accepted or (suspect.definite and self._known)):
                raise suspect.failure
            self._refused.append(suspect.line)
        refused = tuple(sorted(self._refused, key=lambda line: line.number))
        return Sent(len(refused) + self._more_refused, refused)

    def _send(self, rows: Sequence[Row], rounds: int) -> None:
        lines = b"".join(row for _, row in rows)
        answer = self._exchange(lines)
        verdict = judge(answer)
        if verdict is Verdict.STORED:
            self.accepted = True
        elif verdict is Verdict.OTHER:
            raise retry_for(answer)
        elif verdict is Verdict.LINES:
            self._take_out(rows, lines, answer, rounds)
        else:
            self._halve(rows, answer, definite=verdict is Verdict.BATCH)

    def _take_out(self, rows: Sequence[Row], lines: bytes, answer: Answer, rounds: int) -> None:
        """The store judged lines: those it names are done with; the others it has, or they go again."""
        refusal = answer.refusal()
        named = refused_lines(lines, refusal)
        if refusal.kept_others and (named or refusal.count):
            self.accepted = True
            self._more_refused += max(0, (refusal.count or 0) - len(named))
        elif not named or rounds <= 1:
            self._halve(rows, answer, definite=True)
            return
        self._refused += [RefusedLine(rows[line.number - 1][0], line.text, line.why) for line in named]
        if refusal.kept_others:
            return
        out = {line.number for line in named}
        if left := [row for number, row in enumerate(rows, start=1) if number not in out]:
            self._send(left, rounds - 1)

    def _halve(self, rows: Sequence[Row], answer: Answer, *, definite: bool) -> None:
        """The whole was refused: send halves, down to single lines."""
        failure = retry_for(answer)
        self._misses += 1
        if not self.accepted and not (definite and self._known) and self._misses > _MISSES:
            raise failure
        if len(rows) == 1:
            number, row = rows[0]
            text = row.rstrip(b"\n")[:120].decode(errors="replace")
            self._suspects.append(_Suspect(RefusedLine(number, text, str(failure)), definite, failure))
            return
        middle = len(rows) // 2
        self._send(rows[:middle], _ROUNDS)
        self._send(rows[middle:], _ROUNDS)
