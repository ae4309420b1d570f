"""What a manifest keeps of a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.batch.cells import cells_of
from convtui.batch.plan import Plan
from convtui.batch.record import PlanSource, plan_record
from convtui.batch.scheduler import Batch
from convtui.errors import DataFileError


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


def test_secrets_of_a_plan_are_in_no_manifest(tmp_path: Path) -> None:
    server = {"command": ["server", "--token", "tok-11112222"], "env": {"KEY": "env-33334444"}}
    data: dict[str, Any] = {
        "scenario": {"tools": [{"mcp": server}], "provider": {"use": "openai/gpt-4o"}},
        "vary": {
            "provider": [{"use": "openai/gpt-4o", "params": {"api_key": "sk-55556666"}}],
            "set": [
                {"provider.params.extra_headers": {"Authorization": "Bearer hd-77778888"}},
                {"provider.params.api_key": "sk-9999aaaa", "provider.params.mood": "se-bbbbcccc"},
                {"provider.params.api_key": ["sk-ddddeeee"], "limits.max_turns": 0},
            ],
        },
    }
    file = tmp_path / "plan.yaml"
    file.write_text(json.dumps(data))
    flags = {"set": ["provider.params.api_key=sk-ffff0000", "provider.params.user=us-12121212"]}
    plan = Plan.load(file)
    with pytest.raises(DataFileError) as caught:
        cells_of(plan)
    data["vary"]["set"].pop()
    file.write_text(json.dumps(data))
    plan = Plan.load(file)
    batch = Batch.create(
        plan,
        cells_of(plan),
        tmp_path / "b",
        record=plan_record(plan, PlanSource(file, flags, tmp_path)),
    )
    batch._writer.close()
    written = (tmp_path / "b" / "batch.jsonl").read_text() + str(caught.value)
    planted = ("11112222", "33334444", "55556666", "77778888", "9999aaaa", "bbbbcccc", "ddddeeee",
               "ffff0000", "12121212")  # fmt: skip
    assert [secret for secret in planted if secret in written] == []
    assert [cell.settings["provider.params.mood"] for cell in cells_of(plan)[1:]] != ["se-bbbbcccc"]
