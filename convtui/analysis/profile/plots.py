"""The plots of a profile."""

from __future__ import annotations

from convtui.analysis.profile.profile import SIDES, Profile, RunProfile
from convtui.analysis.report.report import Plot


def plots_of(profile: Profile) -> list[Plot]:
    """Plots over the turns of one run, or over several runs; those without values are left out."""
    plots = _over_turns(profile.runs[0]) if len(profile.runs) == 1 else _over_runs(profile)
    return [plot for plot in plots if any(value is not None for value in plot.values)]


def _over_turns(run: RunProfile) -> list[Plot]:
    plots = []
    for name, unit in (("latency", "s"), ("tokens", "tokens")):
        for side in SIDES:
            turns = [point for point in run.turns if point.speaker == side]
            plots.append(
                Plot(
                    f"{side} {name}",
                    unit,
                    f"turns of the {side}",
                    [point.address for point in turns],
                    [getattr(point, name) for point in turns],
                )
            )
    labels = [point.address for point in run.turns]
    plots.append(
        Plot(
            "errors", "errors", "turns", labels, [float(point.errors) for point in run.turns], True
        )
    )
    return plots


def _over_runs(profile: Profile) -> list[Plot]:
    labels = [run.path.name for run in profile.runs]
    rates = [run.tally.error_rate for run in profile.runs]
    errors: list[float | None] = [float(run.errors) for run in profile.runs]
    plots = [
        Plot("error rate", "%", "runs", labels, [r if r is None else r * 100 for r in rates]),
        Plot("turns with errors", "turns", "runs", labels, errors, True),
    ]
    for side in SIDES:
        stats = [next((s for s in run.sides if s.side == side), None) for run in profile.runs]
        medians = [s.latency.p50 if s is not None and s.latency else None for s in stats]
        tokens = [s.tokens.total if s is not None and s.tokens else None for s in stats]
        plots.append(Plot(f"{side} latency, median", "s", "runs", labels, medians))
        plots.append(Plot(f"{side} tokens", "tokens", "runs", labels, tokens))
    return plots
