"""What is done with runs of the list: marked, compared, profiled, run through hooks again."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input

from convtui.log.families import walk
from convtui.tui.screens.run_finding import RunFinding
from convtui.tui.screens.run_list import RunList


class RunUsing(RunFinding):
    """The part of the list of runs that hands runs to other screens."""

    def chosen_logs(self) -> list[Path]:
        """The marked runs, else all that a filter lists, else the selected one."""
        listed = self.query_one(RunList)
        if listed.marked:
            return list(listed.marked)
        if self.query_one(Input).value.strip():
            return [run.path for run in listed.runs]
        return [listed.branch.run.path] if listed.branch is not None else []

    def do_runs_mark(self) -> None:
        """Marks the selected run, or takes its mark away."""
        listed = self.query_one(RunList)
        branch = listed.branch
        if branch is None:
            return
        path = branch.run.path
        if path in listed.marked:
            listed.marked.remove(path)
        else:
            listed.marked.append(path)
        listed.refresh()

    def do_runs_compare(self) -> None:
        """Two that are marked, a marked one and the selected one, or a branch and its parent."""
        listed = self.query_one(RunList)
        branch = listed.branch
        wanted = list(listed.marked)
        mark = self.keymap.shown("runs.mark")
        if len(wanted) > 2:
            arms = self.keymap.shown("ab.open")
            told = f"{len(wanted)} runs are marked, two are compared: take marks away with {mark}"
            self.tell(f"{told}, or compare two arms of runs with {arms}.", "warning")
            return
        if branch is not None and len(wanted) < 2 and branch.run.path not in wanted:
            wanted.append(branch.run.path)
        if len(wanted) == 1 and branch is not None and not listed.marked:
            file = branch.run.file
            parent = next(
                (b for b in walk(self.roots) if any(c.run.file == file for c in b.children)),
                None,
            )
            wanted = [parent.run.path, branch.run.path] if parent is not None else []
        if len(wanted) == 2:
            self.capp.compare(wanted[0], wanted[1])
        else:
            self.tell(f"Mark one run with {mark}, then select or mark the other.", "warning")

    async def do_rehook_open(self) -> None:
        """Runs hooks again over the chosen runs."""
        from convtui.tui.screens.rehooking import open_rehook

        branch = self.selected
        logs = self.chosen_logs()
        if logs:
            await open_rehook(self.capp, logs, branch.run.provider if branch is not None else "")

    def do_profile_open(self) -> None:
        """The profile of the chosen runs."""
        from convtui.tui.screens.profile import ProfileScreen

        logs = self.chosen_logs()
        if logs:
            self.app.push_screen(ProfileScreen(self.keymap, logs))

    def do_warm_open(self) -> None:
        """The user's templates; one can be built of the marked runs, or of those that are found."""
        from convtui.paths import Paths
        from convtui.tui.screens.warm import WarmScreen

        config = self.capp.config
        folder = (config.paths if config is not None else Paths.find()).warm_dir
        listed = self.query_one(RunList)
        chosen = listed.marked or self.query_one(Input).value.strip()
        logs = self.chosen_logs() if chosen else []
        self.app.push_screen(WarmScreen(self.keymap, folder, self.library.folder, logs))

    def do_ab_open(self) -> None:
        """Two arms of runs; two that are marked begin them."""
        from convtui.tui.screens.arms import ArmsScreen

        marked = self.query_one(RunList).marked
        arms = tuple(marked) if len(marked) == 2 else ()
        self.app.push_screen(ArmsScreen(self.keymap, self.library.folder, arms))
