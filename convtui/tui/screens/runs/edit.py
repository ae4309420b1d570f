"""Changes saved runs: tags, sort order, the trash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textual.widgets import OptionList

from convtui.errors import ConvtuiError
from convtui.library.families import walk
from convtui.library.library import dependents
from convtui.library.trash import Trash, Trashed
from convtui.log.notes import Notes, check_tag
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.tui.screens.dialogs.questions import Ask, Choose
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.runs.batches import batch_of
from convtui.tui.screens.runs.filter import RunFilter
from convtui.tui.screens.screen_context import ScreenContext

ORDER_LABELS = {
    "-when": "newest first",
    "when": "oldest first",
    "-written": "last written first",
    "name": "file name",
    "persona": "persona",
    "provider": "provider",
    "ending": "ending",
    "-turns": "most turns first",
    "-duration": "longest first",
    "-tokens": "most tokens first",
    "-cost": "most expensive first",
    "-latency": "slowest replies first",
    "-discarded": "most discarded turns first",
}


class RunEdits:
    """Sorts and tags runs, and moves them to the trash and back."""

    def __init__(
        self, context: ScreenContext, run_filter: RunFilter, trash: Callable[[], Trash]
    ) -> None:
        """`trash` is where deleted runs go."""
        self._context = context
        self._filter = run_filter
        self._trash = trash
        self._trashed: list[Trashed] = []
        """Runs moved to the trash from here, the latest last."""

    def handlers(self) -> Iterator[Handler]:
        yield Handler("runs.sort", self._sort)
        yield Handler("runs.tag", self._tag, self._any_run)
        yield Handler("runs.trash", self._move_to_trash, self._any_run)
        yield Handler("runs.undo", self._restore, lambda: bool(self._trashed))

    def _any_run(self) -> bool:
        return self._filter.selected is not None

    # --- order

    def _sort(self) -> None:
        async def chosen(order: str | None) -> None:
            if order is not None:
                await self._filter.sort(order)

        answers = [
            (order, f"{'> ' if order == self._filter.order else '  '}{label}")
            for order, label in ORDER_LABELS.items()
        ]
        screen = Choose("sort the runs", answers)
        self._context.open(screen, chosen)
        current = list(ORDER_LABELS).index(self._filter.order)

        def highlight() -> None:
            screen.query_one(OptionList).highlighted = current

        screen.call_after_refresh(highlight)

    # --- tags

    def _tag(self) -> None:
        """Asks for the tags of the selected run."""
        branch = self._filter.selected
        if branch is None or branch.run.damaged:
            return
        self._ask_tags(branch.run)

    def _ask_tags(self, run: RunSummary, wrote: str | None = None) -> None:
        hint = "words separated by commas; ~tag NAME finds them"

        async def answered(text: str | None) -> None:
            if text is not None:
                self._context.spawn(self._retag(run, text))

        def check(text: str) -> str | None:
            problems = (check_tag(tag) for tag in _tags(text))
            return next((problem for problem in problems if problem is not None), None)

        title = f"tags of {visible_line(run.name, 40)}"
        value = ", ".join(run.tags)
        self._context.open(Ask(title, value=value, hint=hint, check=check, wrote=wrote), answered)

    async def _retag(self, run: RunSummary, text: str) -> None:
        tags = _tags(text)

        def write() -> None:
            notes = Notes(run.log)
            for tag in dict.fromkeys((*run.tags, *tags)):
                if (tag in tags) != (tag in run.tags):
                    notes.tag(tag, tag in tags)

        try:
            await asyncio.to_thread(write)
        except ConvtuiError as error:
            self._context.notify(str(error), "error")
            # Keep tags that could not be written, so that they can be tried again.
            self._ask_tags(run, text)
            return
        await self._filter.reload([run.log])

    # --- the trash

    async def _move_to_trash(self) -> None:
        """Asks whether to delete the selected run, alone or with its branches."""
        branch = self._filter.selected
        if branch is None:
            return
        if branch.run.running:
            what = "run" if branch.run.batch is None else "batch"
            self._context.notify(f"This {what} is still running: end it first.", "warning")
            return
        if batch_of(self._filter.roots, branch) is not None:
            self._context.notify(
                "This conversation belongs to a batch, which is deleted as a whole.", "warning"
            )
            return
        whole = branch.run.batch is not None
        family = [branch.run] if whole else [member.run for member in walk([branch])]
        answers = [("one", "move it to the trash")]
        if len(family) > 1:
            others = f"{len(family) - 1} branch{'es' if len(family) > 2 else ''}"
            answers.append(("all", f"move it and its {others} to the trash"))
        batch = branch.run.batch
        its = "notes, wire and tool results"
        if batch is not None:
            its = f"{counted(batch.conversations, 'conversation')}"
        lines = [f"{visible_line(branch.run.name, 60)}: with its {its}."]
        warnings = await asyncio.to_thread(dependents, [branch.run], self._filter.everything)
        lines += [visible_line(warning, 300) for warning in warnings]

        async def chosen(answer: str | None) -> None:
            if answer is not None:
                runs = family if answer == "all" else family[:1]
                self._context.spawn(self._discard([run.path for run in runs]))

        question = "delete this batch?" if whole else "delete this run?"
        self._context.open(Choose(question, answers, "\n".join(lines)), chosen)

    async def _discard(self, logs: Sequence[Path]) -> None:
        trash = self._trash()

        def move() -> tuple[list[Trashed], list[str]]:
            moved: list[Trashed] = []
            problems: list[str] = []
            for log in logs:
                try:
                    moved.append(trash.put(log))
                except ConvtuiError as error:
                    problems.append(str(error))
            return moved, problems

        moved, problems = await asyncio.to_thread(move)
        self._trashed += moved
        await self._filter.reload(logs)
        self._context.refresh_keys()
        if problems:
            self._context.notify("\n".join(problems), "error")
        elif moved:
            count = f"{len(moved)} runs" if len(moved) > 1 else visible_line(moved[0].name, 50)
            self._context.notify(
                f"Deleted: {count}. {self._context.keymap.shown('runs.undo')} restores."
            )

    async def _restore(self) -> None:
        """Restores the run that was deleted last."""
        if not self._trashed:
            self._context.notify(
                "Nothing was deleted here. `convtui runs --trashed` lists earlier deletions."
            )
            return
        last = self._trashed[-1]
        log = await asyncio.to_thread(self._trash().restore, last)
        self._trashed.pop()
        await self._filter.reload([log])
        self._context.refresh_keys()
        self._context.notify(f"Restored: {visible_line(log.name, 60)}.")


def _tags(text: str) -> list[str]:
    return [tag for tag in (part.strip() for part in text.split(",")) if tag]
