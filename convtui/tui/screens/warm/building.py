"""Warm: a template is built of saved runs, in the background."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from textual.worker import Worker

from convtui.analysis.mining.mining import Mined, mine
from convtui.analysis.mining.report import mined_report, saved_verdict
from convtui.errors import ConvtuiError
from convtui.filters.filter import parse
from convtui.library.library import Library
from convtui.log.run_summary import RunSummary
from convtui.secrets.redactor import Redactor
from convtui.text.counts import counted
from convtui.tui.documents.report import report_document
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.screens.warm.form import BuildForm, BuildOptions
from convtui.tui.widgets.text_pane import Document
from convtui.warm.store import WarmStore, checked_name


class _StoppedError(Exception):
    """Escape was pressed: raised in a callback of `mine()`, to end its loop."""


class TemplateBuilder:
    """Asks what a template is to be built of, and builds it."""

    def __init__(
        self,
        context: ScreenContext,
        store: WarmStore,
        runs_dir: Path,
        logs: Sequence[Path],
        *,
        start: Callable[[Coroutine[Any, Any, None]], Worker[None]],
        repaint: Callable[[], None],
        built: Callable[[Document, str], Awaitable[None]],
        mounted: Callable[[], bool],
    ) -> None:
        """`logs` are the runs that were chosen to build from, none for all of `runs_dir`. `start`
        runs work in the background, `repaint` shows how far it has come, `built` its report and
        the name of the template, empty where none was saved."""
        self._context = context
        self._store = store
        self._runs_dir = runs_dir
        self._logs = list(logs)
        self._start = start
        self._repaint = repaint
        self._built = built
        self._mounted = mounted
        self.progress = (0, 0)
        """Runs that were looked at, of how many."""
        self._stop = threading.Event()
        self._work: Worker[None] | None = None

    def stop(self) -> None:
        """Stops reading runs; nothing is saved then."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether runs are being read for a template."""
        return self._work is not None and not self._work.is_finished

    def build(self) -> None:
        """Asks what of, then builds."""
        if self.running:
            return
        self._context.open(BuildForm(self.of_what, _bad_name), self._asked)

    @property
    def of_what(self) -> str:
        """Which runs a template is built of."""
        count = len(self._logs)
        return f"{counted(count, 'chosen run')}" if count else "all saved runs"

    def _asked(self, wishes: BuildOptions | None) -> None:
        if wishes is None:
            return
        if not self._store.path(wishes.name).exists():
            self._begin(wishes)
            return

        def answered(answer: str | None) -> None:
            if answer == "replace":
                self._begin(wishes)

        answers = [("stay", "leave it as it is"), ("replace", "replace it, if a call is found")]
        ask = Choose(f"there is a template {wishes.name} already", answers)
        self._context.open(ask, answered)

    def _begin(self, wishes: BuildOptions) -> None:
        self.progress, self._stop = (0, 0), threading.Event()
        self._work = self._start(self._build(wishes, self._stop))
        self._repaint()

    async def _build(self, wishes: BuildOptions, stop: threading.Event) -> None:
        try:
            mined, saved = await asyncio.to_thread(self._mine, wishes, stop)
        except _StoppedError:
            if self._mounted():
                self._context.notify("Stopped: nothing was saved.", "warning")
            return
        except (ConvtuiError, OSError) as error:
            if self._mounted():
                self._context.notify(str(error), "error")
            return
        finally:
            self._work = None
            if self._mounted():
                self._repaint()
        if not self._mounted():
            return
        verdict = saved_verdict(wishes.name, saved, mined.why_nothing(wishes.rules))
        report = report_document(mined_report(mined, verdict))
        await self._built(report, wishes.name if saved else "")

    def _mine(self, wishes: BuildOptions, stop: threading.Event) -> tuple[Mined, str]:
        """What was found, and the file it was saved in; empty for none. Blocking."""
        logs = logs_of(self._runs_dir, self._logs, wishes.filter, stop)

        def report(scanned: int) -> None:
            self.progress = (scanned, len(logs))
            if stop.is_set():
                raise _StoppedError

        self.progress = (0, len(logs))
        mined = mine(logs, wishes.rules, Redactor.of_process(), progress=report)
        if not mined.patterns:
            return mined, ""
        template = mined.template(wishes.name, description=wishes.description, tags=wishes.tags)
        return mined, str(self._store.save(template, force=True))


def logs_of(
    folder: Path, chosen: Sequence[Path], expression: str, stop: threading.Event
) -> list[Path]:
    """The runs to build from, the newest first: the chosen ones, or all. Blocking."""
    runs: list[RunSummary] = []
    # Conversations of a batch are in a folder of their own.
    for place in dict.fromkeys(path.parent for path in chosen) if chosen else [folder]:
        library = Library(place)
        here = library.runs()
        if chosen:
            wanted = {path.absolute() for path in chosen}
            here = [run for run in here if run.path.absolute() in wanted]
        runs += library.search(parse(expression), here, stop=stop.is_set) if expression else here
    return [run.path for run in sorted(runs, key=lambda run: -run.when)]


def _bad_name(name: str) -> str | None:
    try:
        checked_name(name)
    except ConvtuiError as error:
        return str(error) if name else "A template needs a name."
    return None
