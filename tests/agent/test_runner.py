"""The runner alone times, catches, counts and logs."""

import asyncio
import logging

from truechimer_agent.collecting import CollectFailure, Lacking, Observation
from truechimer_agent.runner import Runner


class Counting:
    """A collector that does what its script says, round by round."""

    interval_s = 0.01

    def __init__(self, script):
        self.script = list(script)
        self.opened = self.closed = 0

    async def open(self):
        self.opened += 1

    async def collect(self):
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        return [Observation("truechimer_rtt", 1, {"outcome": 0}, {})]

    async def close(self):
        self.closed += 1


def run_for(seconds, **collectors):
    async def go():
        seen = []
        runner = Runner(collectors, seen.append)
        runner.start()
        await asyncio.sleep(seconds)
        await runner.stop()
        return seen, runner

    return asyncio.run(go())


def test_one_failing_collector_does_not_stop_itself_or_the_others(caplog):
    """A defect is logged with its trace once, counted each time, and the next round runs."""
    failing = Counting([ValueError("boom")] * 3)
    healthy = Counting([])
    with caplog.at_level(logging.INFO):
        seen, runner = run_for(0.3, failing=failing, healthy=healthy)
    assert runner.tallies["failing"].errors == 3
    assert runner.tallies["failing"].failing is None
    assert runner.tallies["healthy"].errors == 0
    assert runner.tallies["healthy"].runs > 5
    assert len(seen) > 10
    messages = [record.getMessage() for record in caplog.records]
    assert sum("boom" in message for message in messages) == 1
    assert sum("works again" in message for message in messages) == 1


def test_an_understood_failure_has_no_trace(caplog):
    """CollectFailure is a message, not a traceback."""
    with caplog.at_level(logging.INFO):
        run_for(0.1, some=Counting([CollectFailure("no such file")]))
    record = next(record for record in caplog.records if "no such file" in record.getMessage())
    assert record.exc_info is None


def test_a_collector_that_lacks_a_privilege_says_so_once(caplog):
    """It is closed, the fix is in the message, and nothing else is disturbed."""

    class Denied(Counting):
        async def open(self):
            raise Lacking("needs CAP_NET_RAW", hint="use the drop-in")

    denied = Denied([])
    with caplog.at_level(logging.INFO):
        _, runner = run_for(0.1, denied=denied, healthy=Counting([]))
    assert denied.closed == 1
    assert runner.tallies["denied"].failing == "needs CAP_NET_RAW"
    messages = [record.getMessage() for record in caplog.records]
    assert sum("use the drop-in" in message for message in messages) == 1


def test_missed_rounds_are_skipped_not_caught_up():
    """After a round that took ten intervals the beat goes on; it does not run ten rounds at once."""

    class Slow(Counting):
        async def collect(self):
            if not self.script:
                self.script.append(None)
                await asyncio.sleep(0.2)
            return []

    slow = Slow([])
    slow.interval_s = 0.02
    _, runner = run_for(0.4, slow=slow)
    assert runner.tallies["slow"].runs <= 13


def test_everything_is_closed_on_stop():
    """Sockets and children do not outlive the daemon."""
    collector = Counting([])
    run_for(0.05, some=collector)
    assert (collector.opened, collector.closed) == (1, 1)
