"""The kernel's stamps over loopback: where they come, they lie between readings around the packet."""

import contextlib
import select
import socket

import pytest

from truechimer.readings import SystemClocks
from truechimer_agent.packettimes.kernelstamps import (
    CONTROL_ROOM,
    Stamping,
    ask_for_stamps,
    receive_stamp,
    take_transmit_stamp,
)


def wall_ns():
    return SystemClocks().read().wall_ns


@pytest.fixture
def pair():
    """Two connected UDP sockets on loopback that are stamped."""
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for end in ends:
            end.bind(("127.0.0.1", 0))
            end.setblocking(False)
            ask_for_stamps(end)
        ends[0].connect(ends[1].getsockname())
        ends[1].connect(ends[0].getsockname())
        yield ends


def test_stamping_can_be_done_without():
    """Asked not to, it keeps no socket."""
    assert not Stamping(wanted=False).works


def test_a_packet_is_stamped_when_it_leaves_and_when_it_comes(pair):
    """Both stamps lie between the readings around the packet, the leaving first."""
    near, far = pair
    stamping = Stamping(wanted=True)
    assert stamping.works
    before_ns = wall_ns()
    near.send(b"x")
    assert select.select([far], [], [], 5.0)[0]
    _, control, _, _ = far.recvmsg(16, CONTROL_ROOM)
    left_ns, came_ns = take_transmit_stamp(near), receive_stamp(control)
    assert before_ns <= left_ns <= came_ns <= wall_ns()
    stamping.close()
    assert not stamping.works


def test_the_transmit_stamp_is_taken_once(pair):
    """The error queue is empty before the send and after the stamp was taken."""
    near, _ = pair
    assert take_transmit_stamp(near) is None
    near.send(b"x")
    assert take_transmit_stamp(near) is not None
    assert take_transmit_stamp(near) is None


def test_control_messages_without_a_stamp_give_none():
    """Other kinds, and what is too short to be one."""
    assert receive_stamp([]) is None
    assert receive_stamp([(socket.IPPROTO_IP, 35, bytes(16))]) is None
    assert receive_stamp([(socket.SOL_SOCKET, 35, bytes(8))]) is None
