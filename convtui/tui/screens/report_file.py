"""Asks for the file of a report and writes it as an HTML page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from convtui.analysis.report.html import write_html
from convtui.analysis.report.report import Report
from convtui.files.regular import exists
from convtui.text.boundary import visible, visible_line
from convtui.tui.screens.dialogs.questions import Ask, Choose
from convtui.tui.screens.screen_context import ScreenContext


def ask_report_file(context: ScreenContext, name: str, make: Callable[[], Report]) -> None:
    """Asks where to write a report, `name` by default, and before it replaces a file.

    `make` is called in a thread.
    """

    async def write(path: Path) -> None:
        await asyncio.to_thread(lambda: write_html(make(), path))
        context.notify(f"Written: {visible(str(path.absolute()))}")

    def given(text: str | None) -> None:
        if text is None:
            return
        path = Path(text.strip()).expanduser()
        if not exists(path):
            context.spawn(write(path))
            return

        def answered(answer: str | None) -> None:
            if answer == "replace":
                context.spawn(write(path))
            elif answer is not None:
                ask_report_file(context, name, make)

        answers = [("other", "another file"), ("replace", "replace it")]
        context.open(Choose("replace this file?", answers, visible_line(str(path), 200)), answered)

    here = visible_line(str(Path.cwd()), 200)
    hint = f"An HTML page with the tables and plots; relative to {here}"

    def check(text: str) -> str | None:
        return _no_file(text, name)

    context.open(Ask("write the report to", value=name, hint=hint, check=check), given)


def _no_file(text: str, name: str) -> str | None:
    """What is wrong with the name of a file."""
    try:
        path = Path(text.strip()).expanduser()
        if not text.strip() or path.is_dir():
            return f"Write the name of a file, such as {name}."
        if not path.absolute().parent.is_dir():
            return f"There is no folder {path.absolute().parent}."
    except (OSError, ValueError, RuntimeError) as error:
        return str(error)
    return None
