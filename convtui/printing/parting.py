"""What is printed when a screen is left: where the log is, and what to type next."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from convtui.config.paths import builtin_dir
from convtui.library.log_names import SAMPLE
from convtui.log.run_summary import RunSummary, short_id, summarise
from convtui.printing.output import Output
from convtui.printing.wording import terminal_width
from convtui.text.boundary import visible_line
from convtui.text.cells import columns

_UNFINISHED: Final = ("crashed", "interrupted", "failed", "running")


def print_parting(log: Path | None, usual: Path | None = None, *, failure: str = "") -> None:
    """Prints it on standard error; `usual` is the folder of saved runs.

    Without a log, what failed before one was begun.
    """
    output = Output(sys.stderr)
    lines = parting_lines(log, usual, width=terminal_width(sys.stderr))
    if not lines and failure:
        lines = [f"convtui: {visible_line(failure)}"]
    for line in lines:
        output.line(line)


def parting_lines(
    log: Path | None, usual: Path | None = None, *, width: int | None = None
) -> list[str]:
    if log is None or not log.is_file():
        return []
    lines = _labelled("log:  ", visible_line(str(log)), width)
    run = summarise(log)
    if run.damaged:
        return lines
    name = _short_name(run, usual)
    convtui = command()
    lines += _labelled("next: ", f"{convtui} replay {name}", width)
    if run.state in _UNFINISHED:
        lines += _labelled("to go on: ", f"{convtui} debug --resume {name}", width)
    return lines


def command() -> str:
    """How this program is called here: by its name alone only where the shell finds that."""
    called = sys.argv[0] if sys.argv else ""
    path = Path(called)
    if path.name == "__main__.py" and path.parent.name == "convtui":
        return "convtui" if shutil.which("convtui") else f"{_python()} -m convtui"
    if path.stem != "convtui" or path.name == called:
        return "convtui"
    found = shutil.which("convtui")
    same = found is not None and Path(found).resolve() == path.resolve()
    return "convtui" if same else visible_line(shlex.quote(called))


def _python() -> str:
    """The interpreter that runs this, by its name where the shell finds it."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    return "python" if same else visible_line(shlex.quote(sys.executable))


def go_on_lines(log: Path, *, width: int | None = None) -> list[str]:
    """What to type to go on with a run that failed or was interrupted."""
    typed = f"{command()} run --resume {visible_line(shlex.quote(str(log)))}"
    return _labelled("to go on: ", typed, width)


def batch_lines(folder: Path, usual: Path, *, width: int | None = None) -> list[str]:
    """What to type to go on with a batch; `usual` is the folder where commands look for it."""
    named = folder.name if folder.parent.absolute() == usual.absolute() else str(folder)
    typed = f"{command()} batch {visible_line(shlex.quote(named))}"
    return _labelled("to go on: ", typed, width)


def _labelled(label: str, text: str, width: int | None) -> list[str]:
    """What can be copied is whole on a line, and alone there where it would be wrapped."""
    if width is not None and columns(label) + columns(text) > width:
        return [label.rstrip(), text]
    return [label + text]


def _short_name(run: RunSummary, usual: Path | None) -> str:
    """How a log is named on a command line: by its id alone where commands look for it."""
    log = run.path.absolute()
    if log.parent == builtin_dir("sample_runs"):
        name = f"{SAMPLE}{log.stem}"
    elif usual is None or log.parent != usual.absolute():
        here = Path.cwd()
        name = str(log.relative_to(here) if log.is_relative_to(here) else log)
    else:
        name = short_id(run.id) or log.stem
    return visible_line(shlex.quote(name))
