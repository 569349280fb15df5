"""The analyzer as a process: store, calendar, server, signals, and what the service manager hears."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError
from truechimer.notify import notify, watchdog_interval_s
from truechimer_analyzer.calendar import start_calendar
from truechimer_analyzer.server.app import Service
from truechimer_analyzer.server.auth import Authority
from truechimer_analyzer.server.listening import address_of, bind, check_exposure, is_loopback, serve
from truechimer_analyzer.stores import open_store

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from truechimer.config.model import AnalyzerConfig
    from truechimer_analyzer.stores import Store

log = logging.getLogger("truechimer.analyzer")


@dataclass(slots=True)
class Control:
    """A running analyzer's handles: where it listens, how to end it, how to have it read its tokens again."""

    address: str
    stop: Callable[[], object]
    reload: Callable[[], None]


def run(config: AnalyzerConfig, *, ready: Callable[[Control], None] | None = None) -> int:
    """Run until SIGTERM or SIGINT (or ``Control.stop``); the exit code.

    ``ready`` is called once requests are answered, in the server's thread. Outside the main thread no
    signal is handled. Raises the errors of configuration, port and store before anything is served.
    """
    with bind(config.server.listen) as listener:
        check_exposure(config.server, listener)
        authority = Authority(config.server.tokens_file)
        tls = config.server.tls_certificate is not None
        if not is_loopback(listener) and not tls:
            log.warning("tokens travel unencrypted unless a proxy adds TLS listen=%s", config.server.listen)
        store = open_store(config.store.address)
        try:
            calendar = start_calendar(config, store)
            try:
                service = Service(store, config.limits, authority)
                asyncio.run(_serve(config, service, listener, ready))
            finally:
                calendar.stop()
        finally:
            store.close()
    log.info("stopped")
    return 0


async def _serve(
    config: AnalyzerConfig,
    service: Service,
    listener: socket.socket,
    ready: Callable[[Control], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    control = Control(
        address=address_of(listener, tls=config.server.tls_certificate is not None),
        stop=partial(loop.call_soon_threadsafe, stop.set),
        reload=service.authority.reload,
    )
    _handle_signals(loop, stop, service.authority)

    def announce() -> None:
        sys.stdout.write(f"listening {control.address}\n")
        sys.stdout.flush()
        log.info("ready address=%s store=%s", control.address, service.store.address)
        notify(f"READY=1\nSTATUS=listening on {control.address}, store {service.store.address}")
        if ready is not None:
            ready(control)

    def closing() -> None:
        notify("STOPPING=1")
        log.info("stopping")
        service.events.close()

    watchdog = asyncio.create_task(_feed_watchdog(service.store))
    try:
        await serve(service.app(), listener, config.server, stop=stop, ready=announce, closing=closing)
    finally:
        watchdog.cancel()


def _handle_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, authority: Authority) -> None:
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, authority.reload)
    except (RuntimeError, ValueError):
        log.debug("not the main thread: signals are not handled")


async def _feed_watchdog(store: Store) -> None:
    """WATCHDOG=1 as long as this loop runs and the store writes and answers."""
    interval_s = watchdog_interval_s()
    while interval_s is not None:
        try:
            await asyncio.to_thread(store.check)
        except TruechimerError as error:
            log.error("store does not answer; the watchdog is not fed error=%s", error)  # noqa: TRY400
        else:
            notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
