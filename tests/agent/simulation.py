"""A simulated host with NTP servers of known truth: exchanges without sockets."""

from __future__ import annotations

from dataclasses import dataclass

from truechimer.codes import NtpOutcome, ServerReason
from truechimer_agent.bounds.estimator import Estimator
from truechimer_agent.ntp import packet
from truechimer_agent.ntp.exchange import Exchange, Failure

S0 = 1_795_000_000 * 10**9
PPM = 1e-6


@dataclass
class Server:
    """Answers UTC + ``lie_ns`` + ``drift_ppm`` × time, after delays drawn by the caller."""

    name: str
    lie_ns: int = 0
    drift_ppm: float = 0.0
    silent: bool = False


class Simulation:
    """UTC − S starts at ``x_ns`` and drifts with the oscillator's error ``frequency_ppm``."""

    def __init__(self, rng, servers, *, x_ns=0, frequency_ppm=0.0, wander_ppm=5.0, tolerated=None):
        self.rng = rng
        self.servers = servers
        self.now_ns = S0
        self.x_ns = x_ns
        self.frequency_ppm = frequency_ppm
        self.estimator = Estimator(
            [server.name for server in servers],
            max_drift_ppb=500_000,
            wander_ppb=round(wander_ppm * 1000),
            tolerated=tolerated,
        )

    def truth_ns(self, steady_ns):
        """UTC − S at that S."""
        return self.x_ns + (steady_ns - S0) * self.frequency_ppm * PPM

    def poll(self, server, burst=1):
        """Ask one server, through delays that are anything but symmetric."""
        source = self.estimator.sources[server.name]
        bound = None
        for number in range(burst):
            if number == burst - 1:
                source.polled(answered=not server.silent)
            if server.silent:
                self.now_ns += 2 * 10**9
                self.estimator.failure(server.name, Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE))
                continue
            sent_ns = self.now_ns
            there_ns = round(self.rng.expovariate(1 / 300_000)) + 20_000
            back_ns = round(self.rng.expovariate(1 / 3_000_000)) + 20_000
            at_ns = sent_ns + there_ns
            lie_ns = server.lie_ns + (at_ns - S0) * server.drift_ppm * PPM
            t2_ns = round(at_ns + self.truth_ns(at_ns) + lie_ns)
            received_ns = at_ns + back_ns
            self.now_ns = received_ns
            bound = self.estimator.reply(server.name, exchange(sent_ns, received_ns, t2_ns, t2_ns))
        return bound

    def round(self, burst=1, interval_ns=16 * 10**9):
        """Poll everybody once, then let the rest of the interval pass; the bound at its end."""
        end_ns = self.now_ns + interval_ns
        for server in self.servers:
            self.poll(server, burst)
        self.now_ns = max(self.now_ns, end_ns)
        return self.estimator.at(self.now_ns)

    def contains_truth(self, bound):
        """Whether the interval holds, to the rounding of the simulation itself."""
        truth_ns = self.truth_ns(bound.steady_ns)
        return bound.interval.lower_ns - 2 <= truth_ns <= bound.interval.upper_ns + 2


def header(error_s=0.0, leap=0, stratum=1):
    """A faultless server's header that admits ``error_s``."""
    return packet.Header(leap, 4, 4, stratum, 4, -30, 0.0, error_s, 0, 1, 1, 1)


def exchange(sent_ns, received_ns, t2_ns, t3_ns, error_ns=0):
    """An exchange that counts, from its four times."""
    return Exchange(
        sent_ns,
        received_ns,
        t3_ns - error_ns - received_ns,
        t2_ns + error_ns - sent_ns,
        received_ns - sent_ns - (t3_ns - t2_ns),
        (t2_ns - sent_ns + t3_ns - received_ns) // 2,
        header(error_ns / 1e9),
    )
