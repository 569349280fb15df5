"""Name lookups that nobody has to wait for: a resolver may take half a minute to say nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TypeAlias

Sockaddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Found: TypeAlias = list[tuple[socket.AddressFamily, Sockaddr]]


async def lookup(host: str, port: int, kind: socket.SocketKind) -> Found:
    """Families and addresses by getaddrinfo(3), in its order.

    Asked in a daemon thread, so that neither the loop nor the end of the process waits for it. Raises
    socket.gaierror, or UnicodeError for what can be no name.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def give(found: Found | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found or [])

    def ask() -> None:
        found: Found | None = None
        failure: Exception | None = None
        try:
            answers = socket.getaddrinfo(host, port, type=kind)
            found = [(family, sockaddr) for family, _, _, _, sockaddr in answers]
        except (OSError, UnicodeError) as error:
            failure = error
        try:
            loop.call_soon_threadsafe(give, found, failure)
        except RuntimeError:
            return  # the loop has ended meanwhile

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    return await answer
