"""What the plots of a profile show."""

from __future__ import annotations

from dataclasses import dataclass

from convtui.analysis.profile.profile import SIDES, Profile, RunProfile


@dataclass(slots=True, frozen=True)
class Series:
    """What a plot shows: a value for each turn of a run, or for each of several runs."""

    name: str
    unit: str
    """`s`, `tokens`, `errors`, `%`, `$`."""
    over: str
    """What the points are: `turns of the provider`, `turns`, `runs`, `tool calls`."""
    labels: list[str]
    """Of each point: a turn's address, a log's name. Foreign text."""
    values: list[float | None]
    """None: not on record."""
    adds: bool = False
    """Whether several points together are their sum, and not the greatest of them."""


def series(profile: Profile) -> list[Series]:
    """The plots of a profile: over the turns of one run, over the runs of several.

    Those without any value are left out.
    """
    found = _over_turns(profile.runs[0]) if len(profile.runs) == 1 else _over_runs(profile)
    return [each for each in found if any(value is not None for value in each.values)]


def _over_turns(run: RunProfile) -> list[Series]:
    found = []
    for name, unit in (("latency", "s"), ("tokens", "tokens")):
        for side in SIDES:
            turns = [point for point in run.turns if point.speaker == side]
            found.append(
                Series(
                    f"{side} {name}",
                    unit,
                    f"turns of the {side}",
                    [point.address for point in turns],
                    [getattr(point, name) for point in turns],
                )
            )
    labels = [point.address for point in run.turns]
    found.append(
        Series(
            "errors", "errors", "turns", labels, [float(point.errors) for point in run.turns], True
        )
    )
    return found


def _over_runs(profile: Profile) -> list[Series]:
    labels = [run.path.name for run in profile.runs]
    rates = [run.tally.error_rate for run in profile.runs]
    wrong: list[float | None] = [float(run.errors) for run in profile.runs]
    found = [
        Series("error rate", "%", "runs", labels, [r if r is None else r * 100 for r in rates]),
        Series("turns with errors", "turns", "runs", labels, wrong, True),
    ]
    for side in SIDES:
        of = [next((s for s in run.sides if s.side == side), None) for run in profile.runs]
        medians = [s.latency.p50 if s is not None and s.latency else None for s in of]
        tokens = [s.tokens.total if s is not None and s.tokens else None for s in of]
        found.append(Series(f"{side} latency, median", "s", "runs", labels, medians))
        found.append(Series(f"{side} tokens", "tokens", "runs", labels, tokens))
    return found
