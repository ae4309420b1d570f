"""The results of a batch: its figures, groups, attempts, and what went wrong."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.report.html import as_html
from convtui.batch.manifest import read_batch
from convtui.batch.results import reading
from convtui.batch.results.data import as_dict
from convtui.batch.results.junit import write_junit
from convtui.batch.results.reading import read_results
from convtui.batch.results.report import results_report
from convtui.batch.results.summary import groups, summarise, varied
from convtui.log.reader import open_log
from convtui.log.requests import digest
from convtui.manual.pages import page
from convtui.printing.report_printer import ReportPrinter
from convtui.records.models import HistorySeeded, LlmRequest, LlmResponse
from convtui.transcript.past import past_of
from tests.builders.batches import BatchFolder, cell, talk
from tests.builders.logs import USAGE, header, session, turn, write_log


def _printed(folder: Path) -> str:
    stream = StringIO()
    ReportPrinter(stream).print(results_report(read_results(folder)))
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two personas with two providers, of which one fails for Anna."""
    cells = [
        cell(f"{persona}-{provider}", persona, provider)
        for persona in ("anna", "bert")
        for provider in ("gpt", "own")
    ]
    batch = BatchFolder(tmp_path / "batch", cells, runs=2)
    for name in ("anna-gpt", "anna-own", "bert-gpt", "bert-own"):
        for run in (1, 2):
            failed = name == "anna-own"
            records = talk("failed", by="provider") if failed else talk(discard=name == "bert-own")
            batch.run(f"{name}.{run}", records)
    batch.add("finished")
    return batch.path


def test_the_figures_of_all_conversations(folder: Path) -> None:
    results = read_results(folder)
    total = summarise(results.first())
    assert (total.conversations, total.counted, total.open) == (8, 8, 0)
    assert total.endings == {"max_turns": 6, "failed": 2}
    assert (total.rates["bad"].count, total.rates["bad"].n) == (2, 8)
    assert total.turns == 8 * 4 - 2
    assert total.discarded == 2 and total.signals == {"[[ERROR]]": 2}
    assert total.rates["discard"].value == 0.25
    assert total.faults["provider"] == 4  # two failures, two turns dropped for their own signal
    assert total.tokens == 8 * 2 * 88
    assert total.latency is not None and total.latency.n == 16 and total.latency.p95 == 0.5
    assert results.exit_code == 3 and not results.partial


def test_groups_are_by_what_varies(folder: Path) -> None:
    results = read_results(folder)
    assert varied(results) == ["persona", "provider", "cell"]
    by = {group.name: group.first.rates["bad"].count for group in groups(results, "provider")}
    assert by == {"gpt": 0, "own": 2}
    assert [group.name for group in groups(results, "sessions")] == ["default"]


def test_runs_of_a_cell_that_are_alike_count_for_fewer(folder: Path) -> None:
    results = read_results(folder)
    own = next(g for g in groups(results, "provider") if g.name == "own").first.rates["bad"]
    alone = next(g for g in groups(results, "cell") if g.name == "anna-own").first.rates["bad"]
    assert own.interval is not None and alone.interval is not None
    # Both runs of one cell failed and none of the other: two observations, not four.
    assert own.interval.high - own.interval.low > 0.7
    assert alone.interval.high == 1.0


def test_one_cell_has_no_groups(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("anna")])
    batch.run("anna.1")
    assert varied(read_results(tmp_path)) == []


def test_the_report_names_the_endings_and_what_went_wrong(folder: Path) -> None:
    text = _printed(folder)
    assert "finished" in text and "8: 4 cells, 2 runs of each" in text
    assert "turn limit 6, failed 2" in text
    assert "by persona" in text and "by provider" in text and "by cell" in text
    lines = [line for line in text.splitlines() if "anna-own.2.jsonl" in line]
    assert "failed by provider at turn 4: the reason of failed" in lines[0]
    assert "discarded-signal" in text


def test_a_batch_that_goes_on_has_partial_results(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("anna"), cell("bert")])
    batch.run("anna.1")
    batch.run("bert.1", close=False)
    batch.add("held", key="bert.1", reason="breakpoint", hold={"reason": "breakpoint"})
    results = read_results(tmp_path)
    assert results.partial
    assert summarise(results.first()).counted == 1
    assert "partial results" in _printed(tmp_path)
    assert as_dict(results)["states"]["crashed"] == 1


def test_who_was_ended_by_a_human_is_in_no_rate(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("anna")], runs=2)
    batch.run("anna.1", talk("interrupted", by="human"))
    batch.run("anna.2", talk("interrupted", by="harness"))
    total = summarise(read_results(tmp_path).first())
    assert (total.interrupted, total.rates["bad"].count, total.rates["bad"].n) == (1, 1, 1)
    assert total.endings == {"interrupted": 2}


def test_first_and_best_attempts_are_apart(tmp_path: Path) -> None:
    plan = {"attempts": {"max": 3, "when": "~end failed"}}
    batch = BatchFolder(tmp_path, [cell("anna")], runs=3, plan=plan)
    batch.run("anna.1", talk("failed"))
    batch.run("anna.1.a2", talk("failed"))
    batch.run("anna.1.a3", talk("completed"))
    batch.run("anna.2", talk("completed"))
    batch.run("anna.3", talk("failed"))
    batch.run("anna.3.a2", talk("failed"))
    results = read_results(tmp_path)
    assert summarise(results.first()).rates["bad"].count == 2
    assert summarise(results.best()).rates["bad"].count == 1
    assert [each.key for each in results.best()] == ["anna.1.a3", "anna.2", "anna.3.a2"]
    assert as_dict(results)["used"]["tokens"] == 6 * 2 * 88
    text = _printed(tmp_path)
    assert "2 conversations tried again, 3 more attempts: 1 ended well then" in text


def test_the_best_attempt_is_one_that_need_not_be_tried_again(tmp_path: Path) -> None:
    plan = {"attempts": {"max": 2, "when": "~discard"}}
    batch = BatchFolder(tmp_path, [cell("anna")], plan=plan)
    batch.run("anna.1", talk("completed", discard=True))
    batch.run("anna.1.a2", talk("completed"))
    assert read_results(tmp_path).best()[0].key == "anna.1.a2"


def test_a_cell_that_cannot_run_is_an_error_of_its_own(tmp_path: Path) -> None:
    cells = [cell("anna"), cell("bert", error="bert.yaml: there is no such file")]
    batch = BatchFolder(tmp_path, cells)
    batch.run("anna.1")
    failed = {"kind": "failed", "by": "harness", "reason": "bert.yaml: there is no such file"}
    batch.add("ended", key="bert.1", log=None, status="closed", termination=failed, totals={})
    results = read_results(tmp_path)
    total = summarise(results.first())
    assert total.unread == 1 and total.turns_each == 4
    assert "cells that cannot run" in _printed(tmp_path)
    write_junit(results, tmp_path / "junit.xml")
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert (root.get("errors"), root.get("failures"), root.get("tests")) == ("1", "0", "2")


def test_reruns_count_once_and_are_named(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("anna")])
    batch.run("anna.1", close=False)
    because = "worker 1 was killed (signal 9)"
    batch.add("rerun", key="anna.1", because=because, log="anna.1.jsonl")
    log = write_log(tmp_path / "anna.1.r2.jsonl", talk())
    batch.add("started", key="anna.1", log=log.name, worker=2)
    ended = {"kind": "max_turns", "by": "harness"}
    batch.add("ended", key="anna.1", log=log.name, status="closed", termination=ended, totals={})
    results = read_results(tmp_path)
    assert summarise(results.first()).turns == 4
    assert because in _printed(tmp_path)


def test_a_log_that_goes_on_from_another_has_its_turns_too(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("anna")])
    parent = batch.run("anna.1", talk(discard=True, replies=1), close=False)
    with open_log(parent) as log:
        transcript = log.transcript
        said = [{"session": 1, "turn": 1, "speaker": "persona", "text": transcript.turns[0].text}]
        seeded = HistorySeeded(
            turns=said, sessions=["default"], current=1, counters={}, messages={},
            past=past_of(transcript),
        )  # fmt: skip
    rest = session(1, "default", [turn(3, "persona", "Still there?"), turn(4, "provider", "Yes.")])
    ended = talk()[-1]
    child = write_log(
        tmp_path / "anna.1.c.jsonl", [header(origin="continue"), seeded, *rest, ended]
    )
    batch.add("started", key="anna.1", log=child.name, worker=2, continues=parent.name)
    batch.add("ended", key="anna.1", log=child.name, status="closed", termination=None, totals={})
    figures = read_results(tmp_path).conversations[0].figures
    assert figures is not None
    assert (figures.turns, figures.discarded) == (3, 1)
    assert figures.signals == {"[[ERROR]]": 1} and figures.faults["provider"] == 1


def test_a_log_that_is_gone_is_said_and_raises_nothing(folder: Path) -> None:
    (folder / "anna-gpt.1.jsonl").unlink()
    (folder / "bert-gpt.1.jsonl").write_text("{}\n")
    results = read_results(folder)
    problems = [each.problem for each in results.conversations if each.figures is None]
    assert len(problems) == 2 and all(problems)
    assert "without a log" in _printed(folder)


def test_junit_has_a_case_for_each_conversation(folder: Path) -> None:
    path = folder / "junit.xml"
    write_junit(read_results(folder), path)
    root = ET.parse(path).getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("8", "2", "0")
    suite = next(suite for suite in root if suite.get("name") == "anna-own")
    case = suite[0]
    assert case.get("name") == "anna-own.1"
    failure = case.find("failure")
    assert failure is not None and failure.get("type") == "failed"
    assert failure.get("message") == "failed by provider at turn 4: the reason of failed"
    properties = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert properties["persona"] == "anna" and properties["turns"] == "4"


def test_reflecting_is_paid_apart(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("anna")])
    batch.run("anna.1", talk("failed"))
    at: dict[str, Any] = {"side": "reflection", "attempt": 1}
    asked = [
        LlmRequest(**at, append=[], sha256=digest([])),
        LlmResponse(**at, raw="Say sorry.", usage=USAGE, finish_reason="stop"),
    ]
    again = talk("completed")
    batch.run("anna.1.a2", [*again[:3], *asked, *again[3:]])
    data = as_dict(read_results(tmp_path))
    assert data["used"]["tokens"] == 2 * 2 * 88
    assert data["used"]["reflection"] == {"tokens": 88, "cost": 0.0004}
    assert "88 tokens, $0.0004, beside those" in _printed(tmp_path)


def test_the_keys_of_the_json_are_documented(folder: Path) -> None:
    data = as_dict(read_results(folder))
    documented = set(re.findall(r"`([a-z0-9_]+)`", page("batches").split("### JSON")[1]))
    keys = {*data, *data["batch"], *data["first"], *data["first"]["rates"]}
    keys |= {*data["conversations"][0], *data["first"]["latency"]}
    assert keys - documented == set()


def test_the_json_is_whole_and_serialisable(folder: Path) -> None:
    data = json.loads(json.dumps(as_dict(read_results(folder))))
    assert data["format"] == 1 and data["batch"]["finished"] is True
    assert data["first"]["rates"]["bad"] == {
        "count": 2, "n": 8, "rate": 0.25, "interval": data["first"]["rates"]["bad"]["interval"],
    }  # fmt: skip
    assert [row["provider"] for row in data["by"]["provider"]] == ["gpt", "own"]
    assert len(data["conversations"]) == 8


def test_hostile_names_are_visible_text(tmp_path: Path) -> None:
    name = "\x1b]52;c;aGk=\x07<script>alert(1)</script>"
    batch = BatchFolder(tmp_path, [cell("a", name), cell("b", "bert")], name=name)
    batch.run("a.1", talk("failed", by=name))
    batch.run("b.1")
    results = read_results(tmp_path)
    page, text = as_html(results_report(results)), _printed(tmp_path)
    assert "<script>" not in page and "\x1b" not in page + text
    write_junit(results, tmp_path / "junit.xml")
    ET.parse(tmp_path / "junit.xml")


def test_several_processes_read_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PROCESSES_FROM", 1)
    monkeypatch.setattr(reading, "SHARD", 2)
    steps: list[tuple[int, int]] = []
    several = read_results(folder, processes=2, progress=lambda *step: steps.append(step))
    alone = read_results(folder, processes=1)
    assert as_dict(several) == as_dict(alone)
    assert steps[-1] == (8, 8)


def test_a_batch_that_has_been_read_is_not_read_again(folder: Path) -> None:
    batch = read_batch(folder)
    assert read_results(batch).batch is batch
