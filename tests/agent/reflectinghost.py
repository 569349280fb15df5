"""A reflector's thread on loopback, for tests: it answers until the ``with`` ends."""

import contextlib
import socket

from truechimer.readings import SystemClocks
from truechimer_agent.hostclock import HostClock
from truechimer_agent.mesh.reflecting import Reflecting
from truechimer_agent.mesh.reflectorsocket import ReflectorSocket
from truechimer_agent.stamp.reflector import Reflector


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

    def silence(self, data, following):
        """Send ``data`` and then ``following``, whose reply is all that comes."""
        self.socket.send(data)
        reply = self.ask(following)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(f"one more came: {self.socket.recv(10_000)!r}")
        return reply
