"""The daemon collector: who is here, who is missed, and commands that misbehave."""

import asyncio
import socket
import threading
from dataclasses import dataclass, field

import psutil
import pytest
from agent.daemonwords import NTPSEC, NTPSEC_PEERS

from truechimer.codes import Leap
from truechimer.errors import DecodeError, NothingThere
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.collectors.daemon import LOOK_ROUNDS, Daemons
from truechimer_agent.timedaemons import command
from truechimer_agent.timedaemons.believed import Believed
from truechimer_agent.timedaemons.ntpd import Ntpd


@dataclass
class Steady:
    epoch: int = 1


@dataclass
class Host:
    """Every look at S is a second later."""

    clocks: object = None
    now_s: int = 0
    log: list = field(default_factory=list)
    kept: Steady = field(default_factory=Steady)

    def steady(self):
        return self.kept

    def steady_now_ns(self):
        self.now_s += 1
        return self.now_s * 10**9

    def emit(self, observation):
        self.log.append(observation)


@dataclass(eq=False)
class Fake:
    """A time daemon that answers as it is told to."""

    name: str
    answer: object = None
    asked: int = 0

    async def ask(self, _clocks):
        self.asked += 1
        if self.answer is None:
            return Believed(self.name, Leap.NONE, 2, system_time_s=0.001)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer()


def collector(*daemons):
    host = Host()
    return host, Daemons(host, daemons, lambda: host.log.append("bound"))


def one_round(daemons, *, opened=True):
    if not opened:
        asyncio.run(daemons.open())
    return asyncio.run(daemons.collect())


def daemons_in(log):
    return [entry.tags["daemon"] for entry in log if entry != "bound"]


def test_a_word_lies_between_two_bounds_and_says_when_it_was_heard():
    """A bound before and one after the asking; S is half way through it."""
    host, daemons = collector(Fake("chrony"))
    assert one_round(daemons, opened=False) == []
    assert [entry if entry == "bound" else entry.tags for entry in host.log] == [
        "bound",
        "bound",
        {"daemon": "chrony"},
    ]
    observation = host.log[2]
    assert observation.steady_ns == 1_500_000_000
    assert observation.fields == {
        "system_time_seconds": 0.001,
        "stratum": 2,
        "leap": 0,
        "steady_seconds": 1.5,
        "epoch": 1,
    }


def test_only_those_that_are_here_are_asked_and_others_are_looked_for_now_and_then():
    """A daemon that is started later is found within LOOK_ROUNDS rounds."""
    here, away = Fake("chrony"), Fake("ntpd", NothingThere("refused"))
    host, daemons = collector(here, away)
    one_round(daemons, opened=False)
    assert (here.asked, away.asked) == (2, 1)
    away.answer = None
    for _ in range(LOOK_ROUNDS):
        one_round(daemons)
    assert away.asked >= 2
    assert "ntpd" in daemons_in(host.log)


def test_no_daemon_at_all_is_said_with_what_to_do():
    _, daemons = collector(
        Fake("chrony", NothingThere("chronyc cannot be run")), Fake("ntpd", NothingThere("no"))
    )
    with pytest.raises(Lacking, match="no time daemon answers: chronyc cannot be run; no") as caught:
        asyncio.run(daemons.open())
    assert "[daemon]" in caught.value.hint


def test_one_that_stops_is_an_error_each_round_until_it_or_another_answers():
    """The text is the same each round, so that the runner logs it once."""
    first, second = Fake("chrony"), Fake("ntpd", NothingThere("refused"))
    host, daemons = collector(first, second)
    one_round(daemons, opened=False)
    first.answer = NothingThere("chronyc says '506 Cannot talk to daemon'")
    with pytest.raises(CollectFailure):
        one_round(daemons)
    said = set()
    for _ in range(3):
        with pytest.raises(CollectFailure) as caught:
            one_round(daemons)
        said.add(str(caught.value))
    assert said == {"no time daemon answers: chronyc says '506 Cannot talk to daemon'; refused"}
    second.answer = None
    assert one_round(daemons) == []
    assert daemons_in(host.log)[-1] == "ntpd"


def test_what_cannot_be_read_fails_the_round_but_not_the_others_words():
    """Malformed output is an error of its own, and its daemon stays one that is here."""
    bad, good = Fake("chrony", DecodeError("tracking has 3 columns")), Fake("ntpd")
    host, daemons = collector(bad, good)
    asyncio.run(daemons.open())
    for _ in range(2):
        with pytest.raises(CollectFailure, match="chrony: tracking has 3 columns"):
            one_round(daemons)
    assert daemons_in(host.log) == ["ntpd", "ntpd"]


def test_one_of_two_that_is_missed_once_is_asked_again_at_once():
    first, second = Fake("chrony"), Fake("ntpd")
    host, daemons = collector(first, second)
    one_round(daemons, opened=False)
    first.answer = NothingThere("no answer within 3 s")
    with pytest.raises(CollectFailure, match="chrony: no answer"):
        one_round(daemons)
    first.answer = None
    one_round(daemons)
    assert daemons_in(host.log) == ["chrony", "ntpd", "ntpd", "chrony", "ntpd"]


def test_nothing_is_said_of_an_asking_across_two_epochs():
    """S of before and of after cannot be compared."""
    fake = Fake("chrony")
    host, daemons = collector(fake)
    asyncio.run(daemons.open())

    def slept():
        host.kept = Steady(2)
        return Believed("chrony", Leap.NONE, 2)

    fake.answer = slept
    with pytest.raises(CollectFailure, match="epoch"):
        one_round(daemons)
    assert daemons_in(host.log) == []


def answer(*words, **options):
    return asyncio.run(command.answer_of(*words, **options))


def test_a_commands_answer_is_in_the_c_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert answer("sh", "-c", "echo $LC_ALL; echo not this >&2") == "C\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("no-such-command-of-truechimer",), "cannot be run: No such file"),
        (("sh", "-c", "echo 506 Cannot talk to daemon; exit 1"), "says '506 Cannot talk to daemon'"),
        (("sh", "-c", "exit 3"), "ended with 3"),
    ],
)
def test_a_command_that_fails_is_one_that_is_not_there(words, why):
    with pytest.raises(NothingThere, match=why):
        answer(*words)


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_command_that_hangs_is_killed():
    before = children()
    with pytest.raises(NothingThere, match="no answer within"):
        answer("sleep", "600", timeout_s=0.2)
    assert children() <= before


def test_a_command_without_an_end_to_its_words_is_killed():
    before = children()
    with pytest.raises(DecodeError, match="65536 bytes"):
        answer("yes", timeout_s=60)
    assert children() <= before


def test_a_command_is_killed_when_the_agent_stops_meanwhile():
    before = children()

    async def stopped():
        task = asyncio.create_task(command.answer_of("sleep", "600", timeout_s=60))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    assert children() <= before


class FakeNtpd:
    """Answers control messages on a port of loopback; `silent` takes them and says nothing."""

    def __init__(self, *, silent=False):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self._silent = silent
        self._thread = threading.Thread(target=self._serve)

    def _serve(self):
        while True:
            datagram, peer = self._socket.recvfrom(2048)
            if not datagram:
                return
            if self._silent:
                continue
            template = NTPSEC if datagram[1] == 2 else NTPSEC_PEERS
            self._socket.sendto(b"\x16\x82\xff\xff" + template[4:], peer)
            self._socket.sendto(template[:2] + datagram[2:4] + template[4:], peer)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()


def test_ntpd_is_asked_over_udp():
    """Its real datagrams, a stray one before each."""
    with FakeNtpd() as there:
        found = asyncio.run(Ntpd(there.address, 30.0).ask(None))
    assert (found.system_time_s, found.reachable_sources) == (pytest.approx(-0.037000909), 3)


def test_an_ntpd_that_is_silent_or_not_there():
    with FakeNtpd(silent=True) as there, pytest.raises(NothingThere, match="does not answer"):
        asyncio.run(Ntpd(there.address, 0.2).ask(None))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    with pytest.raises(NothingThere, match="refused"):
        asyncio.run(Ntpd(address).ask(None))
