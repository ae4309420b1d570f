"""`convtui compare --ab`: two arms of runs, saved ones or ones that it makes itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convtui.cli.common import print_json, report_printer, say
from convtui.errors import UsageError
from convtui.files.regular import is_dir

if TYPE_CHECKING:
    from convtui.analysis.profile.profile import RunProfile

MARK: Final = "\0--"
"""Stands for `--` among the arguments; no path can have this value."""


def split_arms(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments before and after `--`; without it, two arguments are one arm each."""
    if MARK in arguments:
        index = list(arguments).index(MARK)
        return list(arguments[:index]), list(arguments[index + 1 :])
    if len(arguments) == 2:
        return [arguments[0]], [arguments[1]]
    return list(arguments), []


def print_arms(
    arguments: Sequence[str],
    flags: Mapping[str, Any],
    runs: int | None,
    *,
    name: str,
    as_json: bool,
    plain: bool,
) -> int:
    """Compares two arms, of saved runs or of `runs` new ones each; returns the exit code.

    Raises `UsageError`.
    """
    if as_json and plain:
        raise UsageError("--json and --plain exclude each other")
    if runs is not None:
        return _run_arms(arguments, flags, runs, name=name, as_json=as_json, plain=plain)
    given = [flag for flag, value in flags.items() if value]
    if given:
        raise UsageError(f"--{given[0].rstrip('_').replace('_', '-')} needs --runs N")
    return _compare_saved(arguments, name=name, as_json=as_json, plain=plain)


def _compare_saved(arguments: Sequence[str], *, name: str, as_json: bool, plain: bool) -> int:
    """Compares two arms of logs, or of folders of logs; returns the exit code."""
    from convtui.cli.profile import read_profile

    one, other = split_arms(arguments)
    if not one or not other:
        raise UsageError(
            "two arms: `convtui compare --ab WARM... -- COLD...`, logs or folders of logs"
        )
    warm, cold = read_profile(one).runs, read_profile(other).runs
    return _report(warm, cold, name=name, as_json=as_json, plain=plain)


def _run_arms(
    arguments: Sequence[str],
    flags: Mapping[str, Any],
    runs: int,
    *,
    name: str,
    as_json: bool,
    plain: bool,
) -> int:
    """Runs both arms alternately and compares them; returns the exit code.

    One scenario runs with `--warm` and without it, two scenarios as they are. All logs are kept.
    """
    from convtui.analysis.profile.profile import profile_run
    from convtui.cli.headless import conduct, printer
    from convtui.cli.start import plan
    from convtui.log.reader import open_log

    arms = _planned_arms(arguments, flags)
    plans = [plan(file, laid, watched=False, speed=0.0) for _, file, laid in arms]
    made: list[list[RunProfile]] = [[], []]
    worst = 0
    for number in range(1, runs + 1):
        for index, (arm, _, _) in enumerate(arms):
            say(f"{arm}: run {number} of {runs}")
            shown = printer(as_json=True, debug=False, color_setting=plans[index].config.color)
            done = conduct(plans[index].spec, shown, plans[index].python)
            worst = max(worst, done.code)
            log = done.handle.log_path
            if log is not None:
                say(str(log))
            if done.code == 130:
                say("interrupted: the arms are not compared; the logs are kept")
                return 130
            if log is not None:
                with open_log(log) as opened:
                    made[index].append(profile_run(opened))
    code = _report(made[0], made[1], name=name, as_json=as_json, plain=plain)
    return max(worst, code)


def _planned_arms(
    arguments: Sequence[str], flags: Mapping[str, Any]
) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Name, scenario file and flags of both arms. Raises `UsageError`."""
    one, other = split_arms(arguments)
    logs = [path for path in (*one, *other) if path.endswith(".jsonl") or is_dir(Path(path))]
    if logs:
        raise UsageError(f"{logs[0]}: --runs takes scenarios, not logs")
    warm = flags.get("warm")
    if len(one) == len(other) == 1:
        if warm is not None:
            raise UsageError("--warm is for one scenario, with and without it; these are two")
        return [("warm", one[0], dict(flags)), ("cold", other[0], dict(flags))]
    if other or len(one) > 1:
        raise UsageError("--runs takes one scenario with --warm NAME, or two: `A.yaml -- B.yaml`")
    if warm is None:
        raise UsageError("--runs with one scenario needs --warm NAME: with it against without it")
    if not one and not flags.get("provider"):
        raise UsageError("what should run? Name a scenario, or a --provider")
    file = one[0] if one else None
    cold = {**flags, "warm": None, "set_": (*flags.get("set_", ()), "warm=null")}
    return [("warm", file, dict(flags)), ("cold", file, cold)]


def _report(
    warm: Sequence[RunProfile],
    cold: Sequence[RunProfile],
    *,
    name: str,
    as_json: bool,
    plain: bool,
) -> int:
    from convtui.analysis.compare.ab import as_dict, compare_arms
    from convtui.analysis.compare.ab_report import ab_report

    comparison = compare_arms(warm, cold, name)
    report = ab_report(comparison)
    if as_json:
        print_json(as_dict(comparison))
    elif plain:
        report_printer().print_sentences(replace(report, title=f"test: {report.title}"))
    else:
        report_printer().print(report)
    return 1 if comparison.verdict == "cold" else 0
