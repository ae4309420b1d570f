"""`convtui batch`: many conversations at once."""

from __future__ import annotations

from typing import Any

import click

from convtui.cli.batch_flags import batch_flags
from convtui.cli.common import example


def _complete(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[Any]:
    """Plans, scenarios and folders by their paths, and batches by their names."""
    from click.shell_completion import CompletionItem

    from convtui.batch.folders import batch_folders
    from convtui.cli.common import settings

    names = [folder.name for folder in batch_folders(settings().runs_dir)]
    items = [CompletionItem(name) for name in ("demo", *names) if name.startswith(typed)]
    return items or [CompletionItem(typed, type="file")]


@click.command(
    "batch",
    epilog=example(
        "convtui batch demo",
        "convtui batch plan.yaml --dry-run",
        "convtui batch scenario.yaml --persona 'personas/*.yaml' --runs 3",
        "convtui batch plan.yaml --no-tui --junit batch.xml --report batch.html",
        "convtui batch last --rerun failed",
        "convtui batch 20261130T081500Z_refund --against 20261129T174000Z_refund",
    ),
)
@click.argument("what", required=False, metavar="[PLAN|SCENARIO|BATCH]", shell_complete=_complete)
@batch_flags
def command(what: str | None, **flags: Any) -> int:
    """Runs many conversations at once, from a plan or from flags over a scenario.

    Every combination of what a plan varies is a cell, and every run of a cell an ordinary log in
    the batch's folder. The same command again resumes a batch that was interrupted; a BATCH (its
    folder, or its name) is resumed too, or shown when it is finished. Ctrl+c starts no new
    conversation and ends the running ones after their turn, a second one ends them at once.
    --rerun runs conversations of a batch again that have ended.

    Exit code: the highest of all conversations, as `convtui run` has it; 0 if none failed.
    """
    from convtui.cli.batch_command import run_batch

    return run_batch(what, flags)
