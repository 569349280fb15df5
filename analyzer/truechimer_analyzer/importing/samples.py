"""Measurements as samples, in batches that a store knows again."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome, Via
from truechimer.errors import UserError
from truechimer.lineprotocol import encode_lines
from truechimer.samples import Sample
from truechimer_analyzer.importing.found import Probe, Replies, Stop, Watched
from truechimer_analyzer.stores import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from truechimer_analyzer.importing.found import Measured
    from truechimer_analyzer.importing.placing import Labels

BATCH_ROWS = 20_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_label(option: str, text: str) -> str:
    """A name as a tag can have it; UserError otherwise."""
    if not text.strip() or len(text) > 200 or _CONTROL.search(text) or not text.isprintable():
        raise UserError(f"--{option} {text[:40]!r} is no name", hint="write a printable name")
    return text


def batches(measured: Iterable[Measured], labels: Labels) -> Iterator[Batch]:
    """Batches of ``BATCH_ROWS``; the same measurements under the same names have the same identities."""
    waiting: list[Sample] = []
    for some in measured:
        for each in some.singly() if isinstance(some, Replies) else (some,):
            waiting.append(sample(each, labels))
            if len(waiting) >= BATCH_ROWS:
                yield _batch(waiting)
                waiting = []
    if waiting:
        yield _batch(waiting)


def _batch(samples: list[Sample]) -> Batch:
    return Batch(hashlib.sha256(b"import\n" + encode_lines(samples)).digest(), samples)


def sample(measured: Probe | Stop | Watched, labels: Labels) -> Sample:
    """One measurement with its names."""
    tags = {"cluster": labels.cluster, "node": labels.node}
    fields: dict[str, float | int]
    if isinstance(measured, Probe):
        tags |= {"peer": peer_of(measured, labels), "via": Via.ICMP.value}
        if measured.rtt_s is None:
            fields = {"outcome": ProbeOutcome.LOST.value}
        else:
            fields = {"outcome": ProbeOutcome.REPLY.value, "rtt_seconds": float(measured.rtt_s)}
        return Sample("truechimer_rtt", tags, fields, measured.time_ns)
    tags |= {"source": source_of(measured, labels), "runtime": labels.runtime}
    if isinstance(measured, Stop):
        tags["cause"] = measured.cause
        fields = {"duration_seconds": float(measured.duration_s)}
        if measured.sync_s is not None:
            fields["sync_seconds"] = float(measured.sync_s)
        if measured.pauses > 1:
            fields["pauses"] = measured.pauses
        return Sample("truechimer_pause", tags, fields, measured.time_ns)
    fields = {
        "observed_seconds": float(measured.observed_s),
        "count": measured.stops,
        "total_seconds": float(measured.total_s),
        "max_seconds": float(measured.max_s),
    }
    if measured.threshold_s is not None:
        fields["threshold_seconds"] = float(measured.threshold_s)
    return Sample("truechimer_pause_window", tags, fields, measured.time_ns)


def peer_of(probe: Probe | Replies, labels: Labels) -> str:
    """Whom a probe asked: as was asked for, else as the file says."""
    return labels.peer if labels.is_peer_asked or probe.peer is None else probe.peer


def source_of(measured: Stop | Watched, labels: Labels) -> str:
    """What stopped: as was asked for, else as the file says."""
    return labels.source if labels.is_source_asked or measured.source is None else measured.source
