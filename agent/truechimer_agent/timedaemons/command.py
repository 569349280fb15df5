"""A command's answer, without blocking the loop: bounded in time and size, in the C locale, no shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError, NothingThere

if TYPE_CHECKING:
    from asyncio.subprocess import Process

TIMEOUT_S = 3.0
END_S = 1.0
MOST_BYTES = 65_536


async def answer_of(*command: str, timeout_s: float = TIMEOUT_S) -> str:
    """The standard output of a command that ended well, which is at most ``MOST_BYTES`` long.

    Raises NothingThere when there is no such command, it fails, or it takes longer; DecodeError when it
    says more. Nothing of it runs on after that.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError as error:
        raise NothingThere(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout_s):
            said = await _bounded(process)
            status = await process.wait()
    except TimeoutError:
        raise NothingThere(f"{command[0]} had no answer within {timeout_s:g} s") from None
    finally:
        await _end(process)
    text = said.decode(errors="replace")
    if status:
        last = text.strip().rpartition("\n")[2][:100]
        raise NothingThere(f"{command[0]} says {last!r}" if last else f"{command[0]} ended with {status}")
    return text


async def _bounded(process: Process) -> bytes:
    assert process.stdout is not None
    said = b""
    while piece := await process.stdout.read(MOST_BYTES):
        said += piece
        if len(said) > MOST_BYTES:
            raise DecodeError(f"an answer of more than {MOST_BYTES} bytes")
    return said


async def _end(process: Process) -> None:
    """Kill what still runs and read its pipe to the end, without which its transport would stay open."""
    assert process.stdout is not None
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            while await process.stdout.read(MOST_BYTES):
                pass
            await process.wait()
