"""What a majority proves: containment by simulation, and every verdict and reason by hand."""

import random

import pytest
from agent.simulation import S0, Server, Simulation, exchange

from truechimer.codes import BoundReason, BoundStatus, NtpOutcome, ServerReason, ServerVerdict
from truechimer_agent.bounds.estimator import Action, Estimator
from truechimer_agent.bounds.intervals import Drift, largest_minority
from truechimer_agent.bounds.source import Source
from truechimer_agent.ntp.exchange import Failure

SECOND = 10**9


def verdicts(bound):
    return {judged.server: judged.verdict for judged in bound.servers}


@pytest.mark.parametrize("seed", range(40))
def test_every_interval_contains_the_truth_with_a_lying_minority(seed):
    """1 to 7 servers, up to the tolerated number lying by 1 ms … 1 h or drifting by up to 500 ppm."""
    rng = random.Random(seed)
    count = rng.randint(1, 7)
    liars = rng.randint(0, largest_minority(count))
    servers = [Server(f"s{number}") for number in range(count)]
    for server in servers[:liars]:
        if rng.random() < 0.5:
            server.lie_ns = rng.choice((-1, 1)) * round(10 ** rng.uniform(6, 12.5))
        else:
            server.drift_ppm = rng.uniform(-500, 500)
    simulation = Simulation(
        rng, servers, x_ns=rng.randint(-(10**14), 10**14), frequency_ppm=rng.uniform(-400, 400)
    )
    intervals = 0
    for _ in range(40):
        bound = simulation.round(burst=rng.choice((1, 4)))
        if bound.interval is not None:
            intervals += 1
            assert simulation.contains_truth(bound), (seed, bound)
    assert intervals >= 30


def test_a_server_37_ms_off_among_five_is_named():
    """The others are selected, and the interval is tight around the truth."""
    servers = [Server(f"s{number}") for number in range(4)] + [Server("liar", lie_ns=-37_000_000)]
    simulation = Simulation(random.Random(1), servers)
    for _ in range(3):
        bound = simulation.round(burst=4)
        assert simulation.contains_truth(bound)
    assert bound.status is BoundStatus.SYNCHRONIZED
    assert verdicts(bound) == dict.fromkeys(["s0", "s1", "s2", "s3"], ServerVerdict.SELECTED) | {
        "liar": ServerVerdict.FALSETICKER
    }


def test_the_frequency_is_measured_and_the_bound_grows_no_faster():
    """After ten minutes of polls the drift's bounds contain it and are far tighter than ±500 ppm."""
    simulation = Simulation(
        random.Random(2), [Server(f"s{number}") for number in range(3)], frequency_ppm=40.0
    )
    for _ in range(40):
        bound = simulation.round(burst=4)
    assert bound.drift.lower_ppb <= 40_000 <= bound.drift.upper_ppb
    assert bound.drift.upper_ppb - bound.drift.lower_ppb < 30_000


def _estimator(*servers, tolerated=None):
    return Estimator(list(servers), max_drift_ppb=500_000, wander_ppb=5000, tolerated=tolerated)


def _answer(estimator, server, offset_ns, *, at_ns=S0, half_ns=1_000_000):
    estimator.sources[server].polled(answered=True)
    received_ns = at_ns + 2 * half_ns
    middle_ns = at_ns + half_ns + offset_ns
    return estimator.reply(server, exchange(at_ns, received_ns, middle_ns, middle_ns))


def test_two_against_two_is_no_majority_and_no_interval():
    """Each camp's servers are contested; nothing is published."""
    estimator = _estimator("a", "b", "c", "d")
    for server, offset_ns in (("a", 0), ("b", 0), ("c", SECOND), ("d", SECOND)):
        bound = _answer(estimator, server, offset_ns)
    assert (bound.interval, bound.status, bound.reason) == (
        None,
        BoundStatus.UNKNOWN,
        BoundReason.NO_MAJORITY,
    )
    assert set(verdicts(bound).values()) == {ServerVerdict.CONTESTED}


def test_two_disjoint_servers_inside_a_wide_one_are_both_contested():
    """chrony passes all three; one of the two is wrong and nobody knows which: the bound covers both."""
    estimator = _estimator("a", "b", "wide")
    _answer(estimator, "a", 0)
    _answer(estimator, "b", 100_000_000)
    bound = _answer(estimator, "wide", 50_000_000, half_ns=200_000_000)
    assert verdicts(bound) == {
        "a": ServerVerdict.CONTESTED,
        "b": ServerVerdict.CONTESTED,
        "wide": ServerVerdict.SELECTED,
    }
    assert bound.interval.lower_ns <= 0 < 100_000_000 <= bound.interval.upper_ns


def test_one_server_stands_on_its_word_alone_and_says_so():
    """Synchronized, with the reason."""
    bound = _answer(_estimator("only"), "only", 5)
    assert (bound.status, bound.reason) == (BoundStatus.SYNCHRONIZED, BoundReason.SINGLE_SERVER)


def test_two_that_disagree_prove_nothing():
    """With two servers no falseticker is tolerated."""
    estimator = _estimator("a", "b")
    _answer(estimator, "a", 0)
    assert _answer(estimator, "b", SECOND).reason is BoundReason.NO_MAJORITY


def test_no_server_at_all_is_said():
    """Not a crash, not a zero."""
    bound = _estimator().at(S0)
    assert (bound.interval, bound.reason) == (None, BoundReason.NO_SERVERS)


def test_silent_servers_count_against_the_majority():
    """Two of five answer and agree: that is no majority of five."""
    estimator = _estimator("a", "b", "c", "d", "e")
    for server in ("c", "d", "e"):
        estimator.sources[server].polled(answered=False)
        estimator.failure(server, Failure(NtpOutcome.LOST, ServerReason.UNREACHABLE))
    _answer(estimator, "a", 0)
    bound = _answer(estimator, "b", 0)
    assert bound.interval is None
    assert bound.reason is BoundReason.SOURCES_BLOCKED


@pytest.mark.parametrize("liar_ms", [-10, 10])
def test_a_liar_gains_nothing_from_a_silent_server(liar_ms):
    """Two of three answer and overlap: both may be needed for a majority, but either may lie."""
    estimator = _estimator("honest", "liar", "silent")
    _answer(estimator, "honest", 0, half_ns=15_000_000)
    bound = _answer(estimator, "liar", liar_ms * 1_000_000, half_ns=500_000)
    assert bound.status is BoundStatus.SYNCHRONIZED
    assert bound.interval.lower_ns <= 0 <= bound.interval.upper_ns


@pytest.mark.parametrize("seed", range(30))
def test_the_truth_is_contained_while_servers_come_and_go(seed):
    """Lying servers up to the tolerated number, any of the others silent at any time."""
    rng = random.Random(1000 + seed)
    count = rng.randint(3, 7)
    liars = rng.randint(1, largest_minority(count))
    servers = [Server(f"s{number}") for number in range(count)]
    for server in servers[:liars]:
        server.lie_ns = rng.choice((-1, 1)) * rng.randint(200_000, 8_000_000)
        server.drift_ppm = rng.choice((0.0, rng.uniform(-40, 40)))
    simulation = Simulation(rng, servers, frequency_ppm=rng.uniform(-100, 100))
    for _ in range(60):
        for server in servers:
            server.silent = rng.random() < 0.3
        bound = simulation.round(burst=rng.choice((1, 4)), interval_ns=rng.choice((16, 64)) * SECOND)
        assert bound.interval is None or simulation.contains_truth(bound), (seed, bound)


def test_as_many_tolerated_as_there_are_proves_nothing():
    """A tolerance that was meant for three servers does not let the last one speak alone."""
    assert _answer(_estimator("only", tolerated=1), "only", 5).interval is None


def test_an_older_instant_is_answered_for_the_newest_exchange():
    """Replies taken out of order do not make a bound that was never aged."""
    estimator = _estimator("a")
    _answer(estimator, "a", 0, at_ns=S0 + SECOND)
    assert estimator.at(S0).steady_ns == S0 + SECOND + 2_000_000


def test_refusals_must_be_in_a_row():
    """A server that merely lost a packet in between is not dead."""
    estimator = _estimator("a", "b")
    source = estimator.sources["a"]
    for number in range(20):
        source.polled(answered=False, no_service=number % 5 != 0)
        _answer(estimator, "b", 0)
    assert not source.is_dead


def test_a_firewall_that_refuses_everybody_leaves_holdover_and_nobody_dead():
    """The histories still vote after an hour of refusals; a server that refused before stays out."""
    estimator = _estimator("a", "b", "c", "gone")
    for _ in range(8):
        estimator.sources["gone"].polled(answered=False, no_service=True)
    for server in ("a", "b", "c"):
        estimator.sources[server].polled(answered=True)
        _answer(estimator, server, 0)
    for _ in range(225):
        for source in estimator.sources.values():
            source.polled(answered=False, no_service=True)
    bound = estimator.at(S0 + 3600 * SECOND)
    assert (bound.status, bound.reason) == (BoundStatus.HOLDOVER, BoundReason.SOURCES_BLOCKED)
    assert bound.interval is not None
    assert [name for name, source in estimator.sources.items() if source.is_dead] == ["gone"]


def test_a_server_proven_dead_is_no_longer_counted():
    """Eight refusals in a row: three of four configured remain, and two of those are a majority."""
    estimator = _estimator("a", "b", "c", "dead")
    for _ in range(8):
        estimator.sources["dead"].polled(answered=False, no_service=True)
        estimator.failure("dead", Failure(NtpOutcome.REFUSED, ServerReason.UNREACHABLE))
    estimator.sources["c"].polled(answered=False)
    _answer(estimator, "a", 0)
    assert _answer(estimator, "b", 0).status is BoundStatus.SYNCHRONIZED


def test_blocked_sources_turn_into_holdover_within_three_polls_and_the_bound_still_holds():
    """The interval grows with the measured frequency bound and contains the truth for half an hour."""
    servers = [Server(f"s{number}") for number in range(4)]
    simulation = Simulation(random.Random(3), servers, frequency_ppm=-60.0)
    for _ in range(40):
        before = simulation.round(burst=4)
    for server in servers:
        server.silent = True
    for _ in range(3):
        bound = simulation.round()
    assert (bound.status, bound.reason) == (BoundStatus.HOLDOVER, BoundReason.SOURCES_BLOCKED)
    simulation.now_ns += 1800 * SECOND
    bound = simulation.estimator.at(simulation.now_ns)
    assert simulation.contains_truth(bound)
    assert before.interval.width_ns < bound.interval.width_ns < 1800 * 2 * 500_000


def test_a_new_epoch_forgets_and_says_disrupted_until_a_majority_answers():
    """After a suspend x has jumped: nothing older may vote."""
    estimator = _estimator("a", "b", "c")
    for server in ("a", "b", "c"):
        _answer(estimator, server, 0)
    estimator.begin_epoch()
    bound = estimator.at(S0 + SECOND)
    assert (bound.interval, bound.status) == (None, BoundStatus.DISRUPTED)
    _answer(estimator, "a", 7 * SECOND, at_ns=S0 + SECOND)
    bound = _answer(estimator, "b", 7 * SECOND, at_ns=S0 + SECOND)
    assert bound.status is BoundStatus.SYNCHRONIZED


def test_a_server_that_contradicts_itself_loses_its_vote_until_enough_samples_agree():
    """It jumped by a second: all are asked, the others stand by what they said, so it alone is wrong."""
    estimator = _estimator("a", "b", "c", "jumper")
    for server in ("a", "b", "c", "jumper"):
        _answer(estimator, server, 0)
    bound = _answer(estimator, "jumper", SECOND, at_ns=S0 + 10**7)
    assert (bound.interval, bound.reason) == (None, BoundReason.CHECKING)
    assert estimator.take_action() is Action.ASK_ALL
    for number in (2, 3):
        _answer(estimator, "jumper", SECOND, at_ns=S0 + number * 10**7)
    for server in ("a", "b", "c"):
        bound = _answer(estimator, server, 0, at_ns=S0 + 4 * 10**7)
    assert estimator.take_action() is Action.SAY
    judged = {judged.server: judged for judged in bound.servers}["jumper"]
    assert (judged.verdict, judged.reason) == (
        ServerVerdict.UNUSABLE,
        ServerReason.INCONSISTENT_WITH_ITSELF,
    )
    assert bound.interval is not None
    bound = _answer(estimator, "jumper", SECOND, at_ns=S0 + 5 * 10**7)
    judged = {judged.server: judged for judged in bound.servers}["jumper"]
    assert judged.verdict is ServerVerdict.FALSETICKER


def test_a_server_that_contradicts_itself_for_ever_is_asked_about_ever_more_rarely():
    """To and fro with every sample: it must agree with itself before it can raise another doubt."""
    estimator = _estimator("a", "b", "c", "jumper")
    for server in ("a", "b", "c", "jumper"):
        _answer(estimator, server, 0)
    doubts = 0
    for number in range(1, 100):
        at_ns = S0 + number * 10**8
        bound = _answer(estimator, "jumper", number % 2 * SECOND, at_ns=at_ns)
        while estimator.take_action() is Action.ASK_ALL:
            doubts += 1
            for server in ("jumper", "jumper", "a", "b", "c"):
                bound = _answer(estimator, server, 0 if server != "jumper" else SECOND, at_ns=at_ns + 10**7)
        assert bound.interval is not None
    assert doubts == 1


def test_when_all_servers_tell_of_the_same_jump_only_newer_exchanges_count():
    """The host's clocks stood still without a trace: a new epoch, and a bound once n − f answered."""
    estimator = _estimator("a", "b", "c")
    for server in ("a", "b", "c"):
        _answer(estimator, server, 0)
    _answer(estimator, "a", SECOND, at_ns=S0 + 10**7)
    assert estimator.take_action() is Action.ASK_ALL
    for server in ("a", "a", "b", "c"):
        bound = _answer(estimator, server, SECOND, at_ns=S0 + 2 * 10**7)
    assert (bound.interval, bound.status) == (None, BoundStatus.DISRUPTED)
    assert estimator.take_action() is Action.NEW_EPOCH
    assert abs(estimator.last_jump_ns - SECOND) < 10**7
    estimator.begin_epoch()
    assert _answer(estimator, "b", SECOND, at_ns=S0 + 3 * 10**7).interval is None
    bound = _answer(estimator, "c", SECOND, at_ns=S0 + 3 * 10**7)
    assert bound.interval.lower_ns <= SECOND <= bound.interval.upper_ns
    assert bound.interval.upper_ns < SECOND + 10**7


def test_a_jump_that_is_possible_begins_anew_and_is_no_proven_one():
    """One near server demands 3 ms; the far ones bear that as well as none."""
    estimator = _estimator("near", "far", "farther")
    for server in ("far", "farther"):
        _answer(estimator, server, 0, half_ns=20_000_000)
    _answer(estimator, "near", 0, at_ns=S0 + 5 * 10**7, half_ns=10_000)
    _answer(estimator, "near", 3_000_000, at_ns=S0 + 10**8, half_ns=10_000)
    assert estimator.take_action() is Action.ASK_ALL
    for server in ("far", "farther"):
        _answer(estimator, server, 3_000_000, at_ns=S0 + 2 * 10**8, half_ns=20_000_000)
    for number in range(2):
        _answer(estimator, "near", 3_000_000, at_ns=S0 + 3 * 10**8 + number, half_ns=10_000)
    assert estimator.take_action() is Action.NEW_EPOCH
    assert estimator.last_jump_ns is None


def test_who_raises_a_doubt_and_is_silent_then_loses_its_vote():
    """A liar that answers too late to be asked must not raise the next doubt with its late answer."""
    estimator = _estimator("a", "b", "c", "late")
    for server in ("a", "b", "c", "late"):
        _answer(estimator, server, 0)
    _answer(estimator, "late", 10 * SECOND, at_ns=S0 + 10**7)
    assert estimator.take_action() is Action.ASK_ALL
    for server in ("a", "b", "c"):
        _answer(estimator, server, 0, at_ns=S0 + 2 * 10**7)
    assert estimator.at(S0 + SECOND).interval is None
    assert estimator.at(S0 + 2 * SECOND).interval is not None
    assert estimator.take_action() is Action.SAY
    bound = _answer(estimator, "late", 10 * SECOND, at_ns=S0 + 3 * SECOND)
    assert bound.interval is not None
    assert estimator.take_action() is Action.NONE


def test_a_pause_that_only_one_server_shows_is_believed_though_others_mixed_it_in():
    """Far servers' newer samples still meet their histories: what they proved before the pause decides."""
    estimator = _estimator("near", "far", "farther")
    for number in range(5):
        for server in ("far", "farther"):
            _answer(estimator, server, 0, at_ns=S0 + number * SECOND, half_ns=125_000_000)
        _answer(estimator, "near", 0, at_ns=S0 + number * SECOND + 10**6, half_ns=100_000)
    for server in ("far", "farther"):
        _answer(estimator, server, 180_000_000, at_ns=S0 + 6 * SECOND, half_ns=125_000_000)
    _answer(estimator, "near", 180_000_000, at_ns=S0 + 7 * SECOND, half_ns=100_000)
    assert estimator.take_action() is Action.ASK_ALL
    for server in ("far", "farther", "near", "near"):
        _answer(estimator, server, 180_000_000, at_ns=S0 + 7 * SECOND + 10**8, half_ns=125_000_000)
    assert estimator.take_action() is Action.NEW_EPOCH


def test_a_silent_servers_word_grows_older_than_the_frequency_is_known():
    """What was measured in the last hour says nothing of the hours before: each one adds the wander."""
    estimator = _estimator("a", "silent", tolerated=0)
    hour = 3600 * SECOND
    _answer(estimator, "silent", 0)
    source = estimator.sources["silent"]
    widths = [source.at(S0 + hours * hour, Drift(0, 0)).width_ns for hours in (0, 2, 3)]
    assert widths[1] - widths[0] >= 2 * 5000 * 2 * 3600 - 100
    assert widths[2] > widths[1]


def test_one_bad_stamp_among_many_does_not_spoil_a_server():
    """A lone server is asked again, and what it says then agrees with what it said before."""
    estimator = _estimator("a")
    for number in range(9):
        _answer(estimator, "a", 0, at_ns=S0 + number * 10**7)
    bound = _answer(estimator, "a", 3_000_000, at_ns=S0 + 10**8)
    assert bound.reason is BoundReason.CHECKING
    assert estimator.take_action() is Action.ASK_ALL
    for number in (11, 12):
        bound = _answer(estimator, "a", 0, at_ns=S0 + number * 10**7)
    assert bound.reason is BoundReason.SINGLE_SERVER
    assert bound.interval.lower_ns <= 0 <= bound.interval.upper_ns
    assert estimator.take_action() is Action.SAY


def test_a_server_that_disowns_its_time_loses_what_it_said():
    """Leap 3 or stratum 16: unsynchronised."""
    estimator = _estimator("a")
    _answer(estimator, "a", 0)
    estimator.failure("a", Failure(NtpOutcome.BAD_REPLY, ServerReason.UNSYNCHRONISED))
    bound = estimator.at(S0 + SECOND)
    assert bound.interval is None
    assert bound.servers[0].reason is ServerReason.UNSYNCHRONISED


def test_a_configured_tolerance_of_zero_needs_everybody():
    """One liar then leaves no majority."""
    estimator = _estimator("a", "b", "c", tolerated=0)
    _answer(estimator, "a", 0)
    _answer(estimator, "b", 0)
    assert _answer(estimator, "c", SECOND).reason is BoundReason.NO_MAJORITY


def test_the_best_reply_of_a_burst_is_that_of_the_least_delay():
    """It is shown for the server; a second later another burst's is."""
    source = Source("a", 5000)
    for number, delay_ns in enumerate((500, 200, 900)):
        sent_ns = S0 + number * 10**7
        source.heard(exchange(sent_ns, sent_ns + delay_ns, sent_ns, sent_ns))
    assert source.last.delay_ns == 900
    assert source.best.delay_ns == 200
    later_ns = S0 + 2 * SECOND
    source.heard(exchange(later_ns, later_ns + 700, later_ns, later_ns))
    assert source.best.delay_ns == 700
    source.forget()
    assert source.best is None
