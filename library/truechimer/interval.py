"""The interval that :func:`truechimer.clock.now` returns, and how a bound is aged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

from truechimer.readings import NS

if TYPE_CHECKING:
    from typing import Self

    from truechimer.codes import BoundReason, BoundStatus

_PPB = 1_000_000_000


class Aging(NamedTuple):
    """UTC − RAW lies in [low_ns, high_ns] at RAW = ``as_of_raw_ns`` and grows by the frequencies (10⁻⁹)."""

    as_of_raw_ns: int
    low_ns: int
    high_ns: int
    frequency_lower_ppb: int
    frequency_upper_ppb: int
    status: BoundStatus
    reason: BoundReason
    epoch: int


class Interval(tuple[int, int, Aging]):
    """UTC lay in [earliest_ns, latest_ns] (Unix ns) at an instant inside the call that gave this.

    Immutable. Equal intervals have equal values; they have no order of their own: ask ``before`` and
    ``after``. What it holds is RAW at that instant, the greatest time asleep that went unnoticed, and the
    bound: the ends are computed when they are asked for, because few programs ask for all of them.
    """

    __slots__ = ()

    def __new__(
        cls,
        earliest_ns: int,
        latest_ns: int,
        status: BoundStatus,
        reason: BoundReason,
        as_of_age_s: float,
        epoch: int,
    ) -> Self:
        """An interval of these values, for programs that test themselves."""
        as_of_raw_ns = -round(as_of_age_s * NS)
        return cls._of(0, 0, Aging(as_of_raw_ns, earliest_ns, latest_ns, 0, 0, status, reason, epoch))

    @classmethod
    def _of(cls, raw_ns: int, slept_ns: int, aging: Aging) -> Self:
        """A bound aged to RAW = ``raw_ns``, when the host may have slept for up to ``slept_ns``."""
        return tuple.__new__(cls, (raw_ns, slept_ns, aging))

    @property
    def earliest_ns(self) -> int:
        """UTC was not before this; rounded down."""
        raw_ns, _, aging = self
        return raw_ns + aging[1] + aging[3] * (raw_ns - aging[0]) // _PPB

    @property
    def latest_ns(self) -> int:
        """UTC was not after this; rounded up."""
        raw_ns, slept_ns, aging = self
        # While the host slept RAW stood still and UTC went on: only this end moves.
        return raw_ns + aging[2] - (-aging[4] * (raw_ns - aging[0]) // _PPB) + slept_ns

    @property
    def status(self) -> BoundStatus:
        """Synchronized or holdover."""
        return self[2].status

    @property
    def reason(self) -> BoundReason:
        """Why the bound is not better."""
        return self[2].reason

    @property
    def as_of_age_s(self) -> float:
        """How old the agent's bound was."""
        return (self[0] - self[2].as_of_raw_ns) / NS

    @property
    def epoch(self) -> int:
        """Number of the stretch over which the steady clock could be trusted."""
        return self[2].epoch

    @property
    def width_ns(self) -> int:
        """Latest − earliest."""
        return self.latest_ns - self.earliest_ns

    def before(self, t_ns: int) -> bool:
        """Whether it was certainly before ``t_ns``."""
        return self.latest_ns < t_ns

    def after(self, t_ns: int) -> bool:
        """Whether it was certainly after ``t_ns``; once true it stays so."""
        return self.earliest_ns > t_ns

    def _values(self) -> tuple[int, int, BoundStatus, BoundReason, float, int]:
        return self.earliest_ns, self.latest_ns, self.status, self.reason, self.as_of_age_s, self.epoch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interval) and self._values() == other._values()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        earliest, latest, status, reason, age_s, epoch = self._values()
        return (
            f"Interval(earliest_ns={earliest}, latest_ns={latest}, status={status!r}, reason={reason!r}, "
            f"as_of_age_s={age_s}, epoch={epoch})"
        )

    def __reduce__(self) -> tuple[type[Interval], tuple[object, ...]]:
        return Interval, self._values()

    def _refuse(self, _other: object) -> NoReturn:
        raise TypeError("intervals have no order: ask before() and after()")

    __lt__ = __le__ = __gt__ = __ge__ = _refuse
