"""daemon: what this host's own time daemon believes of its clock, every 16 s."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from truechimer.errors import NothingThere, TruechimerError
from truechimer_agent.collecting import CollectFailure, Lacking, Observation
from truechimer_agent.timedaemons.chrony import Chrony
from truechimer_agent.timedaemons.ntpd import Ntpd
from truechimer_agent.timedaemons.timesyncd import Timesyncd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from truechimer.config.model import DaemonConfig
    from truechimer_agent.collecting import Host
    from truechimer_agent.timedaemons.believed import Believed, TimeDaemon

NS = 1e9
HINT = (
    "run chronyd, ntpd or systemd-timesyncd; where chronyd has its command socket elsewhere, set "
    'chrony = "/path/to/chronyd.sock" under [daemon]'
)
LOOK_ROUNDS = 40
"""How often a host is looked over for further daemons, in rounds: about every eleven minutes."""


def daemons_of(config: DaemonConfig) -> tuple[TimeDaemon, ...]:
    """Every kind of time daemon that is looked for."""
    return (Chrony(config.chrony), Ntpd(), Timesyncd())


class Daemons:
    """Asks the time daemons that were found on this host.

    ``beside`` ships a bound at once: one is shipped before and one after the asking, so that whoever compares
    the two knows what UTC − W was meanwhile, however W was steered or stepped.
    """

    interval_s = 16.0

    def __init__(self, host: Host, daemons: Sequence[TimeDaemon], beside: Callable[[], None]) -> None:
        self._host = host
        self._daemons = tuple(daemons)
        self._beside = beside
        self._present: tuple[TimeDaemon, ...] = ()
        self._rounds_to_look = LOOK_ROUNDS

    async def open(self) -> None:
        """Look which daemons run here. Raises Lacking when none answers."""
        answers = await self._asked(self._daemons)
        self._note(self._daemons, answers)
        if not self._present:
            raise Lacking(_nobody(answers), hint=HINT)

    async def close(self) -> None:
        """Nothing to let go of."""

    async def collect(self) -> list[Observation]:
        """One round. Raises what went wrong with one of them, once the others' words are handed over."""
        self._rounds_to_look -= 1
        asked = self._present if self._present and self._rounds_to_look > 0 else self._daemons
        self._beside()
        steady, began_ns = self._host.steady(), self._host.steady_now_ns()
        answers = await self._asked(asked)
        steady_ns = (began_ns + self._host.steady_now_ns()) // 2
        if self._host.steady().epoch != steady.epoch:
            raise CollectFailure("a new epoch began while the time daemon was asked")
        self._beside()
        for answer in answers:
            if not isinstance(answer, TruechimerError):
                self._host.emit(_observed(answer, steady_ns, steady.epoch))
        expected = self._present
        self._note(asked, answers)
        if not self._present:
            raise CollectFailure(_nobody(answers), hint=HINT)
        for daemon, answer in zip(asked, answers, strict=True):
            if isinstance(answer, TruechimerError) and (daemon in expected or not _is_absent(answer)):
                raise CollectFailure(f"{daemon.name}: {answer}")
        return []

    async def _asked(self, daemons: Sequence[TimeDaemon]) -> list[Believed | TruechimerError]:
        return await asyncio.gather(*(self._answer(daemon) for daemon in daemons))

    async def _answer(self, daemon: TimeDaemon) -> Believed | TruechimerError:
        try:
            return await daemon.ask(self._host.clocks)
        except TruechimerError as error:
            return error

    def _note(self, asked: Sequence[TimeDaemon], answers: Sequence[Believed | TruechimerError]) -> None:
        """Those that answered at all are here, even if their answers cannot be read.

        When one is missed everybody is asked the next time, so that it comes back as soon as it answers.
        """
        expected = self._present
        self._present = tuple(
            daemon for daemon, answer in zip(asked, answers, strict=True) if not _is_absent(answer)
        )
        if any(daemon not in self._present for daemon in expected):
            self._rounds_to_look = 1
        elif asked is self._daemons:
            self._rounds_to_look = LOOK_ROUNDS


def _is_absent(answer: Believed | TruechimerError) -> bool:
    return isinstance(answer, NothingThere)


def _nobody(answers: Sequence[Believed | TruechimerError]) -> str:
    return f"no time daemon answers: {'; '.join(str(answer) for answer in answers)}"


def _observed(believed: Believed, steady_ns: int, epoch: int) -> Observation:
    fields = believed.fields() | {"steady_seconds": steady_ns / NS, "epoch": epoch}
    return Observation("truechimer_daemon", steady_ns, fields, {"daemon": believed.daemon})
