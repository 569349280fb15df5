"""Bodies of requests: bounded in size, in time, and in what they unpack to."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from truechimer_analyzer.server.replies import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

BODY_LIMIT = 16 * 1024 * 1024
UNPACKED_LIMIT = 16 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request, limit: int, timeout_s: float | None = None) -> bytes:
    """The body as sent. Raises Refused: 413 beyond ``limit`` bytes, 408 when it does not come in time."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared) > limit:
        raise too_large(limit, "bytes")
    parts: list[bytes] = []
    size = 0
    deadline_s = BODY_TIMEOUT_S if timeout_s is None else timeout_s
    try:
        async with asyncio.timeout(deadline_s):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large(limit, "bytes")
                parts.append(part)
    except TimeoutError as error:
        raise Refused(
            408, f"the body did not come within {deadline_s:g} s", headers={"Connection": "close"}
        ) from error
    except ClientDisconnect as error:
        raise Refused(400, "the sender went away before the body's end") from error
    return b"".join(parts)


def unpack(body: bytes, encoding: str, limit: int = UNPACKED_LIMIT) -> bytes:
    """Undo Content-Encoding: gzip (several members too) or none.

    Raises Refused: 413 as soon as more than ``limit`` bytes come out, 400 for what is no gzip, 415 for
    another encoding.
    """
    kind = encoding.strip().lower()
    if kind in {"", "identity"}:
        return body
    if kind not in {"gzip", "x-gzip"}:
        raise Refused(415, f"Content-Encoding {kind[:40]!r} is not known", hint="send gzip or none")
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(rest, limit - size + 1)
        except zlib.error as error:
            raise Refused(400, f"the body is no gzip: {error}") from error
        size += len(part)
        if size > limit:
            raise too_large(limit, "bytes when unpacked")
        if not member.eof:
            raise Refused(400, "the body is no gzip: it ends too early")
        parts.append(part)
        rest = member.unused_data
    return b"".join(parts)


def too_large(limit: int, what: str) -> Refused:
    """The refusal of a body beyond a limit."""
    return Refused(
        413,
        f"the body is larger than {limit} {what}",
        hint="send less at once",
        headers={"Connection": "close"},
    )
