"""Exchanges that end: an answer is read for so long and no further, whatever the other end sends.

urllib3 bounds each wait for bytes, so that an answer that drips never times out, and reads a failure's body
to its end, however long that is. Here each exchange has one time for all of it, and a body its most bytes.
"""

from __future__ import annotations

import http.client
import io
import warnings
from typing import TYPE_CHECKING, Any

from truechimer.readings import monotonic_s

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from _typeshed import WriteableBuffer

ANSWER_BYTES = 64 << 10
_SEND_BYTES = 64 << 10


class BoundedPool:
    """Stands before a PoolManager: answers come back read, at most ``answer_bytes`` of them.

    The time-out of a request is that of the whole exchange, except that a name of several addresses may
    take as long for each of them to connect, and that looking it up takes what the resolver takes.
    """

    def __init__(self, pool: urllib3.PoolManager, answer_bytes: int = ANSWER_BYTES) -> None:
        self._pool = pool
        self._answer_bytes = answer_bytes
        pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        timeout: urllib3.Timeout,
        headers: Mapping[str, str],
        preload_content: bool = True,  # noqa: ARG002 - it is always read, and only so far
        **more: Any,  # noqa: ANN401 - the client's
    ) -> urllib3.HTTPResponse:
        """One exchange, as urllib3's ``request``. Raises urllib3.exceptions.HTTPError."""
        answer = self._pool.request(
            method,
            url,
            body=body,
            timeout=timeout,
            headers=headers,
            preload_content=False,
            decode_content=False,
            **more,
        )
        try:
            read = answer.read(self._answer_bytes, decode_content=False)
            # This also hands the connection back where nothing is left.
            whole = not answer.read(1, decode_content=False)
        except BaseException:
            answer.close()
            raise
        if whole:
            answer.release_conn()
        else:
            answer.close()
        return urllib3.HTTPResponse(
            body=read,
            headers=answer.headers,
            status=answer.status,
            reason=answer.reason,
            preload_content=True,
        )

    def clear(self) -> None:
        """Close what is kept open."""
        self._pool.clear()


class _Timed(io.RawIOBase):
    """Reads a socket until a deadline (CLOCK_MONOTONIC)."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline_s: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline_s = deadline_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left_s = self._deadline_s - monotonic_s()
        if left_s <= 0:
            raise TimeoutError("the answer's time is over")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose time, headers and body together, is the time-out that its socket begins with."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(sock, *args, **kwargs)
        time_s = sock.gettimeout()
        if time_s is not None:
            raw: Any = self.fp
            self.fp = io.BufferedReader(_Timed(raw.detach(), sock, monotonic_s() + time_s))


class _TimedSending:
    """Sends a request within the connection's time-out, connecting included."""

    timeout: float | None
    sock: socket.socket | None
    _deadline_s: float | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's
        self._deadline_s = None if self.timeout is None else monotonic_s() + self.timeout
        super().request(*args, **kwargs)  # type: ignore[misc]

    def send(self, data: Any) -> None:  # noqa: ANN401 - the library's
        if not isinstance(data, bytes | bytearray):
            super().send(data)  # type: ignore[misc]
            return
        for start in range(0, len(data), _SEND_BYTES):
            if self._deadline_s is not None and self.sock is not None:
                left_s = self._deadline_s - monotonic_s()
                if left_s <= 0:
                    raise TimeoutError("the request's time is over")
                self.sock.settimeout(left_s)
            super().send(data[start : start + _SEND_BYTES])  # type: ignore[misc]


class _HttpConnection(_TimedSending, HTTPConnection):
    response_class = _Answer


class _HttpsConnection(_TimedSending, HTTPSConnection):
    response_class = _Answer


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
