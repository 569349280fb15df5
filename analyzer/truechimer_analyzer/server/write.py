"""``POST /api/v2/write``: line protocol in, 204 once it is durable."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from starlette.responses import Response

from truechimer.lineprotocol import PRECISIONS_NS, Decoded, decode
from truechimer_analyzer.server import replies
from truechimer_analyzer.server.bodies import BODY_LIMIT, read_body, too_large, unpack
from truechimer_analyzer.server.replies import Refused
from truechimer_analyzer.stores import Batch

if TYPE_CHECKING:
    from starlette.requests import Request

    from truechimer_analyzer.server.metrics import Metrics
    from truechimer_analyzer.stores import Store

WRITES_AT_ONCE = 64
# Many times what an agent sends at once; bounds the time and room that one body takes.
LINES_LIMIT = 200_000
_NAMED_IN_MESSAGE = 5


class WriteEndpoint:
    """Takes writes for a store; org and bucket are accepted and mean nothing here."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._running = 0
        # Decoding holds the interpreter: two at a time leave it responsive.
        self._decoders = CapacityLimiter(2)

    async def post(self, request: Request) -> Response:
        """204 when all is durable; 400 naming the refused lines when the others are."""
        if self._running >= WRITES_AT_ONCE:
            raise Refused(429, f"{self._running} writes are under way", headers={"Retry-After": "1"})
        self._running += 1
        try:
            return await self._write(request)
        finally:
            self._running -= 1

    async def _write(self, request: Request) -> Response:
        precision = request.query_params.get("precision") or "ns"
        if precision not in PRECISIONS_NS:
            raise Refused(
                400,
                f"precision {precision[:20]!r} is not known",
                hint=f"one of {', '.join(PRECISIONS_NS)}",
            )
        body = await read_body(request, BODY_LIMIT)
        encoding = request.headers.get("content-encoding", "")
        batch, decoded = await to_thread.run_sync(
            _decode, body, encoding, precision, limiter=self._decoders, abandon_on_cancel=True
        )
        if decoded.samples:
            await asyncio.wrap_future(self._store.submit(batch))
        if not decoded.refused_count:
            return Response(status_code=204)
        self._metrics.refused_lines.inc(decoded.refused_count)
        return _partial(decoded)


def _decode(body: bytes, encoding: str, precision: str) -> tuple[Batch, Decoded]:
    """The batch that a body is, by its SHA-256 and precision, and what it held. Raises Refused."""
    text = unpack(body, encoding)
    if text.count(b"\n") > LINES_LIMIT:
        raise too_large(LINES_LIMIT, "lines")
    decoded = decode(text, precision=precision)
    identity = hashlib.sha256(precision.encode() + b"\n" + text).digest()
    return Batch(identity, decoded.samples), decoded


def _partial(decoded: Decoded) -> Response:
    """InfluxDB's answer to lines that are wrong; the good ones are stored, and stay so if sent again."""
    lines = decoded.refused_count + len(decoded.samples)
    first = decoded.refused[:_NAMED_IN_MESSAGE]
    named = "; ".join(f"line {line.number}: {line.why}" for line in first)
    more = "; …" if decoded.refused_count > len(first) else ""
    kept = "partial write: " if decoded.samples else ""
    return replies.document(
        {
            "code": "invalid",
            "message": f"{kept}{decoded.refused_count} of {lines} lines refused: {named}{more}",
            "refused_total": decoded.refused_count,
            "refused": [
                {"line": line.number, "text": line.text, "why": line.why} for line in decoded.refused
            ],
        },
        400,
    )
