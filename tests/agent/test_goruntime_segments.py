"""Where a Go program's variables are, from /proc/PID/maps."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer_agent.goruntime.segments import Segment, writable_segments

GO = """\
00400000-00484000 r-xp 00000000 08:01 1572881                            /srv/a program
00484000-00519000 r--p 00084000 08:01 1572881                            /srv/a program
00519000-00531000 rw-p 00119000 08:01 1572881                            /srv/a program
00531000-00568000 rw-p 00000000 00:00 0
c000000000-c004000000 rw-p 00000000 00:00 0                              [anon: Go: heap]
7f3b8c000000-7f3b8e000000 rw-p 00000000 00:00 0
7f3b8e000000-7f3b8e021000 rw-p 00000000 08:01 99                         /usr/lib/libc.so.6
7f3b8e021000-7f3b8e022000 rw-p 00000000 00:00 0
7ffd5e3c8000-7ffd5e3e9000 rw-p 00000000 00:00 0                          [stack]
"""


def test_the_writable_part_and_its_nameless_tail_are_one_segment() -> None:
    """The heap, the stack and libraries with their tails are not the program's."""
    assert writable_segments(GO, "/srv/a program") == (Segment(0x519000, 0x568000),)


def test_a_tail_that_the_kernel_calls_heap_counts() -> None:
    """Without address randomisation brk's memory begins where the variables end."""
    maps = GO.replace("00531000-00568000 rw-p 00000000 00:00 0", "00531000-00568000 rw-p 0 00:00 0 [heap]")
    assert writable_segments(maps, "/srv/a program") == (Segment(0x519000, 0x568000),)


def test_a_deleted_executable_and_one_with_a_line_break_are_recognised() -> None:
    maps = GO.replace("/srv/a program", "/srv/a\\012program (deleted)")
    assert writable_segments(maps, "/srv/a\nprogram (deleted)") == (Segment(0x519000, 0x568000),)


def test_other_separators_in_a_path_do_not_end_a_line() -> None:
    maps = GO.replace("/srv/a program", "/srv/\x0b\u2028\x85b")
    assert writable_segments(maps, "/srv/\x0b\u2028\x85b") == (Segment(0x519000, 0x568000),)


def test_parts_that_do_not_adjoin_are_told_last_first() -> None:
    maps = "1000-2000 rw-p 0 08:01 5 /go\n3000-4000 rw-p 0 08:01 5 /go\n4000-5000 ---p 0 00:00 0\n"
    assert writable_segments(maps, "/go") == (Segment(0x3000, 0x4000), Segment(0x1000, 0x2000))


@given(st.text("0123 -rwxp:/go\n\x0b", max_size=200))
def test_any_text_gives_segments_or_none(text: str) -> None:
    writable_segments(text, "/go")


@given(
    st.lists(st.from_regex(r"[0-9a-f]{0,17}-[0-9a-f]{0,17} rw-p 0 0:0 0 /go", fullmatch=True), max_size=99)
)
def test_whatever_the_lines_say_there_are_few_and_they_can_be_addressed(lines: list[str]) -> None:
    found = writable_segments("\n".join(lines), "/go")
    assert len(found) <= 64
    assert all(0 <= segment.start < segment.end < 1 << 63 for segment in found)
