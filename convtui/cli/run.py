"""`convtui run`: a conversation without a screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convtui.cli.common import Choice, echo, example, json_flag, print_json, say
from convtui.cli.common import no_screen as say_no_screen
from convtui.cli.flags import scenario_flags
from convtui.errors import FileError, UsageError
from convtui.files.regular import is_dir, is_file

if TYPE_CHECKING:
    from convtui.cli.start import Plan
    from convtui.scenario.scenario import Scenario


@click.command(
    "run",
    epilog=example(
        "convtui run scenario.yaml",
        "convtui run --provider demo --persona demo --max-turns 6",
        "convtui run scenario.yaml --provider openai/gpt-4o --json --debug",
    ),
)
@scenario_flags
@click.option("--debug", is_flag=True, help="A line for every hook and call, on standard error.")
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=1, help="How often; some of them at once."
)
@click.option(
    "--on-pause",
    type=Choice(["end", "continue"]),
    default="end",
    help="What would wait for somebody: ends the run, or goes on.",
)
@click.option("--in-process", is_flag=True, help="No engine process: breakpoint() and pdb work.")
@json_flag
def command(
    *,
    scenario: str | None,
    debug: bool,
    runs: int,
    on_pause: str,
    in_process: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Runs a scenario, or a task or an eval of waza, without a screen.

    Turns go to standard output, progress to standard error, everything to the log, whose path is
    the last line on standard error. Ctrl+c ends the conversation and closes its log; a second one
    kills it.
    """
    if scenario is None and not any(flags[name] for name in ("provider", "persona", "resume")):
        scenario = _default_scenario()
    return run_headless(
        scenario,
        flags,
        debug=debug,
        runs=runs,
        on_pause=on_pause,
        in_process=in_process,
        as_json=as_json,
    )


def _default_scenario() -> str:
    from convtui.cli.run_settings import DEFAULT_SCENARIO

    if not is_file(Path(DEFAULT_SCENARIO)):
        raise UsageError(
            f"what should run? Name a scenario, or a --provider; there is no {DEFAULT_SCENARIO}"
            " here (`convtui init` writes one, `convtui demo` needs none)"
        )
    return DEFAULT_SCENARIO


def _provider_is_there(scenario: Scenario) -> None:
    """Raises `FileError` for a provider in a file that does not exist."""
    from convtui.files.near import no_file

    spec = scenario.provider.spec
    path = Path(spec.target)
    if spec.kind == "file" and not (is_file(path) or is_dir(path)):
        raise FileError(no_file(path))


def run_headless(
    scenario: str | None,
    flags: dict[str, Any],
    *,
    debug: bool = False,
    runs: int = 1,
    on_pause: str = "end",
    in_process: bool = False,
    as_json: bool = False,
    no_screen: str | None = None,
) -> int:
    """Runs a scenario as `convtui run` does; returns the highest exit code of all runs.

    `no_screen` explains why, where a screen was asked for and there is no terminal.
    """
    from convtui.cli.headless import conduct, printer, summary
    from convtui.cli.start import plan
    from convtui.printing.wording import terminal_width

    planned = plan(scenario, flags, watched=False, on_pause=on_pause, speed=0.0)
    _provider_is_there(planned.scenario)
    if no_screen is not None:
        say_no_screen(no_screen)
    one_by_one = runs == 1 or debug or in_process or flags.get("resume") is not None
    if not one_by_one:
        return _run_several(scenario, flags, planned, runs, on_pause=on_pause, as_json=as_json)
    worst = 0
    summaries: list[dict[str, Any]] = []
    log: Path | None = None
    for number in range(1, runs + 1):
        if runs > 1 and not as_json:
            echo(f"{'' if number == 1 else chr(10)}run {number} of {runs}")
        shown = printer(as_json=as_json, debug=debug, color_setting=planned.config.color)
        if in_process:
            from convtui.cli.inprocess import conduct_here

            code, log = conduct_here(planned, shown)
        else:
            done = conduct(planned.spec, shown, planned.python)
            code, log = done.code, done.log
        summaries.append(summary(shown.transcript, log, code))
        worst = max(worst, code)
        sys.stdout.flush()
        if number < runs and log is not None:
            say(str(log))
        if code == 130:
            break
    if as_json and runs == 1:
        print_json(summaries[0])
    elif as_json:
        print_json({"runs": summaries, "exit_code": worst})
    sys.stdout.flush()
    if log is not None:
        if not as_json and code in (3, 130):
            from convtui.printing.parting import go_on_lines

            _say_lines(go_on_lines(log, width=terminal_width(sys.stderr)))
        say(str(log))
    return worst


def _run_several(
    scenario: str | None,
    flags: dict[str, Any],
    planned: Plan,
    runs: int,
    *,
    on_pause: str,
    as_json: bool,
) -> int:
    """Runs them as a batch, some at once; returns the highest exit code."""
    from convtui.cli.headless import printer
    from convtui.cli.several_runs import run_several
    from convtui.printing.wording import terminal_width

    done = run_several(
        scenario,
        flags,
        runs,
        on_pause=on_pause,
        make_printer=lambda: printer(
            as_json=as_json, debug=False, color_setting=planned.config.color, live=False
        ),
        headings=not as_json,
    )
    if as_json:
        summaries = [done.summaries[number] for number in sorted(done.summaries)]
        print_json({"runs": summaries, "exit_code": done.code})
    sys.stdout.flush()
    if done.interrupted and done.folder.is_dir():
        from convtui.printing.parting import batch_lines

        width = terminal_width(sys.stderr)
        _say_lines(batch_lines(done.folder, planned.config.paths.runs_dir, width=width))
    if done.last is not None:
        say(str(done.last))
    return done.code


def _say_lines(lines: list[str]) -> None:
    for line in lines:
        say(line)
