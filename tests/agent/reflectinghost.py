"""A reflector's thread on loopback, for tests: it answers until the ``with`` ends."""

import contextlib
import socket
from time import sleep

from truechimer.readings import SystemClocks, monotonic_s
from truechimer_agent.hostclock import HostClock
from truechimer_agent.mesh.reflecting import Reflecting
from truechimer_agent.mesh.reflectorsocket import ReflectorSocket
from truechimer_agent.stamp.reflector import Reflector

_MOST_UNDER_WAY = 20


class ReflectingHost:
    """``port`` is where it listens; ``reflector`` counts; ``clock`` is the host's."""

    def __init__(self, key=None, *, listen="127.0.0.1", allowance=None, clocks=None):
        family = socket.AF_INET6 if ":" in listen else socket.AF_INET
        self.clock = HostClock(SystemClocks(), None)
        self.socket = ReflectorSocket(family, (listen, 0))
        self.port = self.socket.port
        self.reflector = Reflector(key, b"reflectr", 7, allowance)
        self.thread = Reflecting(self.socket, self.reflector, self.clock, clocks or SystemClocks(2))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.stop()


class Peer:
    """A socket that asks a reflector."""

    def __init__(self, host, address="127.0.0.1", *, source=None, timeout_s=5.0):
        self.host = host
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect((address, host.port))
        self.socket.settimeout(timeout_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, data):
        """The reply's bytes."""
        self.socket.send(data)
        return self.socket.recv(10_000)

    def flood(self, request, limit_s=30.0):
        """Send ``request(0)``, ``request(1)``… until it is kept away; how many were sent.

        Few are under way at a time: a full buffer would have the kernel drop what others send next.
        """
        end_s = monotonic_s() + limit_s
        before = self.host.reflector.totals.requests
        sent = 0
        while self.host.thread.blocked() == [] and monotonic_s() < end_s:
            if sent - (self.host.reflector.totals.requests - before) < _MOST_UNDER_WAY:
                self.socket.send(request(sent))
                sent += 1
            else:
                sleep(0)
        return sent

    def silence(self, data, following):
        """Send ``data`` and then ``following``, whose reply is all that comes."""
        self.socket.send(data)
        reply = self.ask(following)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(f"one more came: {self.socket.recv(10_000)!r}")
        return reply
