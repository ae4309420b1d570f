"""What the list of runs changes: tags, the order, what is in the trash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.widgets import OptionList

from convtui.errors import ConvtuiError
from convtui.library import Library, dependents
from convtui.log.families import Branch, walk
from convtui.log.library import RunSummary
from convtui.log.notes import Notes, check_tag
from convtui.log.trash import Trash, Trashed
from convtui.text import visible_line
from convtui.tui.keys import KeyScreen
from convtui.tui.screens.dialogs import Ask, Choose
from convtui.tui.screens.handlers import Handler, rows_of_methods

ORDER_WORDS = {
    "-written": "written last first",
    "-when": "begun last first",
    "when": "begun first first",
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


class RunChanging(KeyScreen):
    """The part of the list of runs that changes something."""

    library: Library
    everything: list[RunSummary]
    order: str
    trashed: list[Trashed]
    """What was moved to the trash from here, the last one last."""

    def handlers(self) -> Iterator[Handler]:
        """The actions of every part."""
        yield from rows_of_methods(self)

    @property
    def selected(self) -> Branch | None:
        """The lit run."""
        raise NotImplementedError

    async def reload(self, paths: Sequence[Path] = ()) -> None:
        """Takes in what has been changed of these logs, and the order."""
        raise NotImplementedError

    @property
    def trash(self) -> Trash:
        """Where deleted runs go."""
        from convtui.paths import Paths

        config = self.capp.config
        return Trash((config.paths if config is not None else Paths.find()).trash_dir)

    # --- order

    def do_runs_sort(self) -> None:
        """Asks for the order."""

        async def chosen(order: str | None) -> None:
            if order is not None:
                self.order = order
                await self.reload()

        answers = [
            (order, f"{'> ' if order == self.order else '  '}{words}")
            for order, words in ORDER_WORDS.items()
        ]
        screen = Choose("sort the runs", answers)
        self.app.push_screen(screen, chosen)
        place = list(ORDER_WORDS).index(self.order)

        def light() -> None:
            screen.query_one(OptionList).highlighted = place

        screen.call_after_refresh(light)

    # --- tags

    def do_runs_tag(self) -> None:
        """Asks for the tags of the lit run."""
        branch = self.selected
        if branch is None or branch.run.damaged:
            return
        self._ask_tags(branch.run)

    def _ask_tags(self, run: RunSummary, wrote: str | None = None) -> None:
        hint = "words, with commas between them; ~tag NAME finds them"

        async def given(text: str | None) -> None:
            if text is not None:
                self.spawn(self._retag(run, text))

        def check(text: str) -> str | None:
            wrong = (check_tag(tag) for tag in _tags(text))
            return next((why for why in wrong if why is not None), None)

        title = f"tags of {visible_line(run.name, 40)}"
        value = ", ".join(run.tags)
        self.app.push_screen(Ask(title, value=value, hint=hint, check=check, wrote=wrote), given)

    async def _retag(self, run: RunSummary, text: str) -> None:
        tags = _tags(text)

        def write() -> None:
            notes = Notes(run.path)
            for tag in dict.fromkeys((*run.tags, *tags)):
                if (tag in tags) != (tag in run.tags):
                    notes.tag(tag, tag in tags)

        try:
            await asyncio.to_thread(write)
        except ConvtuiError as error:
            self.tell(str(error), "error")
            # What could not be written is not lost: it can be tried again.
            self._ask_tags(run, text)
            return
        await self.reload([run.path])

    # --- the trash

    async def do_runs_trash(self) -> None:
        """Asks whether the lit run is to go, alone or with its branches."""
        branch = self.selected
        if branch is None:
            return
        if branch.run.running:
            self.tell("This run is still going on: end it first.", "warning")
            return
        family = [each.run for each in walk([branch])]
        answers = [("one", "move it to the trash")]
        if len(family) > 1:
            others = f"{len(family) - 1} branch{'es' if len(family) > 2 else ''}"
            answers.append(("all", f"move it and its {others} to the trash"))
        words = [f"{visible_line(branch.run.name, 60)}: with its notes, wire and tool results."]
        found = await asyncio.to_thread(dependents, [branch.run], self.everything)
        words += [visible_line(warning, 300) for warning in found]

        async def chosen(answer: str | None) -> None:
            if answer is not None:
                runs = family if answer == "all" else family[:1]
                self.spawn(self._discard([run.path for run in runs]))

        self.app.push_screen(Choose("delete this run?", answers, "\n".join(words)), chosen)

    async def _discard(self, logs: Sequence[Path]) -> None:
        trash = self.trash

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
        self.trashed += moved
        await self.reload(logs)
        self.refresh_footer()
        if problems:
            self.tell("\n".join(problems), "error")
        elif moved:
            count = f"{len(moved)} runs" if len(moved) > 1 else visible_line(moved[0].name, 50)
            self.tell(f"Deleted: {count}. {self.keymap.shown('runs.undo')} puts back.")

    async def do_runs_undo(self) -> None:
        """Puts the run back that was deleted last."""
        if not self.trashed:
            self.tell("Nothing was deleted here. `convtui runs --trashed` lists what was before.")
            return
        last = self.trashed[-1]
        log = await asyncio.to_thread(self.trash.restore, last)
        self.trashed.pop()
        await self.reload([log])
        self.refresh_footer()
        self.tell(f"Put back: {visible_line(log.name, 60)}.")


def _tags(text: str) -> list[str]:
    return [tag for tag in (part.strip() for part in text.split(",")) if tag]
