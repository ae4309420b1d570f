"""What is done with runs of the list: marked, compared, profiled, run through hooks again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.library.families import walk
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.runs.filter import RunFinder
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.widgets.run_list import RunList

if TYPE_CHECKING:
    from convtui.tui.app import ConvtuiApp


class RunUses:
    """Hands runs to other screens."""

    def __init__(
        self, context: ScreenContext, finder: RunFinder, listed: RunList, app: ConvtuiApp
    ) -> None:
        self._context = context
        self._finder = finder
        self._listed = listed
        self._app = app

    def handlers(self) -> Iterator[Handler]:
        """The actions that use runs."""
        yield Handler("runs.open", self._open, self._any_run)
        yield Handler("runs.mark", self._mark, self._any_run)
        yield Handler("runs.compare", self._compare, self._any_run)
        yield Handler("rehook.open", self._rehook, lambda: bool(self._listed.runs))
        yield Handler("profile.open", self._profile, lambda: bool(self._listed.runs))
        yield Handler("warm.open", self._warm)
        yield Handler("ab.open", self._arms)

    def _any_run(self) -> bool:
        return self._finder.selected is not None

    def _open(self) -> None:
        """Opens the selected run."""
        branch = self._finder.selected
        if branch is not None:
            self._app.replay(branch.run.path)

    def _chosen_logs(self) -> list[Path]:
        """The marked runs, else all that a filter lists, else the selected one."""
        listed = self._listed
        if listed.marked:
            return list(listed.marked)
        if self._finder.filter:
            return [run.path for run in listed.runs]
        return [listed.branch.run.path] if listed.branch is not None else []

    def _mark(self) -> None:
        """Marks the selected run, or takes its mark away."""
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
        """Two that are marked, a marked one and the selected one, or a branch and its parent."""
        listed = self._listed
        branch = listed.branch
        wanted = list(listed.marked)
        mark = self._context.keymap.shown("runs.mark")
        if len(wanted) > 2:
            arms = self._context.keymap.shown("ab.open")
            many = f"{len(wanted)} runs are marked, two are compared: take marks away with {mark}"
            self._context.notify(f"{many}, or compare two arms of runs with {arms}.", "warning")
            return
        if branch is not None and len(wanted) < 2 and branch.run.path not in wanted:
            wanted.append(branch.run.path)
        if len(wanted) == 1 and branch is not None and not listed.marked:
            file = branch.run.file
            parent = next(
                (
                    b
                    for b in walk(self._finder.roots)
                    if any(c.run.file == file for c in b.children)
                ),
                None,
            )
            wanted = [parent.run.path, branch.run.path] if parent is not None else []
        if len(wanted) == 2:
            self._app.compare(wanted[0], wanted[1])
        else:
            self._context.notify(
                f"Mark one run with {mark}, then select or mark the other.", "warning"
            )

    async def _rehook(self) -> None:
        """Runs hooks again over the chosen runs."""
        from convtui.tui.screens.rehook.screen import open_rehook

        branch = self._finder.selected
        logs = self._chosen_logs()
        if logs:
            await open_rehook(self._app, logs, branch.run.provider if branch is not None else "")

    def _profile(self) -> None:
        """The profile of the chosen runs."""
        from convtui.tui.screens.profile.screen import ProfileScreen

        logs = self._chosen_logs()
        if logs:
            self._context.open(ProfileScreen(self._context.keymap, logs))

    def _warm(self) -> None:
        """The user's templates; one can be built of the marked runs, or of those that are found."""
        from convtui.config.paths import Paths
        from convtui.tui.screens.warm.screen import WarmScreen

        config = self._app.config
        folder = (config.paths if config is not None else Paths.find()).warm_dir
        listed = self._listed
        chosen = listed.marked or self._finder.filter
        logs = self._chosen_logs() if chosen else []
        self._context.open(
            WarmScreen(self._context.keymap, folder, self._finder.library.folder, logs)
        )

    def _arms(self) -> None:
        """Two arms of runs; two that are marked begin them."""
        from convtui.tui.screens.compare.ab import ArmsScreen

        marked = self._listed.marked
        arms = tuple(marked) if len(marked) == 2 else ()
        self._context.open(ArmsScreen(self._context.keymap, self._finder.library.folder, arms))
