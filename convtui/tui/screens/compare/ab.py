"""A/B: runs in two arms, and how their tool calls went; a tie is a tie."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker

from convtui.actions.registry import Keymap
from convtui.analysis.compare.ab import AbComparison, compare_arms
from convtui.analysis.compare.ab_report import ab_report
from convtui.analysis.profile.profile import RunProfile, profile_run
from convtui.errors import ConvtuiError
from convtui.filters.filter import parse
from convtui.library.library import Library
from convtui.log.reader import open_log
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import visible_line
from convtui.tui.documents.ab import missing
from convtui.tui.documents.report import report_document
from convtui.tui.drawing.frames import make_pane
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.progress import progress_bar
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.panes import PaneScreen
from convtui.tui.textual_compat import is_open, run_while_open
from convtui.tui.timers import call_once
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.row_list import RowList
from convtui.tui.widgets.run_list import run_spans
from convtui.tui.widgets.text_pane import TextPane

NARROW = 100
_EVERY = 0.1
"""Seconds between two pictures of the progress."""
_RESTING = 0.25
"""Seconds without another choice after which the arms are compared."""
ROLES = {"A": "ok", "B": "provider"}


class ArmList(RowList[RunSummary]):
    """Saved runs, each with the arm that it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.arms: dict[Path, str] = {}
        """`A` or `B`, by log; in the order in which they were chosen."""
        self._now = datetime.now(UTC)

    def spans_of(self, item: RunSummary) -> Sequence[Span]:
        """The arm and the run."""
        arm = self.arms.get(item.path, "")
        role = ROLES.get(arm, "muted")
        return [(f"[{arm}]" if arm else "   ", f"{role} bold"), *run_spans(item, self._now)]

    def arm(self, name: str) -> list[Path]:
        """The logs of an arm."""
        return [path for path, arm in self.arms.items() if arm == name]


class ArmsScreen(PaneScreen):
    """The saved runs with their arms, and both arms side by side."""

    KEY_CONTEXTS = ("arms",)
    AUTO_FOCUS = "ArmList"
    DEFAULT_CSS = """
    ArmsScreen { layout: vertical; }
    ArmsScreen #arms-body { layout: horizontal; height: 1fr; }
    ArmsScreen ArmList { width: 1fr; height: 1fr; }
    ArmsScreen TextPane { width: 1fr; height: 1fr; }
    ArmsScreen.-narrow #arms-body { layout: vertical; }
    ArmsScreen.-narrow ArmList { width: 1fr; height: 35%; }
    ArmsScreen.-narrow TextPane { width: 1fr; }
    ArmsScreen.-none ArmList { display: none; }
    """

    def __init__(self, keymap: Keymap, folder: Path, arms: tuple[Path, ...] = ()) -> None:
        """`arms` are a run of A and one of B, where two were marked."""
        super().__init__(keymap)
        self.maximised = Maximise(self, ("ArmList", "TextPane"))
        self._library = Library(folder)
        self._first = arms
        self.found: AbComparison | None = None
        """The comparison of the arms as they are now; None while there is none."""
        self._filters = {"A": "", "B": ""}
        self._profiles: dict[Path, RunProfile] = {}
        self._left_out: list[str] = []
        self._read = False
        self._progress = (0, 0)
        self._stop = threading.Event()
        self._work: Worker[None] | None = None
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        """Title, the runs, the result."""
        yield Static(id="arms-title", classes="screen-title", markup=False)
        arms, result = ArmList(), TextPane()
        make_pane(arms, "runs", "-list")
        make_pane(result, "A against B", "-beside")
        with Container(id="arms-body"):
            yield arms
            yield result
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the folder in a thread."""
        self.set_class(self.app.size.width < NARROW, "-narrow")
        self.set_interval(_EVERY, self._show_progress)
        self._show()
        self.spawn(self._load())

    def on_unmount(self) -> None:
        """Nothing goes on that nobody can see."""
        self._stop.set()

    async def _load(self) -> None:
        runs = await asyncio.to_thread(self._library.runs)
        if not is_open(self):
            return
        listed = self.query_one(ArmList)
        listed.show_items([run for run in runs if not run.damaged])
        known = {run.path for run in listed.items}
        for path, arm in zip(self._first, "AB", strict=False):
            if path in known:
                listed.arms[path] = arm
        self._read = True
        self.set_class(not listed.items, "-none")
        self._changed(0.0)

    # --- the work

    @property
    def running(self) -> bool:
        """Whether logs are being read."""
        return self._work is not None and not self._work.is_finished

    def _changed(self, wait: float = _RESTING) -> None:
        """Other arms: what is being compared is not wanted any more."""
        self._stop.set()
        self.found = None
        self._left_out = []
        listed = self.query_one(ArmList)
        listed.refresh()
        if self._resting is not None:
            self._resting.stop()
            self._resting = None
        if listed.arm("A") and listed.arm("B"):
            self._resting = call_once(self, wait, self._begin) if wait else None
            if not wait:
                self._begin()
        self._draw()

    def _begin(self) -> None:
        self._resting = None
        self._stop = threading.Event()
        listed = self.query_one(ArmList)
        arms = (listed.arm("A"), listed.arm("B"))
        self._progress = (0, sum(map(len, arms)))
        self._work = run_while_open(self, self._compare(arms, self._stop), group="arms")
        self._show()

    async def _compare(
        self, arms: tuple[Sequence[Path], Sequence[Path]], stop: threading.Event
    ) -> None:
        def read() -> tuple[list[list[RunProfile]], list[str]]:
            found: list[list[RunProfile]] = [[], []]
            lost: list[str] = []
            for place, paths in enumerate(arms):
                for path in paths:
                    if stop.is_set():
                        return found, lost
                    try:
                        if path not in self._profiles:
                            with open_log(path) as log:
                                self._profiles[path] = profile_run(log)
                        found[place].append(self._profiles[path])
                    except (ConvtuiError, OSError) as error:
                        lost.append(str(error))
                    self._progress = (self._progress[0] + 1, self._progress[1])
            return found, lost

        profiles, lost = await asyncio.to_thread(read)
        if stop.is_set() or not is_open(self):
            return
        self._left_out = lost
        if profiles[0] and profiles[1]:
            self.found = await asyncio.to_thread(compare_arms, profiles[0], profiles[1])
        if stop.is_set() or not is_open(self):
            return
        self._work = None
        self._draw()

    # --- drawing

    def _draw(self) -> None:
        """Brings result and title up to date."""
        listed, pane = self.query_one(ArmList), self.query_one(TextPane)
        if self.found is not None:
            width = self.app.size.width
            room = (width if self.has_class("-narrow") else width // 2) - 5
            doc = report_document(ab_report(self.found), room)
            for why in self._left_out[:8]:
                doc.line((f"left out: {visible_line(why, 300)}", "error"))
            pane.show(doc)
        elif self._read:
            shown = self.keymap.shown
            keys = (shown("ab.arm_a"), shown("ab.arm_b"), shown("ab.filter_a"),
                    shown("ab.filter_b"))  # fmt: skip
            counts = (len(listed.arm("A")), len(listed.arm("B")))
            pane.show(missing(counts, keys, runs=bool(listed.items), left_out=self._left_out))
        self._show()

    def _show_progress(self) -> None:
        if self.running:
            self._show()

    def _show(self) -> None:
        """The title: how many runs each arm has, what is being read."""
        if not is_open(self):
            return
        listed = self.query_one(ArmList)
        parts: list[str | Content | tuple[str, str]] = [("A/B ", "bold $text-accent")]
        for name, word in (("A", "warm"), ("B", "cold")):
            count = len(listed.arm(name))
            parts.append((f" {name} {word}: {count:,} run{'s' * (count != 1)} ", "bold"))
            text = self._filters[name]
            if text and self.app.size.width >= NARROW:
                parts.append((f"({visible_line(text, 24)}) ", "$text-muted"))
        if self.running:
            done, of = self._progress
            parts += [" ", progress_bar(done, of, f"{done:,} of {of:,} logs", 10)]
        elif not self._read:
            parts.append((" reading the runs ...", "$text-muted"))
        self.query_one("#arms-title", Static).update(Content.assemble(*parts))
        self.refresh_footer()

    def on_resize(self, event: events.Resize) -> None:
        """The result goes below the list."""
        self.set_class(event.size.width < NARROW, "-narrow")
        if self._read:
            self._draw()

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        """What can be done here."""
        return (
            "ab.arm_a",
            "ab.arm_b",
            "ab.filter_a",
            "ab.filter_b",
            "ab.run",
            "ab.clear",
            "ab.next_pane",
            "ab.stop",
            "app.quit",
            "app.help",
        )

    def handlers(self) -> Iterable[Handler]:
        """Choosing the arms, and opening a run."""
        yield from super().handlers()
        yield Handler("view.maximise", self.maximised.toggle, label=self.maximised.label)
        yield Handler("ab.arm_a", partial(self._put, "A"), enabled=self._any_runs)
        yield Handler("ab.arm_b", partial(self._put, "B"), enabled=self._any_runs)
        yield Handler("ab.filter_a", partial(self._ask, "A"), enabled=self._any_runs)
        yield Handler("ab.filter_b", partial(self._ask, "B"), enabled=self._any_runs)
        yield Handler("ab.clear", self._clear, enabled=lambda: bool(self.query_one(ArmList).arms))
        yield Handler("ab.run", self._open_run, enabled=self._any_runs)
        yield Handler("ab.next_pane", self.next_pane, enabled=self._any_runs)
        yield Handler(
            "ab.stop", self._stop_or_leave, label=lambda: "stop" if self.running else "back"
        )

    def _any_runs(self) -> bool:
        return bool(self.query_one(ArmList).items)

    def _put(self, arm: str) -> None:
        listed = self.query_one(ArmList)
        run = listed.selected
        if run is None:
            return
        if listed.arms.pop(run.path, "") != arm:
            listed.arms[run.path] = arm
            listed.go_to(listed.cursor + 1)
        self._filters = {"A": "", "B": ""}
        self._changed()

    def _ask(self, arm: str) -> None:
        def given(text: str | None) -> None:
            if text is not None:
                self.spawn(self._take(arm, text.strip()))

        hint = "A filter, such as ~tag warm, ~provider desk, ~date > 2026-01-31, !~tag warm."
        value = self._filters[arm]
        self.app.push_screen(
            Ask(f"which runs are arm {arm}?", value=value, hint=hint, check=_bad_filter), given
        )

    async def _take(self, arm: str, text: str) -> None:
        listed = self.query_one(ArmList)
        runs = list(listed.items)
        found = await asyncio.to_thread(self._library.search, parse(text), runs)
        if not is_open(self):
            return
        listed.arms = {path: name for path, name in listed.arms.items() if name != arm}
        new = [run.path for run in found if run.path not in listed.arms]
        listed.arms.update(dict.fromkeys(new, arm))
        self._filters[arm] = text
        self._changed(0.0)
        both = len(found) - len(new)
        if not found:
            self.tell(f"No run matches {visible_line(text, 80)}.", "warning")
        elif both:
            other = "B" if arm == "A" else "A"
            self.tell(f"{both:,} of the {len(found):,} runs found stay in arm {other}.", "warning")

    def _clear(self) -> None:
        self.query_one(ArmList).arms.clear()
        self._filters = {"A": "", "B": ""}
        self._changed()

    def _open_run(self) -> None:
        run = self.query_one(ArmList).selected
        if run is not None:
            self.capp.runs.replay(run.path)

    def on_row_list_chosen(self) -> None:
        """The selected run was clicked."""
        self._open_run()

    def _stop_or_leave(self) -> None:
        if self.maximised.restore():
            return
        if not self.running:
            self.back()
            return
        self._stop.set()
        self._work = None
        self.tell("Stopped: the arms are not compared.", "warning")
        self._draw()


def _bad_filter(text: str) -> str | None:
    try:
        parse(text.strip())
    except ConvtuiError as error:
        return str(error)
    return None if text.strip() else "Write a filter."
