"""Two batches side by side: what got better, what worse, and the pairs to open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from convtui.actions.registry import Keymap
from convtui.analysis.report.report import Report
from convtui.batch.manifest import BatchFile, read_batch
from convtui.batch.results.compare import BatchComparison, Pair, compare_batches
from convtui.batch.results.compare_report import comparison_report
from convtui.batch.results.reading import Results, read_results
from convtui.batch.results.scenario_changes import scenario_changes
from convtui.errors import ConvtuiError
from convtui.text.boundary import visible_line
from convtui.transcript.ending_words import short_ending
from convtui.tui.documents.report import plots_document, report_document
from convtui.tui.drawing.frames import make_pane
from convtui.tui.drawing.labels import ending_role
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.progress import progress_bar
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.panes import PaneScreen
from convtui.tui.screens.report_file import ask_report_file
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.textual_compat import is_open
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.row_list import RowList
from convtui.tui.widgets.text_pane import Document, TextPane

_EVERY = 0.1
"""Seconds between two pictures of the progress."""
_PLOT_HEIGHT = 3


class PairList(RowList[Pair]):
    """Pairs of conversations that ended otherwise, those that got worse first."""

    def __init__(self) -> None:
        super().__init__()
        self._name_width = 0

    def show_pairs(self, pairs: Sequence[Pair]) -> None:
        self._name_width = max((len(_name(pair)) for pair in pairs), default=0)
        self.show_items(pairs)

    def spans_of(self, item: Pair) -> Sequence[Span]:
        """What became of it, which it is, how it ended before and now."""
        before, after = item.before, item.after
        sign, role = "same   ", "muted"
        if before.outcome != after.outcome:
            sign, role = ("worse  ", "error") if after.outcome == "bad" else ("better ", "ok")
        return [
            (sign, f"{role} bold"),
            (f"{_name(item):<{self._name_width}}  ", "text"),
            (f"{short_ending(before.ending):<14}", ending_role(before.ending)),
            (" -> ", "muted"),
            (short_ending(after.ending), ending_role(after.ending)),
        ]


def _name(pair: Pair) -> str:
    return visible_line(f"{pair.name}.{pair.before.run}", 60)


class BatchesScreen(PaneScreen):
    """The comparison above, the pairs below; Enter opens a pair turn by turn."""

    KEY_CONTEXTS = ("batches",)
    AUTO_FOCUS = "PairList"
    DEFAULT_CSS = """
    BatchesScreen { layout: vertical; }
    BatchesScreen #batches-body { layout: vertical; height: 1fr; }
    BatchesScreen TextPane { width: 1fr; height: 1fr; }
    BatchesScreen PairList { width: 1fr; height: 30%; }
    BatchesScreen.-same PairList { display: none; }
    """

    def __init__(self, keymap: Keymap, before: Path, after: Path) -> None:
        """`before` and `after` are folders; the one that began first is before."""
        super().__init__(keymap)
        self.maximised = Maximise(self, ("TextPane", "PairList"))
        self._folders = (before, after)
        self.comparison: BatchComparison | None = None
        """None until both were read."""
        self._report: Report | None = None
        self._problem = ""
        self._reading = False
        self._progress = (0, 0)

    def compose(self) -> ComposeResult:
        yield Static(id="batches-title", classes="screen-title", markup=False)
        report, pairs = TextPane(), PairList()
        make_pane(report, "what got better, what worse")
        make_pane(pairs, "pairs that ended otherwise", "-list")
        pairs.add_class("-below")
        with Container(id="batches-body"):
            yield report
            yield pairs
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_class(True, "-same")
        self.set_interval(_EVERY, self._show_progress)
        self._read_again()

    # --- reading

    def _read_again(self) -> None:
        if not self._reading:
            self._reading, self._progress = True, (0, 0)
            self.spawn(self._read())
            self._show()

    async def _read(self) -> None:
        def report(done: int, of: int) -> None:
            self._progress = (done, of)

        def read() -> tuple[BatchComparison, Report]:
            batches = sorted(map(read_batch, self._folders), key=_began)
            results: list[Results] = [read_results(batch, progress=report) for batch in batches]
            comparison = compare_batches(results[0], results[1])
            return comparison, comparison_report(comparison, scenario_changes(comparison))

        self._problem = ""
        try:
            self.comparison, self._report = await asyncio.to_thread(read)
        except ConvtuiError as error:
            self._problem = str(error)
        finally:
            self._reading = False
        if is_open(self):
            self._fill()
            self._show()

    # --- drawing

    def _fill(self) -> None:
        pane, listed = self.query_one(TextPane), self.query_one(PairList)
        comparison, report = self.comparison, self._report
        if self._problem or comparison is None or report is None:
            pane.show(Document().line((visible_line(self._problem, 600), "error")))
            return
        self._draw()
        pairs = [
            *comparison.flipped(worse=True),
            *comparison.flipped(worse=False),
            *comparison.ended_otherwise(),
        ]
        listed.show_pairs(pairs)
        self.set_class(not pairs, "-same")
        (listed if pairs else pane).focus()

    def _draw(self) -> None:
        if self._report is None:
            return
        width = max(40, self.app.size.width - 6)
        doc = report_document(self._report, width)
        doc.blank().pieces.extend(plots_document(self._report.plots, width, _PLOT_HEIGHT).pieces)
        self.query_one(TextPane).show(doc)

    def _show_progress(self) -> None:
        if self._reading:
            self._show()

    def _show(self) -> None:
        """Brings the title and the footer up to date."""
        if not is_open(self):
            return
        parts: list[str | Content | tuple[str, str]] = [("two batches  ", "bold $text-accent")]
        if self._reading:
            done, of = self._progress
            parts.append(progress_bar(done, of, f"{done:,} of {of:,} logs read", 10))
        elif self.comparison is not None:
            before, after = self.comparison.before.batch, self.comparison.after.batch
            names = f"{before.folder.name} -> {after.folder.name}"
            parts.append((visible_line(names, 100), "bold"))
        self.query_one("#batches-title", Static).update(Content.assemble(*parts))
        self.refresh_footer()

    def on_resize(self, event: events.Resize) -> None:
        if self.comparison is not None:
            self.call_after_refresh(self._draw)

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        return (
            "batches.pair",
            "batches.report",
            "batches.again",
            "batches.next_pane",
            "batches.stop",
            "app.quit",
            "app.help",
        )

    def handlers(self) -> Iterable[Handler]:
        yield from super().handlers()
        yield Handler("view.maximise", self.maximised.toggle, label=self.maximised.label)
        yield Handler("batches.pair", self._open_pair, enabled=self._can_open)
        yield Handler("batches.report", self._write, enabled=lambda: self._report is not None)
        yield Handler("batches.again", self._read_again, enabled=lambda: not self._reading)
        yield Handler("batches.next_pane", self.next_pane, enabled=self._any_pairs)
        yield Handler("batches.stop", self._leave)

    def _any_pairs(self) -> bool:
        return bool(self.query_one(PairList).items)

    def _can_open(self) -> bool:
        pair = self.query_one(PairList).selected
        return pair is not None and pair.before.log is not None and pair.after.log is not None

    def _open_pair(self) -> None:
        pair = self.query_one(PairList).selected
        if pair is not None and pair.before.log is not None and pair.after.log is not None:
            self.capp.runs.compare(pair.before.log, pair.after.log)

    def on_row_list_chosen(self) -> None:
        """The selected pair was clicked."""
        self._open_pair()

    def _write(self) -> None:
        report = self._report
        if report is not None:
            ask_report_file(ScreenContext.of(self), "batches.html", lambda: report)

    def _leave(self) -> None:
        if not self.maximised.restore():
            self.back()


def _began(batch: BatchFile) -> float:
    return 0.0 if batch.at is None else batch.at.timestamp()
