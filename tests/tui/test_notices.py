"""Notices: which one is shown, for how long, and how it looks on a line."""

from __future__ import annotations

from rich.cells import cell_len

from convtui.tui.notices import Notice, Notices
from convtui.tui.screens.dialogs.notices import log_text
from convtui.tui.widgets.notice_line import MORE, notice_parts


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def text_of(notice: Notice, width: int) -> str:
    return "".join(text for text, _ in notice_parts(notice, width))


def test_a_narrow_line_keeps_the_glyph_and_the_words_that_matter() -> None:
    text = "ctrl+c again asks whether to end the conversation."
    notice = Notices(Clock()).add(text, "information", 5)
    assert text_of(notice, 80) == f"i note  {text}"
    assert text_of(notice, 52) == f"i {text}"


def shown(notices: Notices) -> str:
    """The text of the notice that is shown; empty without one."""
    return notices.current.text if notices.current is not None else ""


def test_the_newest_is_shown_until_its_time_is_over() -> None:
    clock = Clock()
    notices = Notices(clock)
    assert not notices.log
    notices.add("first", "information", 5)
    second = notices.add("second", "warning", 5)
    assert shown(notices) == "second"
    assert notices.current is second
    clock.now += 5.1
    assert shown(notices) == ""
    assert notices.time_left == 0
    assert [notice.text for notice in notices.log] == ["first", "second"]


def test_what_takes_longer_to_read_stays_longer() -> None:
    clock = Clock()
    notices = Notices(clock)
    notices.add("word " * 60, "error", 5)
    clock.now += 10
    assert shown(notices)
    notices.dismiss()
    assert not shown(notices)
    assert len(notices.log) == 1


def test_a_repeat_is_counted_while_it_is_shown() -> None:
    clock = Clock()
    notices = Notices(clock)
    for _ in range(3):
        notices.add("Nothing held.", "information", 5)
    current = notices.current
    assert current is not None
    assert text_of(current, 60) == "i note  Nothing held.  x3"
    notices.add("Nothing held.", "warning", 5)
    assert [notice.count for notice in notices.log] == [3, 1]
    clock.now += 60
    again = notices.add("Nothing held.", "warning", 5)
    assert again.count == 1, "the other one was gone already"


def test_a_notice_is_one_line_that_fits_and_no_markup() -> None:
    notices = Notices(Clock())
    hostile = notices.add("[bold]no[/bold] [@click=app.quit]x\x1b[2J\nsecond line", "error", 5)
    shown = text_of(hostile, 200)
    assert shown.startswith("! error  [bold]no[/bold] [@click=app.quit]x␛[2J / second line")
    long = notices.add("渡し船が欠航しました。 " * 20, "warning", 5)
    for width in (40, 60, 80, 120):
        assert cell_len(text_of(long, width)) <= width
    assert MORE in text_of(long, 120)
    assert text_of(long, 40).endswith("…")


def test_the_log_has_all_lines_the_newest_first() -> None:
    notices = Notices(Clock())
    notices.add("one\ntwo", "warning", 5)
    notices.add("three", "error", 5)
    lines = [line.strip() for line in log_text(reversed(notices.log)).splitlines()]
    assert lines[1] == "three"
    assert lines[3:] == ["one", "two"]
    assert "∆ warning" in lines[2]
