"""A path of the mesh, simulated: what both ends send to the store, and which way each probe really went."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from analyzer import synthetic as made

if TYPE_CHECKING:
    from truechimer.samples import Sample

TIMEOUT_S = 2.0
POINT_S = 10.0
RTT_S = 0.004


@dataclass
class MeshPath:
    """``a`` probes ``b`` every second; ``there`` and ``back`` block a direction for [begin, end) seconds.

    ``b``'s steady clock reads ``apart_s`` more than ``a``'s and runs ``fast_ppm`` faster; its wall clock is
    ``wrong_s`` ahead, and so are its stamps. ``restarts`` are times at which b's reflector begins anew.
    ``lossy`` is each direction's share of other losses; during a share ``stalled`` of probes ``a`` stalled.
    Loss and phase come from ``seed``. ``told_there`` and ``told_back`` are the losses of which the newest
    stored row of ``a`` speaks.
    """

    seed: int = 1
    until_s: float = 100.0
    there: tuple[float, float] = (1e9, 1e9)
    back: tuple[float, float] = (1e9, 1e9)
    apart_s: float = 12_345.0
    fast_ppm: float = 80.0
    wrong_s: float = 0.0
    restarts: tuple[float, ...] = ()
    lossy: tuple[float, float] = (0.0, 0.0)
    dscp: int = 0
    session: int = 77
    points_kept: float = 1.0
    stalled: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    lost_there: list[float] = field(default_factory=list)
    lost_back: list[float] = field(default_factory=list)
    told_there: int = 0
    told_back: int = 0

    def __post_init__(self) -> None:
        rng = Random(self.seed)
        self._dscp = {"dscp": self.dscp} if self.dscp else {}
        phase_a, phase_b = rng.uniform(0, POINT_S), rng.uniform(0, POINT_S)
        probes: list[tuple[float, float | None, float | None]] = []
        at_s = rng.uniform(0, 1)
        while at_s < self.until_s:
            arrives = at_s + RTT_S / 2
            if self._blocked(self.there, at_s) or rng.random() < self.lossy[0]:
                probes.append((at_s, None, None))
                self.lost_there.append(at_s)
            elif self._blocked(self.back, at_s) or rng.random() < self.lossy[1]:
                probes.append((at_s, arrives, None))
                self.lost_back.append(at_s)
            else:
                probes.append((at_s, arrives, at_s + RTT_S))
            at_s += 1.0 + rng.uniform(-0.05, 0.05)
        self._probe_rows(probes)
        self._path_rows(probes, phase_a, rng)
        self._reflection_rows(probes, phase_b, rng)

    @staticmethod
    def _blocked(block: tuple[float, float], at_s: float) -> bool:
        return block[0] <= at_s < block[1]

    def _steady_b(self, at_s: float) -> float:
        return at_s * (1 + self.fast_ppm * 1e-6) + self.apart_s

    def _probe_rows(self, probes: list[tuple[float, float | None, float | None]]) -> None:
        rng = Random(self.seed)
        for sent_s, _, back_s in probes:
            stalled = rng.random() < self.stalled
            if back_s is None:
                if sent_s + TIMEOUT_S < self.until_s:
                    fields = {
                        "outcome": 6 if stalled else 1,
                        "steady_seconds": sent_s,
                        "epoch": 1,
                        **self._dscp,
                    }
                    self._add("truechimer_rtt", sent_s, fields, "a", "b", via="stamp")
            elif back_s < self.until_s:
                apart_s = self._steady_b(back_s) - back_s
                fields = {
                    "outcome": 6 if stalled else 0,
                    "rtt_seconds": RTT_S,
                    "lower_seconds": apart_s - RTT_S / 2 - 1e-6,
                    "upper_seconds": apart_s + RTT_S / 2 + 1e-6,
                    "peer_epoch": 3,
                    "reflector_seconds": 5e-5,
                    "steady_seconds": back_s,
                    "epoch": 1,
                    **self._dscp,
                }
                self._add("truechimer_rtt", back_s, fields, "a", "b", via="stamp")

    def _path_rows(
        self, probes: list[tuple[float, float | None, float | None]], phase_s: float, rng: Random
    ) -> None:
        """What a sender can know: a loss has a direction once a later reply tells the peer's count."""
        point_s, before = phase_s, [0, 0, 0, 0]
        while point_s < self.until_s:
            replies = [k for k, (_, _, back_s) in enumerate(probes) if back_s and back_s <= point_s]
            newest = replies[-1] if replies else -1
            decided = probes[: newest + 1]
            lost = [p for p in probes[newest + 1 :] if p[0] + TIMEOUT_S <= point_s]
            totals = [
                sum(p[0] <= point_s for p in probes),
                len(replies),
                sum(p[1] is None for p in decided),
                sum(p[1] is not None and p[2] is None for p in decided),
            ]
            names = ("sent", "received", "lost_forward", "lost_backward")
            fields: dict[str, float | int] = {
                name: now - then for name, now, then in zip(names, totals, before, strict=True)
            }
            fields |= {"undetermined": len(lost), "unknown": 0, "reordered": 0, "duplicated": 0}
            fields |= {"session": self.session, "steady_seconds": point_s, "epoch": 1, **self._dscp}
            if newest >= 0:
                fields["reflected_total"] = self._seen(probes, probes[newest][1] or 0.0)
            if rng.random() < self.points_kept:
                self._add("truechimer_path", point_s, fields, "a", "b")
                known_s = max(point_s - TIMEOUT_S, probes[newest][0] if newest >= 0 else 0.0)
                self.told_there = sum(at_s <= known_s for at_s in self.lost_there)
                self.told_back = sum(at_s <= known_s for at_s in self.lost_back)
            before = totals
            point_s += POINT_S

    def _reflection_rows(
        self, probes: list[tuple[float, float | None, float | None]], phase_s: float, rng: Random
    ) -> None:
        point_s, before = phase_s, 0
        while point_s < self.until_s:
            total = self._seen(probes, point_s)
            began = any(point_s - POINT_S < again <= point_s for again in self.restarts)
            fields = {
                "requests": total if began else total - before,
                "session": self.session,
                "seen_total": total,
                "steady_seconds": self._steady_b(point_s),
                "epoch": 3,
            }
            if rng.random() < self.points_kept:
                self._add("truechimer_reflection", point_s + self.wrong_s, fields, "b", "a")
            before = total
            point_s += POINT_S

    def _seen(self, probes: list[tuple[float, float | None, float | None]], at_s: float) -> int:
        since_s = max((again for again in self.restarts if again <= at_s), default=-1.0)
        return sum(p[1] is not None and since_s < p[1] <= at_s for p in probes)

    def _add(
        self, measurement: str, at_s: float, fields: dict[str, float | int], node: str, peer: str, **tags: str
    ) -> None:
        self.samples.append(made.sample(measurement, at_s, fields, node, peer=peer, **tags))
