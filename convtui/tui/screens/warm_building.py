"""Warm: a template is built of saved runs, in the background."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.worker import Worker

from convtui.analysis.mining import Mined, mine
from convtui.errors import ConvtuiError
from convtui.filters import parse
from convtui.library import Library
from convtui.secrets import Redactor
from convtui.tui.screens.dialogs import Choose
from convtui.tui.screens.handlers import Handler, rows_of_methods
from convtui.tui.screens.panes import PaneScreen
from convtui.tui.screens.warm_form import BuildForm, Wishes
from convtui.tui.warm_doc import built
from convtui.tui.widgets.text_pane import TextPane
from convtui.warm_store import WarmStore, checked_name


class _StoppedError(Exception):
    """Escape was pressed while runs were being read."""


class WarmBuilding(PaneScreen):
    """The part of the screen that builds."""

    store: WarmStore
    runs_dir: Path
    logs: list[Path]
    """The runs that were chosen to build from; none for all of `runs_dir`."""
    differs = False
    """Whether the pane shows a diff or a report, and not the selected template."""
    progress = (0, 0)
    """Runs that were looked at, of how many."""
    stop: threading.Event
    _work: Worker[None] | None = None

    def handlers(self) -> Iterator[Handler]:
        """The actions of every part."""
        yield from super().handlers()
        yield from rows_of_methods(self)

    async def reload(self, select: str = "") -> None:
        """Reads the folder; selects the template of this name, else the one that was selected."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Brings title, progress and footer up to date."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether runs are being read for a template."""
        return self._work is not None and not self._work.is_finished

    def do_warm_build(self) -> None:
        """Asks what of, then builds."""
        if self.running:
            return
        count = len(self.logs)
        runs = f"{count:,} chosen run{'s' * (count != 1)}" if count else "all saved runs"
        self.app.push_screen(BuildForm(runs, _bad_name), self._asked)

    def _asked(self, wishes: Wishes | None) -> None:
        if wishes is None:
            return
        if not self.store.path(wishes.name).exists():
            self._begin(wishes)
            return

        def answered(answer: str | None) -> None:
            if answer == "replace":
                self._begin(wishes)

        answers = [("stay", "leave it as it is"), ("replace", "replace it, if a call is found")]
        ask = Choose(f"there is a template {wishes.name} already", answers)
        self.app.push_screen(ask, answered)

    def _begin(self, wishes: Wishes) -> None:
        self.progress, self.stop = (0, 0), threading.Event()
        self._work = self.run_worker(self._build(wishes, self.stop), group="build")
        self.repaint()

    async def _build(self, wishes: Wishes, stop: threading.Event) -> None:
        try:
            found, saved = await asyncio.to_thread(self._mine, wishes, stop)
        except _StoppedError:
            if self.is_mounted:
                self.tell("Stopped: nothing was saved.", "warning")
            return
        except (ConvtuiError, OSError) as error:
            if self.is_mounted:
                self.tell(str(error), "error")
            return
        finally:
            self._work = None
            if self.is_mounted:
                self.repaint()
        if not self.is_mounted:
            return
        self.differs = True
        await self.reload(wishes.name if saved else "")
        report = built(found, wishes.name, saved, found.why_nothing(wishes.rules))
        self.query_one(TextPane).show(report)
        self.refresh_footer()

    def _mine(self, wishes: Wishes, stop: threading.Event) -> tuple[Mined, str]:
        """What was found, and the file it was saved in; empty for none. Blocking."""
        logs = logs_of(self.runs_dir, self.logs, wishes.filter, stop)

        def told(scanned: int) -> None:
            self.progress = (scanned, len(logs))
            if stop.is_set():
                raise _StoppedError

        self.progress = (0, len(logs))
        found = mine(logs, wishes.rules, Redactor.of_process(), progress=told)
        if not found.patterns:
            return found, ""
        template = found.template(wishes.name, description=wishes.description, tags=wishes.tags)
        return found, str(self.store.save(template, force=True))


def logs_of(
    folder: Path, chosen: Sequence[Path], expression: str, stop: threading.Event
) -> list[Path]:
    """The runs to build from, the newest first: the chosen ones, or all. Blocking."""
    library = Library(folder)
    runs = library.runs()
    if chosen:
        wanted = {path.absolute() for path in chosen}
        runs = [run for run in runs if run.path.absolute() in wanted]
    if expression:
        runs = library.search(parse(expression), runs, stop=stop.is_set)
    return [run.path for run in sorted(runs, key=lambda run: -run.when)]


def _bad_name(name: str) -> str | None:
    try:
        checked_name(name)
    except ConvtuiError as error:
        return str(error) if name else "A template needs a name."
    return None
