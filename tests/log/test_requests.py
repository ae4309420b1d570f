"""Requests as differences: rebuilt exactly, digests verify, a log grows linearly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.log.reader import open_log
from convtui.log.requests import RequestChain, digest, rebuild
from convtui.records.models import RecordDict
from convtui.secrets.redactor import Redactor
from tests.builders.conversations import Bot, calls, run, scenario

MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"]), "content": st.text(max_size=5)}
)


def chained(lists: list[list[Any]]) -> list[RecordDict]:
    """The requests as records; other records stand between them."""
    chain = RequestChain()
    records: list[RecordDict] = []
    for number, messages in enumerate(lists):
        seq = number * 3
        records.append({"seq": seq, "type": "llm.request", **chain.add(messages)})
        chain.placed(seq)
    return records


@given(st.lists(st.lists(MESSAGE, max_size=5), min_size=1, max_size=6))
def test_every_request_is_rebuilt_exactly(lists: list[list[Any]]) -> None:
    records = chained(lists)
    by_seq = {record["seq"]: record for record in records}
    for messages, record in zip(lists, records, strict=True):
        assert rebuild(record, by_seq.__getitem__) == messages
        assert record["sha256"] == digest(messages)


def test_a_growing_chat_costs_its_new_messages_only() -> None:
    chat: list[Any] = []
    lists = []
    for number in range(50):
        chat.append({"role": "user", "content": str(number)})
        lists.append(list(chat))
    assert all(len(record["append"]) == 1 for record in chained(lists))


def test_a_changed_message_is_noticed() -> None:
    first = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    second = [{"role": "user", "content": "CHANGED"}, first[1]]
    record = chained([first, second])[1]
    assert (record["base"], record["keep"]) == (None, 0)


def test_messages_changed_later_do_not_change_the_record() -> None:
    message = {"role": "user", "content": "a"}
    (record,) = chained([[message]])
    message["content"] = "meddled"
    assert record["append"] == [{"role": "user", "content": "a"}]


def test_secrets_are_taken_out_before_the_digest_is_made() -> None:
    chain = RequestChain(Redactor(["hunter2hunter2"]).data)
    messages = [{"role": "user", "content": "my password is hunter2hunter2"}]
    record = chain.add(messages)
    assert "hunter2" not in str(record)
    assert record["sha256"] == digest(record["append"])
    chain.placed(1)
    longer = [*messages, {"role": "user", "content": "b"}]
    assert chain.add(longer)["keep"] == 1


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"seq": 5, "keep": 2, "base": None, "append": []}, "keeps 2 messages of nothing"),
        ({"seq": 5, "keep": 2, "base": 9, "append": []}, "impossible base 9"),
        ({"seq": 5, "keep": 2, "base": 5, "append": []}, "impossible base 5"),
        ({"seq": 5, "keep": 2, "base": 1, "append": []}, "is no request"),
        ({"seq": 5, "append": "x"}, "is no request"),
    ],
)
def test_broken_chains_are_named(record: RecordDict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rebuild(record, lambda seq: {"seq": seq, "type": "warning"})


async def test_the_digests_of_a_whole_run_verify(tmp_path: Path) -> None:
    def look() -> str:
        return "the secret is hunter2hunter2"

    bot = Bot(calls(("look", "")), "found", "more", tools=[look], system_prompt="Be brief.")
    ran = await run(
        scenario(bot, ["a", "b"], sessions=["x", "y"]),
        tmp_path,
        redactor=Redactor(["hunter2hunter2"]),
    )
    assert b"hunter2" not in ran.path.read_bytes()
    with open_log(ran.path) as log:
        requests = [r for r in log.records() if r["type"] == "llm.request"]
        assert len(requests) == 5
        for request in requests:
            assert digest(rebuild(request, log.reader.by_seq)) == request["sha256"]
