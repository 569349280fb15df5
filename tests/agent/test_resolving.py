"""Look-ups that nobody waits for."""

import asyncio
import socket
import subprocess
import sys

import pytest

from truechimer_agent.resolving import lookup


def test_a_numeric_address_is_found():
    """As getaddrinfo gives it."""
    found = asyncio.run(lookup("127.0.0.1", 123, socket.SOCK_DGRAM))
    assert found == [(socket.AF_INET, ("127.0.0.1", 123))]


@pytest.mark.parametrize("name", ["no-such-name.invalid", "a" * 300, "..", "\udcff"])
def test_a_name_without_an_address_is_an_error_of_its_own(name, monkeypatch):
    """Whatever the resolver makes of it (here: nothing leaves this machine)."""

    def refuse(*args, **kwargs):
        if name.startswith("no-such"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise UnicodeError

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises((socket.gaierror, UnicodeError)):
        asyncio.run(lookup(name, 1, socket.SOCK_STREAM))


PROGRAM = """
import asyncio, socket, time
from truechimer_agent.resolving import lookup
socket.getaddrinfo = lambda *args, **kwargs: time.sleep(60)
async def run():
    try:
        async with asyncio.timeout(0.05):
            await lookup("slow.example", 1, socket.SOCK_STREAM)
    except TimeoutError:
        print("given up")
asyncio.run(run())
"""


def test_the_process_ends_while_a_resolver_is_silent():
    """asyncio's own executor would be waited for, here a minute."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.returncode) == ("given up\n", 0)
