"""What is printed when a screen is left: where the log is, and what to type next."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from convtui.config.paths import builtin_dir
from convtui.library.log_names import SAMPLE
from convtui.log.run_summary import RunSummary, summarise
from convtui.printing.output import Output
from convtui.text.boundary import visible_line

_UNFINISHED: Final = ("crashed", "interrupted", "failed", "running")
_ID: Final = re.compile(r"[0-9a-f]{6,}")


def print_parting(log: Path | None, usual: Path | None = None) -> None:
    """Prints it on standard error; nothing without a log. `usual` is the folder of saved runs."""
    output = Output(sys.stderr)
    for line in parting_lines(log, usual):
        output.line(line)


def parting_lines(log: Path | None, usual: Path | None = None) -> list[str]:
    if log is None or not log.is_file():
        return []
    where = f"log:  {visible_line(str(log))}"
    run = summarise(log)
    if run.damaged:
        return [where]
    name = _short_name(run, usual)
    convtui = command()
    go_on = f"; {convtui} debug --resume {name} goes on" if run.state in _UNFINISHED else ""
    return [where, f"next: {convtui} replay {name}{go_on}"]


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


def go_on_with(log: Path) -> str:
    """What to type to go on with a run that failed or was interrupted."""
    return f"{command()} run --resume {visible_line(shlex.quote(str(log)))} goes on"


def _short_name(run: RunSummary, usual: Path | None) -> str:
    """How a log is named on a command line: by its id alone where commands look for it."""
    log = run.path.absolute()
    if log.parent == builtin_dir("sample_runs"):
        name = f"{SAMPLE}{log.stem}"
    elif usual is None or log.parent != usual.absolute():
        name = str(log)
    elif _ID.fullmatch(run.id):
        name = run.id[:6]
    else:
        name = log.stem
    return visible_line(shlex.quote(name))
