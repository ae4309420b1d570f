"""What is known of a batch as a whole, in the lines above its conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from convtui.text.boundary import span_of_time, visible_line
from convtui.text.counts import counted
from convtui.transcript.ending_words import short_ending
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.labels import ending_role, short_path
from convtui.tui.drawing.palette import Span, palette_of, plain
from convtui.tui.drawing.strips import strip_of
from convtui.tui.screens.fleet.columns import dollars, short_count
from convtui.tui.screens.fleet.tally import Tally
from convtui.tui.screens.fleet.view import Limit, Standing

_GAP: Final = "   "
_BAR: Final = 24
_MOST_LIMITS: Final = 3
_BAR_OF_ENDING: Final = 12
_FAILED: Final = ("failed", "crashed", "damaged", "abstained")


def summary_lines(
    tally: Tally, standing: Standing, now: float, *, width: int, most: int, over: bool
) -> list[list[Span]]:
    """The lines, the most important first; figures give way to what is amiss.

    There are at most `most` of them, and with what is amiss one more.
    """
    lines = [_progress(tally, standing, now, width, over)]
    if most > 1:
        lines.append(_figures(tally, standing, now, over))
    if most > 2 and tally.endings:
        lines.append(_endings(tally, width))
    if most > 3 and standing.limits and not over:
        lines.append(_limits(standing.limits))
    return [*lines, *_amiss(standing, over)[: max(1, most - 1)]]


def _progress(tally: Tally, standing: Standing, now: float, width: int, over: bool) -> list[Span]:
    if standing.starting:
        return [("reading the plan ...", "muted")]
    words: list[Span] = [(f"{tally.done:,} of {tally.total:,} done", "text bold")]
    held = tally.states["held"]
    if held:
        words += [(_GAP, "text"), (f"{glyphs.HELD} {held:,} held", "held bold")]
    if tally.running:
        words += [(_GAP, "text"), (f"{tally.running:,} running", "accent")]
    if tally.states["waiting"]:
        words += [(_GAP, "text"), (f"{tally.states['waiting']:,} waiting", "muted")]
    end = _end(tally, standing, now, over)
    if end:
        words += [(_GAP, "text"), end]
    room = width - cell_len(plain(words)) - 2
    size = min(_BAR, room)
    return [*_bar(tally, size), ("  ", "text"), *words] if size >= 8 else words


def _end(tally: Tally, standing: Standing, now: float, over: bool) -> Span | None:
    if standing.ending and not over:
        return "ending ...", "warning"
    if standing.elsewhere:
        return f"run by {visible_line(standing.elsewhere, 40)}", "muted"
    if standing.paused and not over:
        return "paused", "held bold"
    left = None if over else tally.left(now)
    return None if left is None else (f"about {_about(left)} left", "muted")


def _about(seconds: float) -> str:
    """A time that is only guessed, without more digits than it deserves."""
    if seconds < 60:
        return span_of_time(max(1, round(seconds)))
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _bar(tally: Tally, size: int) -> list[Span]:
    """Done, failed, held, running, waiting, as parts of a bar."""
    failed = sum(tally.endings[kind] for kind in _FAILED)
    parts = (
        (tally.done - failed, "█", "ok"),
        (failed, "█", "error"),
        (tally.states["held"], "▓", "held"),
        (tally.running, "▒", "accent"),
        (tally.states["waiting"], "░", "border"),
    )
    spans: list[Span] = []
    reached = taken = 0
    total = max(1, tally.total)
    for count, sign, role in parts:
        reached += count
        cells = size * reached // total - taken
        taken += cells
        spans.append((sign * cells, role))
    return [*spans, ("░" * (size - taken), "border")]


def _figures(tally: Tally, standing: Standing, now: float, over: bool) -> list[Span]:
    spans: list[Span] = []

    def add(figure: str, words: str) -> None:
        spans.extend([(_GAP, "text")] if spans else [])
        spans.extend([(figure, "text bold"), (f" {words}", "muted")])

    if over:
        add(f"{tally.turns:,}", "turns")
    else:
        turns, tokens = tally.rates(now)
        add(f"{turns:.3g}" if turns < 100 else f"{turns:,.0f}", "turns/s")
        if tally.tokens:
            add(short_count(round(tokens)), "tokens/s")
    if tally.tokens or standing.most_tokens is not None:
        of = f" of {short_count(standing.most_tokens)}" if standing.most_tokens is not None else ""
        add(f"{short_count(tally.tokens)}{of}", "tokens")
    if tally.cost > 0 or standing.most_cost is not None:
        of = f" of {dollars(standing.most_cost)}" if standing.most_cost is not None else ""
        add(f"{dollars(tally.cost)}{of}", "cost")
    if standing.at_once is not None and not over:
        add(f"{standing.at_once:,}", "at once")
    return spans


def _endings(tally: Tally, width: int) -> list[Span]:
    """A bar for each kind of ending, as long as it is frequent."""
    counts = [(kind, count) for kind, count in tally.endings.most_common() if count > 0]
    most = max((count for _, count in counts), default=1)
    size = _BAR_OF_ENDING if width >= 100 else 6
    spans: list[Span] = []
    for kind, count in counts:
        role = ending_role(kind)
        bar = "█" * max(1, size * count // most)
        spans += [(_GAP, "text")] if spans else []
        spans += [(f"{short_ending(kind)} ", "muted"), (bar, role), (f" {count:,}", "text")]
    return spans


def _limits(limits: Sequence[Limit]) -> list[Span]:
    spans: list[Span] = [("calls  ", "muted")]
    for number, one in enumerate(limits[:_MOST_LIMITS]):
        of = "" if one.limit is None else f" of {one.limit:,}"
        spans += [(_GAP, "text")] if number else []
        spans += [
            (f"{visible_line(one.endpoint, 40)} ", "text"),
            (f"{one.running:,}{of} at once", "warning" if one.throttled else "muted"),
        ]
        if one.waiting:
            spans.append((f", {one.waiting:,} wait", "warning"))
        if one.throttled:
            spans.append((" (429)", "warning"))
    more = len(limits) - _MOST_LIMITS
    return [*spans, (f"{_GAP}and {more} more", "muted")] if more > 0 else spans


def _amiss(standing: Standing, over: bool) -> list[list[Span]]:
    lines: list[list[Span]] = []
    for block in standing.blocks:
        others = counted(block.delayed, "conversation") + " delayed" if block.delayed else ""
        lines.append(
            [
                (f"{glyphs.NOTICED} ", "warning bold"),
                (f"{visible_line(short_path(block.where), 80)} blocks its worker", "warning"),
                (f" for {span_of_time(block.seconds)}", "warning"),
                (f": {others}" if others else "", "muted"),
                (f" ({visible_line(block.key, 40)})", "muted"),
            ]
        )
    if standing.stopped:
        why = visible_line(standing.stopped, 200)
        what = "stopped" if over else "no conversation is started any more"
        lines.append([(f"{glyphs.STOP} ", "warning bold"), (f"{what}: {why}", "warning")])
    if standing.old_code:
        one = counted(standing.old_code, "conversation")
        verb = "runs" if standing.old_code == 1 else "run"
        lines.append([(f"{one} still {verb} the provider's code from before the reload", "muted")])
    return lines


class FleetSummary(Widget):
    """The lines; the caller says when they have changed."""

    DEFAULT_CSS = """
    FleetSummary { height: auto; width: 1fr; }
    """
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.lines: list[list[Span]] = [[]]

    @property
    def room(self) -> int:
        """Cells of a line; 0 before it is laid out."""
        return self.content_size.width

    def show(self, lines: list[list[Span]]) -> None:
        """Draws other lines."""
        if lines != self.lines:
            higher = len(lines) != len(self.lines)
            self.lines = lines
            self.refresh(layout=higher)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        # The frame is drawn by Textual around the content.
        spans = self.lines[y] if y < len(self.lines) else []
        width = self.content_size.width
        strip = strip_of(fit(spans, max(1, width)), palette_of(self.app))
        return strip.extend_cell_length(width, self.rich_style).apply_style(
            Style(bgcolor=self.rich_style.bgcolor)
        )
