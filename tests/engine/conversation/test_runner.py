"""The lifecycle: order of calls, sessions, failures, what a log says about its ending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.calls.permits import Permits
from convtui.errors import RateLimited, StreamDropped, UsageError
from convtui.log.names import logs_named
from convtui.models.base import Delta
from convtui.models.retry import current_retry
from convtui.records.models import exit_code
from tests.builders.conversations import Bot, FakeModels, findings, prepare, run, scenario, until
from tests.builders.waiting import WITHIN

LIFE = (
    "provider.setup", "sessions.prepared", "session.entered", "session.reset", "session.started",
    "session.ended", "provider.cleanup", "user.cleanup", "conversation.ended", "trailer",
)  # fmt: skip


async def test_lifecycle_of_one_session(tmp_path: Path) -> None:
    bot = Bot()
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert bot.calls == ["setup", "enter default", "cleanup"]
    assert ran.types[:3] == ["header", "provider.setup", "sessions.prepared"]
    assert [kind for kind in ran.types if kind in LIFE] == [
        "provider.setup", "sessions.prepared", "session.entered", "session.started",
        "session.ended", "provider.cleanup", "user.cleanup", "conversation.ended", "trailer",
    ]  # fmt: skip
    assert findings(ran.path) == []


async def test_finish_and_reset_is_called_between_sessions_only(tmp_path: Path) -> None:
    bot = Bot()
    ran = await run(scenario(bot, ["hi"], sessions=["a", "b", "c"]), tmp_path)
    assert bot.calls == [
        "setup", "enter a", "finish b", "enter b", "finish c", "enter c", "cleanup",
    ]  # fmt: skip
    assert [r["session"] for r in ran.of("session.reset")] == [1, 2]


async def test_prepare_sessions_may_put_one_first(tmp_path: Path) -> None:
    class Intake(Bot):
        def prepare_sessions(self, session_types: list[str]) -> list[str]:
            return ["intake", *session_types]

    bot = Intake()
    ran = await run(scenario(bot, ["hi"], sessions=["b"]), tmp_path)
    prepared = ran.one("sessions.prepared")
    assert (prepared["requested"], prepared["prepared"]) == (["b"], ["intake", "b"])
    assert "enter intake" in bot.calls


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is a `return` missing?"),
        ([], "nothing to hold"),
        (["a", ""], "non-empty strings"),
        ("abc", "instead of a list"),
    ],
)
async def test_useless_prepared_sessions_are_named(tmp_path: Path, value: Any, says: str) -> None:
    class Wrong(Bot):
        def prepare_sessions(self, session_types: list[str]) -> list[str]:
            result: list[str] = value
            return result

    ran = await run(scenario(Wrong()), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert says in ran.termination.reason


async def test_first_speaker_is_read_after_enter_session(tmp_path: Path) -> None:
    class Changing(Bot):
        async def enter_session(self, session_type: str) -> None:
            await super().enter_session(session_type)
            self.first_speaker = "provider" if session_type == "b" else None

    ran = await run(scenario(Changing(), ["hi"], sessions=["a", "b"]), tmp_path)
    assert [r["first_speaker"] for r in ran.of("session.started")] == ["persona", "provider"]


async def test_nonsense_as_first_speaker_is_a_named_failure(tmp_path: Path) -> None:
    class Choosing(Bot):
        async def enter_session(self, session_type: str) -> None:
            self.first_speaker = "bot"  # type: ignore[assignment]

    ran = await run(scenario(Choosing()), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert "first_speaker is 'bot'" in ran.termination.reason


async def test_a_first_speaker_that_raises_is_a_named_failure(tmp_path: Path) -> None:
    class Raising(Bot):
        @property
        def first_speaker(self) -> None:  # type: ignore[override]
            raise KeyError("who")

    ran = await run(scenario(Raising()), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert "first_speaker failed: KeyError" in ran.termination.reason


@pytest.mark.parametrize("hook", ["setup", "enter_session", "finish_and_reset_session"])
async def test_a_failing_lifecycle_hook_is_recorded_and_cleaned_up_after(
    tmp_path: Path, hook: str
) -> None:
    async def broken(*_: Any) -> None:
        raise OSError("no network")

    bot = Bot(**{hook: broken})
    ran = await run(scenario(bot, ["hi"], sessions=["a", "b"]), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert ran.termination.reason == f"{hook}() failed: OSError: no network"
    assert (ran.termination.detail or {})["hook"] == hook
    assert ran.one("provider.cleanup")["outcome"] == "ok"
    assert ran.one("user.cleanup")["outcome"] == "ok"
    assert "cleanup" in bot.calls
    assert findings(ran.path) == []


async def test_sys_exit_and_foreign_cancellation_in_a_hook_are_failures(tmp_path: Path) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def cancelled() -> None:
        raise asyncio.CancelledError

    for hook in (leave, cancelled):
        ran = await run(scenario(Bot(setup=hook)), tmp_path)
        assert ran.ended == ("failed", "provider")
        assert ran.termination.reason.startswith("setup() failed")


async def test_a_failing_cleanup_is_a_warning(tmp_path: Path) -> None:
    async def broken() -> None:
        raise ValueError("late")

    ran = await run(scenario(Bot(cleanup=broken), ["hi"]), tmp_path)
    assert ran.termination.kind == "completed"
    assert ran.one("provider.cleanup")["outcome"] == "failed"
    assert [r["code"] for r in ran.of("warning")] == ["cleanup_failed"]


async def test_a_failure_in_a_later_session_keeps_everything_before_it(tmp_path: Path) -> None:
    bot = Bot("one", "two", ValueError("boom"))
    ran = await run(scenario(bot, ["hi", "so"], sessions=["a", "b", "c"]), tmp_path)
    assert ran.said == ["hi", "one", "so", "two", "hi"]
    ends = ran.of("session.ended")
    assert ends[0]["termination"]["kind"] == "completed"
    assert ends[1]["termination"]["kind"] == "failed"
    assert (ends[1]["turns"], ends[1]["termination"]["at_turn"]) == (1, 2)
    assert ends[2]["skipped"] == "the conversation ended: failed"
    assert ran.ended == ("failed", "provider")
    assert "enter c" not in bot.calls


async def test_a_persona_forgets_between_sessions_unless_told_not_to(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["1", "2"], sessions=["a", "b"]), tmp_path)
    assert [t for t in ran.said if t != "fine"] == ["1", "2", "1", "2"]
    ran = await run(
        scenario(Bot(), ["1", "2"], sessions=["a", "b"], persona_memory="conversation"), tmp_path
    )
    assert [t for t in ran.said if t != "fine"] == ["1", "2"]


async def test_history_starts_empty_in_every_session(tmp_path: Path) -> None:
    bot = Bot()
    await run(scenario(bot, ["hi"], sessions=["a", "b"]), tmp_path)
    assert bot.sent == [[{"role": "user", "content": "hi"}]] * 2


async def test_turns_scope(tmp_path: Path) -> None:
    script = [str(n) for n in range(9)]
    ran = await run(scenario(Bot(), script, sessions=["a", "b"], max_turns=4), tmp_path)
    assert len(ran.said) == 8
    ran = await run(
        scenario(Bot(), script, sessions=["a", "b"], max_turns=4, turns_scope="conversation"),
        tmp_path,
    )
    assert len(ran.said) == 4
    assert ran.ended == ("max_turns", "harness")
    assert ran.of("session.ended")[1]["skipped"]


@pytest.mark.parametrize("most", [3, 4])
async def test_the_provider_has_the_last_word_also_beyond_an_overridden_limit(
    tmp_path: Path, most: int
) -> None:
    plan: list[Any] = [("override", {}), ("end", {})]
    script = [str(n) for n in range(9)]
    ran = await run(scenario(Bot(), script, max_turns=most), tmp_path, plan=plan, hold_endings=True)
    assert [turn["speaker"] for turn in ran.of("turn.committed")][-1] == "provider"
    assert len(ran.said) == 6
    assert ran.termination.reason == f"6 turns, the limit is {most}"


async def test_a_provider_that_was_skipped_is_not_asked_again_beyond_the_limit(
    tmp_path: Path,
) -> None:
    class Drops(Bot):
        def should_discard_response(self, signals: Any) -> bool:
            return True

    bot = Drops("fine", "[X]", signals=["[X]"])
    ran = await run(scenario(bot, list("abcd"), max_turns=3, on_discard="skip"), tmp_path)
    assert ran.said == ["a", "fine", "b", "c"]
    assert ran.termination.reason == "4 turns, the limit is 3"


async def test_the_worst_ending_of_a_session_is_the_conversations(tmp_path: Path) -> None:
    class Drops(Bot):
        def should_discard_response(self, signals: Any) -> bool:
            return True

    bot = Drops("[X]", "fine", signals=["[X]"])
    ran = await run(scenario(bot, ["hi"], sessions=["a", "b"]), tmp_path)
    kinds = [r["termination"]["kind"] for r in ran.of("session.ended")]
    assert kinds == ["discarded", "completed"]
    assert ran.ended == ("discarded", "provider")


@pytest.mark.parametrize(
    ("kind", "by", "code"),
    [
        ("completed", "simulator", 0), ("early_termination", "persona", 0),
        ("stopped", "responder", 0), ("cap_exhausted", "responder", 0), ("max_turns", "harness", 0),
        ("word_limit", "harness", 0), ("failed", "provider", 3), ("abstained", "responder", 3),
        ("discarded", "provider", 3), ("budget", "harness", 3), ("interrupted", "harness", 3),
        ("interrupted", "human", 130),
    ],
)  # fmt: skip
def test_exit_codes(kind: str, by: str, code: int) -> None:
    assert exit_code({"kind": kind, "by": by}) == code


async def test_stopping_before_the_run_begins_stops_it(tmp_path: Path) -> None:
    conversation, _, _ = prepare(scenario(Bot()), tmp_path)
    conversation.stop("human", "gone")
    ended = await conversation.run()
    assert (ended.kind, ended.by, ended.reason) == ("interrupted", "human", "gone")
    assert findings(conversation.journal.writer.path) == []


async def test_stopping_after_the_turn_lets_the_call_come_back(tmp_path: Path) -> None:
    begun, answer = asyncio.Event(), asyncio.Event()

    class Slow(Bot):
        async def respond(self, request: Any) -> Any:
            from convtui.models.base import Delta

            begun.set()
            await answer.wait()
            yield Delta(text="the whole reply")

    conversation, _, _ = prepare(scenario(Slow()), tmp_path)
    task = asyncio.create_task(conversation.run())
    await begun.wait()
    conversation.stop_after_turn("the batch ends")
    answer.set()
    ended = await task
    assert (ended.kind, ended.by, ended.reason) == ("interrupted", "human", "the batch ends")
    assert [turn.text for turn in conversation.journal.transcript.turns] == [
        "one",
        "the whole reply",
    ]
    assert findings(conversation.journal.writer.path) == []


LONG = 25 * WITHIN
"""Seconds that nobody waits."""


def _own_helper() -> Bot:
    """A provider that tries again by itself, as the helper for VERA-MH classes does."""

    class Retrying(Bot):
        async def respond(self, request: Any) -> Any:
            rules = current_retry.get()
            assert rules is not None
            rules.failed(1, LONG, RateLimited("slow down"))
            await asyncio.sleep(LONG)
            yield Delta(text="never")

    return Retrying()


@pytest.mark.parametrize(
    "bot",
    [
        pytest.param(lambda: Bot(RateLimited("slow down", retry_after=LONG)), id="retry-after"),
        pytest.param(
            lambda: Bot([Delta(text="half "), StreamDropped("gone", retry_after=LONG)]), id="stream"
        ),
        pytest.param(_own_helper, id="retries-itself"),
    ],
)
@pytest.mark.parametrize("early", [True, False], ids=["before-the-wait", "in-the-wait"])
async def test_a_wait_for_another_attempt_is_no_turn_that_is_sat_out(
    tmp_path: Path, bot: Callable[[], Bot], early: bool
) -> None:
    what = scenario(bot(), first_speaker="provider", retry={"max_wait": LONG})
    conversation, _, _ = prepare(what, tmp_path)
    if early:
        conversation.stop_after_turn("the batch ends")
    task = asyncio.create_task(conversation.run())
    if not early:
        await until(lambda: conversation.caller.waiting is not None)
        conversation.stop_after_turn("the batch ends")
    async with asyncio.timeout(WITHIN):
        ended = await task
    assert (ended.kind, ended.by, ended.reason) == ("interrupted", "human", "the batch ends")
    assert findings(conversation.journal.writer.path) == []


async def test_a_call_that_waits_for_its_endpoint_is_no_turn_that_is_sat_out(
    tmp_path: Path,
) -> None:
    permits = Permits()
    permits.limit({"m": 0})
    what = scenario(Bot(), persona={"name": "Maya", "prompt": "You are Maya.", "model": "fake/m"})
    conversation, _, _ = prepare(what, tmp_path, models=FakeModels(m=["hi"]), permits=permits)
    task = asyncio.create_task(conversation.run())
    await until(lambda: bool(conversation.caller.queued))
    conversation.stop_after_turn("the batch ends")
    async with asyncio.timeout(WITHIN):
        ended = await task
    assert (ended.kind, ended.reason) == ("interrupted", "the batch ends")


async def test_a_hold_that_comes_in_the_turn_is_not_sat_out(tmp_path: Path) -> None:
    """Nobody answers what comes after the batch was ended."""
    conversation, _, _ = prepare(scenario(Bot(ValueError("no"))), tmp_path, plan=[None])
    begun = conversation.provider.calls  # type: ignore[attr-defined]

    task = asyncio.create_task(conversation.run())
    await until(lambda: "setup" in begun)
    conversation.stop_after_turn("the batch ends")
    async with asyncio.timeout(WITHIN):
        ended = await task
    assert (ended.kind, ended.reason) == ("interrupted", "the batch ends")


async def test_one_that_is_held_does_not_wait_for_its_turn_to_stop(tmp_path: Path) -> None:
    stop = ("stop", {"reason": "x", "after_turn": True})
    ran = await run(scenario(Bot()), tmp_path, plan=[stop], paused=True)
    assert (ran.termination.kind, ran.termination.reason) == ("interrupted", "x")


async def test_endings_need_not_hold_where_it_is_watched(tmp_path: Path) -> None:
    ran = await run(scenario(Bot()), tmp_path, plan=["go"], paused=True, hold_endings=False)
    assert [hold["reason"] for hold in ran.driver.holds] == ["pause"]
    assert ran.termination.kind == "completed"


async def test_a_signal_that_pauses_holds_all_the_same(tmp_path: Path) -> None:
    what = scenario(Bot("fine [x]", signals=["[x]"]), on_signal={"[x]": "pause"})
    ran = await run(what, tmp_path, plan=["end"], hold_endings=False)
    assert [hold["reason"] for hold in ran.driver.holds] == ["ending"]


async def test_stopping_in_a_call_keeps_what_had_arrived(tmp_path: Path) -> None:
    begun = asyncio.Event()

    class Slow(Bot):
        async def respond(self, request: Any) -> Any:
            from convtui.models.base import Delta

            yield Delta(text="half a ")
            begun.set()
            await asyncio.Event().wait()

    conversation, _, _ = prepare(scenario(Slow()), tmp_path)
    records: list[Any] = []
    conversation.journal.listen(lambda record, offset, line: records.append(record))
    task = asyncio.create_task(conversation.run())
    await begun.wait()
    conversation.stop("human", "enough")
    ended = await task
    assert ended.kind == "interrupted"
    assert [r["text"] for r in records if r["type"] == "llm.partial"] == ["half a "]
    assert [r["type"] for r in records][-4:] == [
        "provider.cleanup", "user.cleanup", "conversation.ended", "trailer",
    ]  # fmt: skip
    assert findings(conversation.journal.writer.path) == []


@pytest.mark.parametrize("signals", [[""], ["  "], ["[a]", "[A]"]])
def test_useless_termination_signals_are_refused(tmp_path: Path, signals: list[str]) -> None:
    with pytest.raises(UsageError, match="termination signal"):
        prepare(scenario(Bot(signals=signals)), tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_log_with_a_given_name_never_takes_one_that_is_there(tmp_path: Path) -> None:
    for name in ("anna.1.jsonl", "anna.1-2.jsonl", "anna.1-3.jsonl"):
        await run(scenario(script=["hi"]), tmp_path, log_name="anna.1")
        assert (tmp_path / name).exists()
    names = [path.name for path in logs_named(tmp_path, "anna.1")]
    assert names == ["anna.1.jsonl", "anna.1-2.jsonl", "anna.1-3.jsonl"]


async def test_the_file_name_is_on_the_allow_list(tmp_path: Path) -> None:
    what = scenario(
        Bot(name="../../evil/model:1"),
        persona={"name": "Ma/../ya ✨", "script": ["hi"]},
    )
    ran = await run(what, tmp_path)
    assert ran.path.parent == tmp_path
    assert ran.path.name.removesuffix(".jsonl").replace("_", "").replace("-", "").isalnum()
    assert ran.one("header")["persona"] == "Ma/../ya ✨"
    assert ran.one("header")["provider"]["name"] == "../../evil/model:1"


async def test_metadata_that_is_no_json_is_recorded_all_the_same(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    metadata: dict[Any, Any] = {
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        ("a", 1): {1, 2},
        "fine": [1, None],
    }
    metadata["self"] = metadata
    ran = await run(scenario(Bot(last_response_metadata=metadata), ["hi"]), tmp_path)
    assert ran.termination.kind == "completed"
    kept = ran.of("turn.committed")[1]["metadata"]
    assert kept["fine"] == [1, None]
    assert "2026" in kept["at"]
    assert findings(ran.path) == []


async def test_usage_adds_up_per_side_and_unknown_stays_unknown(tmp_path: Path) -> None:
    from tests.builders.conversations import costing

    models = FakeModels(user=["so?", "bye <end>"])
    what = scenario(
        Bot(costing("a", 5), costing("b", 7)),
        persona={"name": "Ann", "prompt": "p", "model": "fake/user", "opening": "hi"},
    )
    ran = await run(what, tmp_path, models=models)
    usage = ran.one("trailer")["totals"]["usage"]
    assert usage["provider"]["prompt_tokens"] == 12
    assert "prompt_tokens" not in usage["persona"]
    assert ran.ended == ("completed", "simulator")
