"""``GET /api/v1/events``: server-sent events of what was committed, at most one a second to each reader."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from truechimer_analyzer.server.replies import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from truechimer_analyzer.stores import Commit

READERS = 128
LEAST_GAP_S = 1.0
HEARTBEAT_S = 15.0


@dataclass(slots=True, eq=False)
class _Reader:
    """What one stream has not told yet."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    received_ns: int = 0
    samples: int = 0
    nodes: set[tuple[str, str]] = field(default_factory=set)

    def add(self, commit: Commit) -> None:
        self.received_ns = commit.received_ns
        self.samples += commit.rows
        self.nodes |= commit.nodes
        self.news.set()

    def take(self) -> str:
        nodes = [{"cluster": cluster, "node": node} for cluster, node in sorted(self.nodes)]
        data = json.dumps({"received_ns": self.received_ns, "samples": self.samples, "nodes": nodes})
        self.samples = 0
        self.nodes = set()
        self.news.clear()
        return f"event: committed\ndata: {data}\n\n"


class Events:
    """Spreads commits, told by the store's writer, over the streams that are open."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers: set[_Reader] = set()
        self._closed = False

    def committed(self, commit: Commit) -> None:
        """Tell of a transaction; from any thread."""
        loop = self._loop
        if loop is None or not commit.rows:
            return
        try:
            loop.call_soon_threadsafe(self._spread, commit)
        except RuntimeError:
            self._loop = None  # the server has ended; the store goes on until its queue is empty

    def close(self) -> None:
        """End every stream; in the loop's thread."""
        self._closed = True
        for reader in self._readers:
            reader.news.set()

    async def stream(self, request: Request) -> StreamingResponse:  # noqa: ARG002 - a handler's signature
        """One stream."""
        if len(self._readers) >= READERS:
            raise Refused(503, f"{READERS} streams are open already", headers={"Retry-After": "10"})
        self._loop = asyncio.get_running_loop()
        return StreamingResponse(
            self._told(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    def _spread(self, commit: Commit) -> None:
        for reader in self._readers:
            reader.add(commit)

    async def _told(self) -> AsyncIterator[str]:
        reader = _Reader()
        self._readers.add(reader)
        try:
            yield "retry: 2000\n\n"
            while not self._closed:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await reader.news.wait()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if self._closed:
                    return
                yield reader.take()
                await self._pause()
        finally:
            self._readers.discard(reader)

    async def _pause(self) -> None:
        """The gap between two events, cut short by the end."""
        for _ in range(10):
            if self._closed:
                return
            await asyncio.sleep(LEAST_GAP_S / 10)
