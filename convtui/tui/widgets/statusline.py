"""The status lines of the debugger: the two sides, the state, the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len
from textual.strip import Strip
from textual.widget import Widget

from convtui.text.boundary import visible_line
from convtui.transcript.clock import Elapsed, elapsed_words
from convtui.transcript.ending_words import ending_phrase
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.labels import ending_role
from convtui.tui.drawing.palette import Palette, Span, palette_of
from convtui.tui.drawing.strips import strip_of

State = Literal[
    "starting",
    "running",
    "pausing",
    "held",
    "your_turn",
    "not_responding",
    "dead",
    "ended",
    "replay",
    "playing",
    "loading",
]
_ROLES: Final = {
    "starting": "accent",
    "running": "ok",
    "pausing": "warning",
    "held": "held",
    "your_turn": "human",
    "not_responding": "error",
    "dead": "error",
    "ended": "accent",
    "replay": "accent",
    "playing": "ok",
    "loading": "warning",
}


class Status(NamedTuple):
    """The state of a conversation. Fields that do not apply keep their defaults."""

    state: State = "starting"
    address: str = ""
    """Turn address of a hold, `2:7`."""
    stage: str = ""
    reason: str = ""
    """The reason of a hold or an ending."""
    detail: str = ""
    seconds: float | None = None
    """Seconds since the engine last responded."""
    kind: str = ""
    by: str = ""
    position: int = 0
    turns: int = 0
    speed: float = 1.0
    percent: float = 0.0


def state_text(status: Status) -> tuple[str, str]:
    """The state as (keyword, detail); the keyword is shown in inverse."""
    state = status.state
    reason = visible_line(status.reason, 120).replace("_", " ")
    detail = visible_line(status.detail, 200)
    if state == "running":
        return "RUNNING", detail
    if state == "starting":
        return "STARTING", detail
    if state == "pausing":
        return "PAUSING", detail or "waiting for the call"
    if state == "held":
        # The hold's bar and its turn say at which stage, and why.
        return f"HELD at {visible_line(status.address, 20)}" if status.address else "HELD", detail
    if state == "your_turn":
        return "YOUR TURN", detail
    if state == "not_responding":
        waited = "" if status.seconds is None else f" {status.seconds:.0f} s"
        return f"NOT RESPONDING{waited}", detail or "K kills"
    if state == "dead":
        return "ENGINE DIED", detail
    if state == "ended":
        return _ending(status), reason or detail
    if state == "loading":
        return f"LOADING {status.percent:.0f}%", detail
    keyword = "PLAYING" if state == "playing" else "REPLAY"
    speed = f"{status.speed:g}x"
    return f"{keyword} {status.position}/{status.turns} {speed}", detail


def _ending(status: Status) -> str:
    if status.kind == "interrupted":
        return "INTERRUPTED"
    words = ending_phrase(status.kind or "unknown", status.by)
    return f"ENDED {words.removeprefix('ended ')}"


def state_role(status: Status) -> str:
    """The colour role of the state."""
    if status.state == "ended":
        role = ending_role(status.kind)
        return "accent" if role == "ok" else role
    return _ROLES.get(status.state, "accent")


def title_spans(persona: str, provider: str, status: Status, width: int) -> list[Span]:
    """The top line: the two sides, the state in inverse. The state is cut last."""
    keyword, detail = state_text(status)
    mark = f" {keyword} "
    sides: list[Span] = [
        (" ", "text"),
        (visible_line(persona, 40), "persona bold"),
        (" -> ", "muted"),
        (visible_line(provider, 80), "provider bold"),
        (" ", "text"),
    ]
    state: list[Span] = [(mark, f"mark:{state_role(status)}")]
    room = width - cell_len(mark) - 1
    if detail:
        free = room - _cells(sides) - 4
        if free >= min(12, cell_len(detail)):
            state += fit([(f" {detail}", "muted")], free)
    state.append((" ", "text"))
    left = fit(sides, max(0, min(room, width - _cells(state) - 1)))
    left.append((" " * max(0, width - _cells(left) - _cells(state)), "text"))
    return fit([*left, *state], width)


class Figures(NamedTuple):
    """The figures of the bottom line; None means unknown or unlimited."""

    turn: int | None = None
    max_turns: int | None = None
    session: int | None = None
    sessions: int | None = None
    tokens: int | None = None
    max_tokens: int | None = None
    cost: float | None = None
    max_cost: float | None = None
    elapsed: float | None = None
    """Seconds that it has been running, holds left out."""
    held: float = 0.0
    """Seconds spent in holds."""
    notes: Sequence[str] = ()
    """Short notes, such as `follow` or `3 matches`."""
    followups: int | None = None
    """Answers of a responder that were sent."""
    max_followups: int | None = None
    first: Sequence[str] = ()
    """Notes that are never left out, such as the number of the selected match."""
    sides: Sequence[SideBudget] = ()
    """Sides with a budget of their own."""


class SideBudget(NamedTuple):
    """A side's own limit on `tokens` or `cost`; `used` is None if nothing was reported."""

    side: str
    what: str
    used: float | None
    limit: float


def figures_text(figures: Figures, width: int) -> str:
    """`turn 7/20  session 2/2  1,240/8,000 tok  $0.004  00:31`, dropping the last parts first.

    If that is too wide, abbreviations are used.
    """
    parts = _figures(figures)
    if sum(cell_len(part) + 2 for part in parts) - 2 > width:
        parts = _figures(figures, short=True)
    text = ""
    for part in parts:
        longer = f"{text}  {part}" if text else part
        if cell_len(longer) > width and text:
            break
        text = longer
    return text


def _figures(figures: Figures, *, short: bool = False) -> list[str]:
    def of(value: str, most: str | None) -> str:
        return value if most is None else f"{value}/{most}"

    followups = "f/u" if short else "follow-ups"
    parts: list[str] = []
    for name, value, most in (
        ("turn", figures.turn, figures.max_turns),
        ("session", figures.session, figures.sessions),
        (followups, figures.followups, figures.max_followups),
    ):
        if value is not None:
            parts.append(f"{name} " + of(str(value), None if most is None else str(most)))
    for what, used, limit in (
        ("tokens", figures.tokens, figures.max_tokens),
        ("cost", figures.cost, figures.max_cost),
    ):
        # What nobody reports and nothing limits is no news.
        if used is not None or limit is not None:
            parts.append(_of_budget(what, used, limit, short=short))
    for side in figures.sides:
        name = _SHORT.get(side.side, side.side) if short else side.side
        parts.append(f"{name} {_of_budget(side.what, side.used, side.limit, short=short)}")
    if figures.elapsed is not None:
        parts.append(elapsed_words(Elapsed(figures.elapsed, figures.held)))
    first = (visible_line(note, 60) for note in figures.first)
    return [*first, *parts, *(visible_line(note, 60) for note in figures.notes)]


_SHORT: Final = {"provider": "prov", "persona": "pers"}


def _of_budget(what: str, used: float | None, limit: float | None, *, short: bool) -> str:
    """`1,240/8,000 tok`, `$0.004/$1.00`; prefixed with `!` if over the limit."""
    short = short and limit is not None

    def shown(value: float) -> str:
        return money(value) if what == "cost" else _thousands(value) if short else f"{value:,.0f}"

    most = "" if limit is None else f"/{shown(limit)}"
    if used is None:
        return f"{'cost' if what == 'cost' else 'tok'} unknown{most}"
    over = "! " if limit is not None and used > limit else ""
    return f"{over}{shown(used)}{most}" + (" tok" if what == "tokens" else "")


def _thousands(value: float) -> str:
    """`950`, `1.2k`, `34k`, `1.5M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def money(value: float) -> str:
    """Dollars, such as `$0.004` or `$1.20`."""
    return f"${value:.2f}" if value >= 1 else f"${value:.3f}" if value >= 0.001 else f"${value:.5f}"


def _cells(spans: Sequence[Span]) -> int:
    return sum(cell_len(text) for text, _ in spans)


class StatusLine(Widget):
    """One line: the title (`edge="top"`) or the figures (`edge="bottom"`)."""

    DEFAULT_CSS = """
    StatusLine {
        height: 1;
        background: $background;
        color: $foreground;
    }
    """

    def __init__(
        self,
        edge: Literal["top", "bottom"] = "top",
        *,
        palette: Palette | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.edge = edge
        self._palette = palette
        self._persona = self._provider = ""
        self._status = Status()
        self._figures = Figures()

    @property
    def palette(self) -> Palette:
        if self._palette is None:
            self._palette = palette_of(self.app)
        return self._palette

    @palette.setter
    def palette(self, palette: Palette) -> None:
        self._palette = palette
        self.refresh()

    def show_status(
        self, status: Status, *, persona: str | None = None, provider: str | None = None
    ) -> None:
        """Sets the state, and the names of the sides if given."""
        before = (self._status, self._persona, self._provider)
        self._status = status
        self._persona = self._persona if persona is None else persona
        self._provider = self._provider if provider is None else provider
        if before != (status, self._persona, self._provider):
            self.refresh()

    def show_figures(self, figures: Figures) -> None:
        """Sets the figures; times change far more often than what is seen of them."""
        before, self._figures = self._figures, figures
        width = self.size.width - 2
        if figures_text(figures, width) != figures_text(before, width):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y:
            return Strip.blank(width, self.rich_style)
        if self.edge == "top":
            spans = title_spans(self._persona, self._provider, self._status, width)
        else:
            spans = [(" ", "text"), (figures_text(self._figures, width - 2), "text")]
        base = self.rich_style
        strip = strip_of(spans, self.palette).apply_style(base)
        return strip.crop_extend(0, width, base)
