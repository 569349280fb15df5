"""Targets keep the address that answers, and leave one that fails."""

import asyncio
import socket

import pytest

from truechimer.codes import ProbeOutcome
from truechimer_agent.probes import targets
from truechimer_agent.probes.targets import FAILURES_BEFORE_MOVING, Address, Target

ONE, TWO, THREE = (Address(socket.AF_INET, (f"192.0.2.{number}", 80)) for number in (1, 2, 3))


def resolved(*addresses):
    """A target by name whose look-up gave these addresses."""
    target = Target("db", "db.example", 80, 1.0, 1.0)
    look_up(target, *addresses)
    return target


def look_up(target, *addresses):
    async def lookup(host, port):
        if not addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "temporary failure")
        return list(addresses)

    asyncio.run(target.resolve(lookup))


def fail(target, times, outcome=ProbeOutcome.LOST):
    for _ in range(times):
        target.heard(target.address, outcome)


@pytest.mark.parametrize(
    ("host", "family"),
    [("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6), ("::1", socket.AF_INET6)],
)
def test_a_numeric_target_needs_no_resolver(host, family):
    """Its address is known at once and never asked for."""
    target = Target("db", host, 80, 1.0, 1.0)
    assert target.address is not None
    assert target.address.family == family
    assert not target.needs_resolving()


def test_the_resolvers_order_is_kept_until_one_fails():
    """The first address is used; repeated failure moves on, and round again."""
    target = resolved(ONE, TWO)
    assert target.address == ONE
    fail(target, FAILURES_BEFORE_MOVING - 1)
    assert target.address == ONE
    fail(target, 1)
    assert target.address == TWO
    fail(target, FAILURES_BEFORE_MOVING)
    assert target.address == ONE


@pytest.mark.parametrize("answer", [ProbeOutcome.REPLY, ProbeOutcome.REFUSED])
def test_an_answer_forgives_earlier_failures(answer):
    """Now and then a loss is no reason to leave; a refusal by one that has replied is an answer too."""
    target = resolved(ONE, TWO)
    target.heard(ONE, ProbeOutcome.REPLY)
    for _ in range(5):
        fail(target, FAILURES_BEFORE_MOVING - 1)
        target.heard(ONE, answer)
    assert target.address == ONE


def test_an_address_that_only_ever_refused_is_left():
    """The service may listen on the other address alone."""
    target = resolved(ONE, TWO)
    fail(target, FAILURES_BEFORE_MOVING, ProbeOutcome.REFUSED)
    assert target.address == TWO
    target.heard(TWO, ProbeOutcome.REPLY)
    fail(target, 5 * FAILURES_BEFORE_MOVING, ProbeOutcome.REFUSED)
    assert target.address == TWO


def test_late_news_of_a_left_address_says_nothing_of_the_new_one():
    """Probes in flight to the old address end without moving the target again."""
    target = resolved(ONE, TWO, THREE)
    target.move_on()
    for _ in range(2 * FAILURES_BEFORE_MOVING):
        target.heard(ONE, ProbeOutcome.LOST)
    assert target.address == TWO


def test_a_new_answer_of_dns_keeps_the_address_in_use():
    """Resolvers rotate their answers; the target stays where it is while that is still listed."""
    target = resolved(ONE, TWO)
    target.move_on()
    look_up(target, THREE, ONE, TWO)
    assert target.address == TWO
    look_up(target, THREE, ONE)
    assert target.address == THREE


def test_old_addresses_serve_when_dns_fails(monkeypatch, caplog):
    """Failing DNS is logged once per change, and the address stays; it is asked for again when it is old."""
    target = resolved(ONE)
    assert not target.needs_resolving()
    look_up(target)
    look_up(target)
    assert target.address == ONE
    assert not target.needs_resolving()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    monkeypatch.setattr(targets, "FRESH_S", 0.0)
    assert target.needs_resolving()


def test_without_any_address_it_is_asked_again_at_the_next_probe():
    """A name that never resolved is not given up."""
    target = resolved()
    assert target.address is None
    assert target.needs_resolving()
    look_up(target, ONE)
    assert target.address == ONE
