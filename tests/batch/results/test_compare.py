"""Two batches side by side: pairs, verdicts, and what was changed in between."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.report.html import as_html
from convtui.batch.results.compare import BatchComparison, compare_batches
from convtui.batch.results.compare_data import as_dict
from convtui.batch.results.compare_report import comparison_report, verdict_words
from convtui.batch.results.contrasts import contrasts
from convtui.batch.results.reading import read_results
from convtui.batch.results.report import results_report
from convtui.batch.results.scenario_changes import scenario_changes
from convtui.errors import UsageError
from convtui.manual.pages import page
from convtui.printing.report_printer import ReportPrinter
from convtui.records.models import Record
from tests.builders.batches import BatchFolder, cell, talk
from tests.builders.logs import header

_GOOD, _BAD = talk("completed"), talk("failed", by="provider")
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a batch; `bad` are the keys of the conversations that fail."""

    def write(
        name: str,
        bad: tuple[str, ...] = (),
        personas: tuple[str, ...] = ("anna", "bert", "cleo", "dora"),
        runs: int = 2,
        provider: str = "demo",
        more: Mapping[str, list[Record]] | None = None,
        **of_cells: Any,
    ) -> Path:
        cells = [cell(persona, persona, provider, **of_cells) for persona in personas]
        batch = BatchFolder(tmp_path / name, cells, runs=runs)
        for persona in personas:
            for run in range(1, runs + 1):
                key = f"{persona}.{run}"
                batch.run(key, (more or {}).get(key) or (_BAD if key in bad else _GOOD))
        batch.add("finished")
        return batch.path

    return write


def _compared(before: Path, after: Path) -> BatchComparison:
    return compare_batches(read_results(before), read_results(after))


def _printed(comparison: BatchComparison) -> str:
    stream = StringIO()
    report = comparison_report(comparison, scenario_changes(comparison))
    ReportPrinter(stream).print(report)
    return stream.getvalue()


def test_what_went_wrong_before_and_not_now_is_better(make: Make) -> None:
    bad = tuple(f"{persona}.{run}" for persona in ("anna", "bert", "cleo") for run in (1, 2))
    better = _compared(make("old", bad), make("new"))
    assert better.verdict == "better"
    assert better.changes["bad"].less == 6 and better.changes["bad"].more == 0
    assert "better: 75.0 % went wrong before, 0.0 % now" in verdict_words(better)
    worse = _compared(make("new2"), make("old2", bad))
    assert worse.verdict == "worse"
    assert [pair.after.key for pair in worse.flipped(worse=True)] == list(bad)
    assert not worse.flipped(worse=False)


def test_few_pairs_that_differ_are_no_verdict(make: Make) -> None:
    bad = ("anna.1", "anna.2", "bert.1", "bert.2", "cleo.1")
    comparison = _compared(make("old", bad), make("new"))
    assert comparison.verdict == "none"
    assert "only 5 pairs of 8 differ" in verdict_words(comparison)


def test_as_many_better_as_worse_is_no_verdict(make: Make) -> None:
    before = make("old", ("anna.1", "anna.2", "bert.1", "bert.2"))
    after = make("new", ("cleo.1", "cleo.2", "dora.1", "dora.2"))
    comparison = _compared(before, after)
    assert comparison.verdict == "none" and comparison.changes["bad"].difference == 0.0
    assert "may be chance" in verdict_words(comparison)


def test_the_same_results_say_so(make: Make) -> None:
    words = verdict_words(_compared(make("old", ("anna.1",)), make("new", ("anna.1",))))
    assert words.startswith("no verdict: 12.5 % went wrong before, 12.5 % now, in the same 8 pairs")


def test_values_are_compared_by_pairs(make: Make) -> None:
    longer = {
        f"{persona}.{run}": talk("completed", replies=3 + run)
        for persona in ("anna", "bert", "cleo", "dora")
        for run in (1, 2)
    }
    comparison = _compared(make("old"), make("new", more=longer))
    turns = comparison.changes["turns"]
    assert (turns.before, turns.after, turns.verdict) == (4.0, 9.0, "more")
    assert comparison.changes["tokens"].verdict == "worse"
    assert comparison.changes["latency"].verdict == "none"


def test_another_provider_is_paired_by_the_rest(make: Make) -> None:
    comparison = _compared(make("old", provider="gpt-4o"), make("new", provider="gpt-5"))
    assert comparison.by == ("persona", "sessions", "settings")
    assert len(comparison.pairs) == 8


def test_cells_without_a_counterpart_are_named(make: Make) -> None:
    before = make("old", personas=("anna", "bert"))
    after = make("new", personas=("bert", "cleo"), runs=3)
    comparison = _compared(before, after)
    assert [one.name for one in comparison.cells] == ["bert"]
    assert (comparison.only_before, comparison.only_after) == (["anna"], ["cleo"])
    assert len(comparison.pairs) == 2
    assert "cells without a counterpart" in _printed(comparison)


def test_nothing_in_common_is_refused(make: Make) -> None:
    before = make("old", personas=("anna", "bert"))
    after = make("new", personas=("cleo", "dora"), provider="other", sessions=["refund"])
    with pytest.raises(UsageError, match="have nothing to compare"):
        _compared(before, after)


def test_a_batch_against_itself_is_refused(make: Make) -> None:
    folder = make("old")
    with pytest.raises(UsageError, match="with itself"):
        _compared(folder, folder)


def test_what_has_not_ended_is_left_out(make: Make, tmp_path: Path) -> None:
    after = BatchFolder(tmp_path / "new", [cell("anna"), cell("bert")], runs=2)
    after.run("anna.1", _BAD)
    after.run("anna.2", talk("interrupted", by="human"))
    comparison = _compared(make("old", personas=("anna", "bert")), after.path)
    assert (len(comparison.pairs), comparison.left_out) == (1, 3)
    assert "left out" in _printed(comparison)


def test_the_report_names_what_to_open(make: Make) -> None:
    before, after = make("old"), make("new", ("bert.2",))
    text = _printed(_compared(before, after))
    assert "went wrong only now" in text
    assert f"convtui compare {before}/bert.2.jsonl {after}/bert.2.jsonl" in text
    rows = [line.split()[0] for line in text.splitlines() if "->" not in line and ".jsonl" in line]
    assert rows[0] == "bert.2"
    # The cell that got worse leads.
    by_cell = text.split("by cell")[1].splitlines()[2]
    assert by_cell.split()[0] == "bert"


def test_both_sides_are_drawn_in_one_scale(make: Make) -> None:
    comparison = _compared(make("old", ("anna.1", "anna.2")), make("new", ("anna.1",)))
    before, now = comparison_report(comparison).plots
    assert before.top == now.top == 100.0
    page = as_html(comparison_report(comparison))
    heights = re.findall(r'height="([\d.]+)"><title>anna: ', page)
    assert [float(height) for height in heights] == [120.0, 60.0]


def test_a_changed_prompt_is_shown(make: Make) -> None:
    def prompted(prompt: str) -> dict[str, list[Record]]:
        scenario = {"name": "refund", "provider": {"use": "demo", "system_prompt": prompt}}
        records = [header(scenario=scenario), *talk("completed")[1:]]
        return {f"{persona}.1": records for persona in ("anna", "bert", "cleo", "dora")}

    before = make("old", runs=1, more=prompted("You are a clerk."))
    after = make("new", runs=1, more=prompted("You are a kind clerk."))
    comparison = _compared(before, after)
    changes = scenario_changes(comparison)
    assert [(change.key, change.cells) for change in changes] == [("provider.system_prompt", 4)]
    assert "You are a {+kind +}clerk." in _printed(comparison)


def test_the_json_is_whole_and_serialisable(make: Make) -> None:
    comparison = _compared(make("old"), make("new", ("bert.2",)))
    data = json.loads(json.dumps(as_dict(comparison, scenario_changes(comparison))))
    assert data["paired_by"] == ["persona", "sessions", "settings", "provider", "run"]
    assert data["worse"][0]["after"]["key"] == "bert.2" and data["better"] == []
    assert data["changes"]["bad"]["difference"] == 0.125
    assert data["verdict"] is None and data["why"]
    documented = set(re.findall(r"`([a-z_]+)`", page("batches").split("### JSON")[1]))
    assert {*data, *data["changes"]["bad"]} - documented == {"format"} - documented


def test_providers_of_one_batch_are_compared_in_pairs(tmp_path: Path) -> None:
    personas = ("anna", "bert", "cleo", "dora")
    cells = [cell(f"{who}-{what}", who, what) for who in personas for what in ("old", "new")]
    batch = BatchFolder(tmp_path, [*cells, cell("emil-old", "emil", "old")], runs=2)
    for each in cells:
        for run in (1, 2):
            batch.run(f"{each['name']}.{run}", _BAD if each["provider"] == "old" else _GOOD)
    results = read_results(tmp_path)
    (contrast,) = contrasts(results, "provider")
    assert (contrast.base, contrast.other, contrast.pairs) == ("old", "new", 8)
    assert contrast.changes["bad"].verdict == "better"
    assert contrasts(results, "sessions") == []
    stream = StringIO()
    ReportPrinter(stream).print(results_report(results))
    section = stream.getvalue().split("by provider, in pairs")[1].splitlines()
    assert section[1].split()[:2] == ["against", "old"]
    assert section[2].split()[:2] == ["new", "8"] and section[2].split()[-1] == "better"
