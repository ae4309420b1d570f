"""What a manifest keeps of a plan."""

from __future__ import annotations

import json
from pathlib import Path

from convtui.batch.plan import Plan
from convtui.batch.record import PlanSource, plan_record


def test_a_record_leads_back_to_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("attempts: {when: ~end failed}\n")
    source = PlanSource(file, {"runs": 2, "set": ("limits.max_turns=3",), "out": None}, tmp_path)
    record = json.loads(json.dumps(plan_record(Plan.load(file), source)))
    assert record["attempts"]["when"] == "~end failed"
    assert record["concurrency"] == 20
    again = PlanSource.of(record)
    assert again == PlanSource(file, {"runs": 2, "set": ["limits.max_turns=3"]}, tmp_path)
    assert again.readable
    file.unlink()
    assert not again.readable


def test_a_masked_flag_cannot_be_read_again(tmp_path: Path) -> None:
    source = PlanSource(None, {"set": ["provider.params.api_key=sk-abc"]}, tmp_path)
    record = plan_record(Plan.of(None), source)
    assert "sk-abc" not in json.dumps(record)
    again = PlanSource.of(record)
    assert again is not None
    assert not again.readable
    assert PlanSource.of({}) is None
