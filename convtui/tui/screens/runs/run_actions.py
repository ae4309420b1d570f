"""Actions on selected runs: open, mark, compare, profile, rehook."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.batch.listing import logs_in
from convtui.library.families import walk
from convtui.log.run_summary import RunSummary
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.runs.filter import RunFilter
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.widgets.run_list import RunList

if TYPE_CHECKING:
    from convtui.tui.open_runs import OpenRuns


class RunActions:
    """Opens other screens on runs of the list."""

    def __init__(
        self,
        context: ScreenContext,
        run_filter: RunFilter,
        listed: RunList,
        runs: OpenRuns,
        *,
        again: Callable[[Path], Awaitable[None]],
        open_saved: Callable[[RunSummary], None],
        rehook: Callable[[Sequence[Path], str], Awaitable[None]],
        warm_dir: Callable[[], Path],
    ) -> None:
        """`again` starts a saved run again; `rehook` gets logs and the provider that they name."""
        self._context = context
        self._filter = run_filter
        self._listed = listed
        self._runs = runs
        self._run_again, self._open_rehook, self._warm_dir = again, rehook, warm_dir
        self._open_saved = open_saved

    def handlers(self) -> Iterator[Handler]:
        yield Handler("runs.open", self._open, self._any_run, self._enter_label)
        yield Handler("runs.again", self._again, self._any_single)
        yield Handler("runs.mark", self._mark, self._any_run)
        yield Handler("runs.compare", self._compare, self._any_run)
        yield Handler("rehook.open", self._rehook, lambda: bool(self._listed.runs))
        yield Handler("profile.open", self._profile, lambda: bool(self._listed.runs))
        yield Handler("warm.open", self._warm)
        yield Handler("ab.open", self._ab)

    def _any_run(self) -> bool:
        return self._filter.selected is not None

    def _any_single(self) -> bool:
        branch = self._filter.selected
        return branch is not None and branch.run.batch is None

    def _enter_label(self) -> str | None:
        # In the filter Enter goes to the list.
        return None if self._listed.has_focus else "to the list"

    def _open(self) -> None:
        branch = self._filter.selected
        if branch is not None:
            self.open(branch.run)

    def open(self, run: RunSummary) -> None:
        """Opens a run, or a batch."""
        self._open_saved(run)

    async def _again(self) -> None:
        branch = self._filter.selected
        if branch is not None:
            await self._run_again(branch.run.path)

    async def _chosen_logs(self) -> list[Path]:
        """The marked runs, else all that match the filter, else the selected one.

        Of a batch all logs, unless single ones of it match.
        """
        listed = self._listed
        chosen: Sequence[RunSummary] = [listed.branch.run] if listed.branch is not None else []
        if listed.marked:
            return await asyncio.to_thread(_logs_in, listed.marked)
        if self._filter.filter:
            chosen = listed.runs
        inside = {run.path.parent for run in chosen if run.batch is None}
        return await asyncio.to_thread(
            _logs_in, [run.path for run in chosen if run.batch is None or run.path not in inside]
        )

    def _mark(self) -> None:
        """Marks the selected run, or removes its mark."""
        listed = self._listed
        branch = listed.branch
        if branch is None:
            return
        path = branch.run.path
        if path in listed.marked:
            listed.marked.remove(path)
        else:
            listed.marked.append(path)
        listed.refresh()

    def _compare(self) -> None:
        """Compares two marked runs, a marked and the selected one, or a branch and its parent."""
        listed = self._listed
        branch = listed.branch
        paths = list(listed.marked)
        mark = self._context.keymap.shown("runs.mark")
        if len(paths) > 2:
            ab_key = self._context.keymap.shown("ab.open")
            self._context.notify(
                f"{len(paths)} runs are marked, but only two can be compared: unmark some with"
                f" {mark}, or compare groups of runs with {ab_key}.",
                "warning",
            )
            return
        if branch is not None and len(paths) < 2 and branch.run.path not in paths:
            paths.append(branch.run.path)
        if len(paths) == 1 and branch is not None and not listed.marked:
            file = branch.run.file
            parent = next(
                (
                    b
                    for b in walk(self._filter.roots)
                    if any(c.run.file == file for c in b.children)
                ),
                None,
            )
            paths = [parent.run.path, branch.run.path] if parent is not None else []
        batches = {run.path for run in self._filter.everything if run.batch is not None}
        if len(paths) == 2 and batches.issuperset(paths):
            self._runs.compare_batches(paths[0], paths[1])
        elif batches.intersection(paths):
            self._context.notify(
                f"A batch is compared with another batch: mark one with {mark}, then select or"
                " mark the other.",
                "warning",
            )
        elif len(paths) == 2:
            self._runs.compare(paths[0], paths[1])
        else:
            self._context.notify(
                f"Mark one run with {mark}, then select or mark the other.", "warning"
            )

    async def _rehook(self) -> None:
        branch = self._filter.selected
        logs = await self._chosen_logs()
        if logs:
            await self._open_rehook(logs, branch.run.provider if branch is not None else "")

    async def _profile(self) -> None:
        from convtui.tui.screens.profile.screen import ProfileScreen

        logs = await self._chosen_logs()
        if logs:
            self._context.open(ProfileScreen(self._context.keymap, logs))

    async def _warm(self) -> None:
        """Opens the templates; one can be built from the marked or the matching runs."""
        from convtui.tui.screens.warm.screen import WarmScreen

        listed = self._listed
        chosen = listed.marked or self._filter.filter
        logs = await self._chosen_logs() if chosen else []
        self._context.open(
            WarmScreen(self._context.keymap, self._warm_dir(), self._filter.library.folder, logs)
        )

    def _ab(self) -> None:
        """Opens the comparison of two groups of runs, starting with two marked ones."""
        from convtui.tui.screens.compare.ab import ArmsScreen

        marked = self._listed.marked
        arms = tuple(marked) if len(marked) == 2 else ()
        self._context.open(ArmsScreen(self._context.keymap, self._filter.library.folder, arms))


def _logs_in(paths: Sequence[Path]) -> list[Path]:
    """The logs among `paths`, and those in the folders among them. Blocking."""
    logs: list[Path] = []
    for path in paths:
        if path.is_dir():
            logs += logs_in(path)
        else:
            logs.append(path)
    return logs
