"""Profile: how reliable one run was, or many together; tables, plots, the runs by themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.worker import Worker

from convtui.actions.registry import Keymap
from convtui.analysis.profile.orders import ORDERS, sorted_runs
from convtui.analysis.profile.profile import RunProfile
from convtui.analysis.profile.reading import Reading, read_runs
from convtui.analysis.profile.reading_report import reading_report
from convtui.analysis.profile.report import RUNS_HEAD, profile_page, run_row
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.tui.documents.report import plots_document, report_document
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.frames import PANE, entitle
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.progress import progress_bar
from convtui.tui.drawing.tables import TableLayout, end_of
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.panes import PaneScreen
from convtui.tui.screens.report_file import ask_report_file
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.textual_compat import is_open, run_while_open
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.row_list import RowList
from convtui.tui.widgets.text_pane import Document, TextPane

NARROW, LOW = 100, 20
_EVERY = 0.1
"""Seconds between two pictures of the progress."""


class ProfileRuns(RowList[RunProfile]):
    """The runs of a profile, a row each."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.table = TableLayout(RUNS_HEAD, (), 60)

    def spans_of(self, item: RunProfile) -> Sequence[Span]:
        """Its figures; without calls there is no rate."""
        before, last = self.table.line(run_row(item))
        return [(before, "text"), (last, "text")]


class ProfileScreen(PaneScreen):
    """Tables beside plots, below them a list of the runs where there are several."""

    KEY_CONTEXTS = ("profile",)
    AUTO_FOCUS = "#profile-tables"
    DEFAULT_CSS = """
    ProfileScreen { layout: vertical; }
    ProfileScreen #profile-note { height: auto; max-height: 6; width: 1fr; padding: 0 1; }
    ProfileScreen #profile-note.-problem { color: $text-error; }
    ProfileScreen #profile-body { layout: horizontal; height: 1fr; }
    ProfileScreen TextPane { width: 1fr; height: 1fr; }
    ProfileScreen #profile-runs { height: 35%; display: none; }
    ProfileScreen #profile-head { height: 1; width: 1fr; padding: 0 1; color: $text-muted; }
    ProfileScreen.-many #profile-runs { display: block; }
    ProfileScreen.-narrow #profile-plots { display: none; }
    """

    def __init__(self, keymap: Keymap, logs: Sequence[Path], *, opens: bool = True) -> None:
        """`opens`: whether a run can be opened from here; not where it lies below anyway."""
        super().__init__(keymap)
        self.maximised = Maximise(
            self, ("#profile-body", "TextPane", "#profile-runs", "ProfileRuns")
        )
        self._logs = list(logs)
        self._opens = opens
        self.reading: Reading | None = None
        """None until something was read."""
        self.order = ""
        self._done = 0
        self._stop = threading.Event()
        self._work: Worker[None] | None = None
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Title, progress or what is amiss, tables and plots, the runs."""
        yield Static(id="profile-title", classes="screen-title", markup=False)
        yield Static(id="profile-note", markup=False)
        with Container(id="profile-body"):
            tables = TextPane(id="profile-tables", classes=PANE)
            plots = TextPane(id="profile-plots", classes=f"{PANE} -beside")
            entitle(tables, "figures")
            entitle(plots, "run by run")
            yield tables
            yield plots
        with Container(id="profile-runs", classes=f"{PANE} -list -below") as runs:
            entitle(runs, "runs")
            yield Static(id="profile-head", markup=False)
            yield ProfileRuns(id="profile-list")
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the logs in a thread."""
        self._resized(self.app.size.width)
        self.set_interval(_EVERY, self._show_progress)
        self.read_again()

    def on_unmount(self) -> None:
        """Nothing goes on that nobody can see."""
        self._stop.set()

    # --- the work

    @property
    def running(self) -> bool:
        """Whether logs are being read."""
        return self._work is not None and not self._work.is_finished

    def read_again(self) -> None:
        """Reads the logs, as they are now."""
        if self.running:
            return
        self._done, self._stop = 0, threading.Event()
        self._work = run_while_open(self, self._read(self._stop), group="profile")
        self._show()

    async def _read(self, stop: threading.Event) -> None:
        def told(done: int) -> None:
            self._done = done

        found = await asyncio.to_thread(read_runs, self._logs, progress=told, stop=stop.is_set)
        if not is_open(self):
            return
        self._work = None
        self.reading = found
        self._fill()
        self._show()

    # --- drawing

    @property
    def many(self) -> bool:
        """Whether there are several runs."""
        return self.reading is not None and len(self.reading.profile.runs) > 1

    def _fill(self) -> None:
        """Brings tables, plots and the list up to date, when there is something new in them."""
        reading = self.reading
        if reading is None:
            return
        self.set_class(self.many, "-many")
        narrow = self.has_class("-narrow")
        width, height = self.app.size.width, self.app.size.height
        room = (width - 4 if narrow else width // 2 - 4) - 1
        drawn = (id(reading), self.order, room, height)
        if drawn == self._drawn:
            return
        again = self._drawn[:1] == drawn[:1]
        self._drawn = drawn
        left, right = self.query_one("#profile-tables", TextPane), self.query_one("#profile-plots")
        assert isinstance(right, TextPane)
        if not reading.profile.runs:
            left.show(self._nothing(reading))
            right.show(Document())
            return
        report = reading_report(reading, self.order)
        doc = report_document(report, room)
        shown = plots_document(report.plots, room, 5 if height >= 30 else 3)
        if not report.plots:
            shown.nothing("No turn has a latency or tokens on record.")
        if narrow:
            doc.blank().pieces.extend(shown.pieces)
            shown = Document()
        left.show(doc, keep_place=again)
        right.show(shown, keep_place=again)
        if self.many:
            self._fill_runs(sorted_runs(reading.profile.runs, self.order), width)

    def _fill_runs(self, runs: list[RunProfile], width: int) -> None:
        listed = self.query_one(ProfileRuns)
        before = listed.selected
        listed.table = TableLayout(RUNS_HEAD, [run_row(run) for run in runs], width - 4)
        place = next((n for n, run in enumerate(runs) if run is before), 0)
        listed.show_items(runs, place)
        self.query_one("#profile-head", Static).update(Content("".join(listed.table.head)))

    @staticmethod
    def _nothing(reading: Reading) -> Document:
        doc = Document()
        if reading.stopped:
            return doc.line(("Stopped before the first log was read.", "warning"))
        doc.line(("There is no run to profile.", "bold"))
        for why in reading.left_out:
            doc.line((visible_line(why, 300), "error"))
        doc.blank().line(
            ("Every conversation is saved by itself: start one, mark runs in the list of saved"
             " runs, and open this again; `convtui demo` makes one at once.", "muted")
        )  # fmt: skip
        return doc

    def _show_progress(self) -> None:
        if self.running:
            self._show()

    def _show(self) -> None:
        """Brings title, progress and footer up to date."""
        if not is_open(self):
            return
        count = len(self._logs)
        width = self.app.size.width
        what = counted(count, "run")
        if count == 1:
            what = end_of(self._logs[0].name, max(12, width - 30))
        parts = [("profile ", "bold $text-accent"), (what, "bold")]
        if self.order and width >= 80:
            parts.append((f"  {ORDERS[self.order]}", "$text-muted"))
        self.query_one("#profile-title", Static).update(Content.assemble(*parts))
        note = self.query_one("#profile-note", Static)
        words = self._note()
        note.display = bool(words)
        note.update(words)
        self.refresh_footer()

    def _note(self) -> Content:
        if self.running:
            of = len(self._logs)
            return progress_bar(self._done, of, f"{self._done:,} of {of:,} logs read")
        reading = self.reading
        if reading is not None and reading.stopped:
            read = len(reading.profile.runs) + len(reading.left_out)
            again = self.keymap.shown("profile.again")
            return Content.assemble(
                (f"{glyphs.STOP} ", "bold $text-warning"),
                f"stopped by hand after {read:,} of {len(self._logs):,} logs;"
                f" {again} reads them again",
            )
        return Content("")

    def on_resize(self, event: events.Resize) -> None:
        """Plots beside the tables, or below them."""
        self._resized(event.size.width)
        self._fill()
        self._show()

    def _resized(self, width: int) -> None:
        self.set_class(width < NARROW, "-narrow")

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        """What can be done here."""
        return (
            "profile.stop",
            "profile.run",
            "profile.sort",
            "profile.report",
            "profile.again",
            "profile.next_pane",
            "app.quit",
            "app.help",
        )

    def handlers(self) -> Iterable[Handler]:
        """Reading, sorting, writing, opening a run."""
        yield from super().handlers()
        yield Handler("view.maximise", self.maximised.toggle, label=self.maximised.label)
        yield Handler(
            "profile.stop", self._stop_or_leave, label=lambda: "stop" if self.running else "back"
        )
        yield Handler("profile.run", self._open_run, enabled=self._can_open)
        yield Handler("profile.sort", self._sort, enabled=self._any_runs)
        yield Handler("profile.report", self._report, enabled=self._any_runs)
        yield Handler("profile.again", self.read_again, enabled=lambda: not self.running)
        yield Handler(
            "profile.next_pane",
            self.next_pane,
            enabled=lambda: self.many or not self.has_class("-narrow"),
        )

    def _any_runs(self) -> bool:
        return self.reading is not None and bool(self.reading.profile.runs)

    def _can_open(self) -> bool:
        return self._opens and self._any_runs()

    def _stop_or_leave(self) -> None:
        if self.maximised.restore():
            return
        if self.running:
            self._stop.set()
        else:
            self.back()

    def _open_run(self) -> None:
        """Opens the selected run, or the only one."""
        if self.reading is None or not self._can_open():
            return
        runs = self.reading.profile.runs
        run = self.query_one(ProfileRuns).selected if self.many else runs[0]
        if run is not None:
            self.capp.runs.replay(run.path)

    def on_row_list_chosen(self) -> None:
        """The selected run was clicked."""
        self._open_run()

    def _sort(self) -> None:
        """Asks for the order."""

        def chosen(order: str | None) -> None:
            if order is not None:
                self.order = order.removeprefix("by:")
                self._fill()
                self._show()

        answers = [
            (f"by:{order}", f"{'> ' if order == self.order else '  '}{words}")
            for order, words in ORDERS.items()
        ]
        screen = Choose("sort tools and runs", answers)
        self.app.push_screen(screen, chosen)
        place = list(ORDERS).index(self.order)

        def light() -> None:
            screen.query_one(OptionList).highlighted = place

        screen.call_after_refresh(light)

    def _report(self) -> None:
        """Asks for the file of the page."""
        reading = self.reading
        if reading is not None and reading.profile.runs:
            ask_report_file(
                ScreenContext.of(self), "profile.html", lambda: profile_page(reading.profile)
            )
