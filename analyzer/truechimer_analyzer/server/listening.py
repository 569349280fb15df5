"""The listening socket, and uvicorn with the deadlines that it lacks."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import resource
import socket
from typing import TYPE_CHECKING

import psutil
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from truechimer.config import format_address, listen_address
from truechimer.errors import ConfigError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from truechimer.config.model import ServerConfig

log = logging.getLogger(__name__)

HEADERS_TIMEOUT_S = 15.0
READER_TIMEOUT_S = 30.0
KEEP_ALIVE_S = 75
GRACE_S = 1
CONNECTIONS = 1000
# Descriptors for what is no client's connection: the store, its spill files, reports, the log.
_DESCRIPTORS_KEPT = 128
_QUEUE = 128
# asyncio takes as many connections in one go as its backlog says, before the first of them is judged, and
# logs as many times when descriptors run out.
_ACCEPTED_AT_ONCE = 16


def bind(listen: str) -> socket.socket:
    """A listening socket at HOST:PORT. Raises UserError saying who has the port, or why it cannot be."""
    host, port = listen_address(listen)
    if not host:
        return _create(listen, socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET, ("", port))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UserError(f"cannot listen on {listen}: {error.strerror}") from error
    family, _, _, _, address = found[0]
    return _create(listen, family, (str(address[0]), port))


def _create(listen: str, family: int, address: tuple[str, int]) -> socket.socket:
    try:
        return socket.create_server(
            address,
            family=family,
            backlog=_QUEUE,
            dualstack_ipv6=family == socket.AF_INET6 and not address[0],
        )
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO).lower()
        hint = 'name another address: [server] listen = "HOST:PORT" (port 0: any free one)'
        if error.errno == errno.EADDRINUSE:
            holder = _holder(address[1])
            reason += f" ({holder})" if holder else ""
            hint = f"stop what listens there, or {hint}"
        elif error.errno == errno.EACCES:
            hint = f"ports below 1024 need a privilege; {hint}"
        raise UserError(f"cannot listen on {listen}: {reason}", hint=hint) from error


def _holder(port: int) -> str | None:
    """Which process listens on a TCP port, as far as this user may see."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.pid is not None
            if listens and connection.laddr and connection.laddr.port == port:
                return f"PID {connection.pid}, {psutil.Process(connection.pid).name()}"
    except (psutil.Error, OSError):
        return None
    return None


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this host can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def address_of(listener: socket.socket, *, tls: bool) -> str:
    """The socket's address as a URL."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{format_address(host, port)}"


def check_exposure(config: ServerConfig, listener: socket.socket) -> None:
    """Raises ConfigError for a listener that strangers could use."""
    if config.tokens_file is None and not is_loopback(listener):
        raise ConfigError(
            f"listening on {config.listen} needs [server] tokens_file: everybody there could read and write",
            hint="write a tokens file, or listen on 127.0.0.1",
        )


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may; how many connections that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays limit=%d error=%s", soft, error)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(1, min(CONNECTIONS, soft - _DESCRIPTORS_KEPT))


class _Protocol(H11Protocol):
    """Ends connections beyond the bound, without headers in time, or whose reader stopped reading."""

    most_connections = CONNECTIONS
    _headers_timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None
    _unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            # Better refused at once than left in the queue of a process that has no descriptors.
            transport.abort()
            return
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        if self._between_requests():
            self._await_headers()
        super().data_received(data)
        if not self._between_requests() and self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._headers_timer, self._reader_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _await_reader(self) -> None:
        """Cut the connection unless something is taken from its buffer, deadline after deadline."""
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._reader_timer = self.loop.call_later(READER_TIMEOUT_S, self._judge_reader)

    def _judge_reader(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread_bytes:
            self._await_reader()
        else:
            self.transport.abort()

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_headers(self) -> None:
        if self._headers_timer is None:
            self._headers_timer = self.loop.call_later(HEADERS_TIMEOUT_S, self.transport.close)


class _Server(uvicorn.Server):
    """Leaves signals to the daemon, and says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_QUEUE)
        self._ready()


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    config: ServerConfig,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None],
    closing: Callable[[], None],
) -> None:
    """Serve until ``stop``; ``closing`` is called then, to end what would otherwise go on.

    Returns within about ``GRACE_S`` + 0.2 s of ``stop``, whatever clients do. Raises ConfigError for a
    certificate or key that cannot be used.
    """
    # What uvicorn says of clients' mistakes can be provoked at will; our own failures we log ourselves.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    _Protocol.most_connections = raise_descriptor_limit()
    settings = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_ACCEPTED_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=config.tls_certificate,
        ssl_keyfile=config.tls_key,
    )
    try:
        settings.load()
    except OSError as error:
        raise ConfigError(
            f"cannot use [server] tls_certificate {config.tls_certificate} with tls_key: {error}"
        ) from error
    server = _Server(settings, ready)

    async def end() -> None:
        await stop.wait()
        closing()
        server.should_exit = True

    ending = asyncio.create_task(end())
    try:
        await server.serve(sockets=[listener])
    finally:
        ending.cancel()
