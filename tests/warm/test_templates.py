"""Warm templates: reading, what is injected, slots, and the folder they are kept in."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import DataFileError, FileError, UsageError
from convtui.scenario.merge import merge_flags
from convtui.scenario.scenario import Scenario
from convtui.warm.store import WarmStore, chosen_context
from convtui.warm.templates import (
    WarmContext,
    WarmTemplate,
    context_of,
    looks_like_template,
    parse_template,
    slots_of,
    with_context,
)
from tests.fakes.strict_roles import wrong_order

# The example of the format's documentation, as it stands there.
EXAMPLE = (
    '{"name":"persist-test","description":"…","patterns":[{"tool_name":"terminal","arguments":'
    '{"command":"ls"},"result_summary":"files","preceding_context":"List the files",'
    '"pattern_type":"sequence","success_count":1,"session_types":["terminal"]}],'
    '"system_prompt_addendum":"","tags":[],"source_session_ids":[],"created_at":1776110000.0,'
    '"version":2,"metrics":{}}'
)


def pattern(tool: str = "terminal", **fields: Any) -> dict[str, Any]:
    return {"tool_name": tool, "arguments": {"command": "ls"}, **fields}


def template(*patterns: dict[str, Any], **fields: Any) -> WarmTemplate:
    data = {"name": "agent", "patterns": list(patterns or [pattern()]), **fields}
    return parse_template(json.dumps(data))


# --- reading


def test_the_original_format_is_read_and_written_unchanged() -> None:
    read = parse_template(EXAMPLE)
    assert json.loads(read.text()) == json.loads(EXAMPLE)
    assert (read.name, read.version, read.created_at) == ("persist-test", 2, 1776110000.0)
    assert read.patterns[0].session_types == ["terminal"]


def test_unknown_keys_are_kept_and_what_is_missing_has_its_default() -> None:
    text = '{"patterns": [{"tool_name": "t", "weight": 3}], "author": {"name": "Ada"}}'
    read = parse_template(text, name="mine")
    assert (read.name, read.version, read.patterns[0].success_count) == ("mine", 1, 1)
    again = json.loads(read.text())
    assert again["author"] == {"name": "Ada"} and again["patterns"][0]["weight"] == 3


def test_null_is_the_same_as_absent() -> None:
    read = parse_template('{"patterns": null, "system_prompt_addendum": "x", "tags": null}')
    assert (read.patterns, read.tags) == ([], [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "t.json:1: is not JSON"),
        ('{"patterns":\n [NaN]}', "NaN is no JSON number"),
        ('{"patterns": [], "x": 1e999}', "1e999 is no JSON number"),
        ("[1]", "a template is a JSON object with 'patterns'"),
        ('{"messages": []}', "a template is a JSON object with 'patterns'"),
        ('{"patterns":\n [{"tool_name": 7}]}', "t.json:2: patterns[0].tool_name"),
        ('{"patterns": [{}]}', "patterns[0].tool_name"),
        ('{"patterns": [{"tool_name": ""}]}', "patterns[0].tool_name"),
        ('{"patterns": [{"tool_name": "t", "arguments": "ls"}]}', "patterns[0].arguments"),
        ('{"patterns": [], "slots": ["a b"]}', "a slot is a name of letters, digits and _"),
        ('{"patterns": ' + "[" * 5000 + "]" * 5000 + "}", "t.json"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(text: str, says: str) -> None:
    with pytest.raises(DataFileError) as caught:
        parse_template(text, "t.json")
    assert says in str(caught.value)


def test_a_template_is_told_from_other_json(tmp_path: Path) -> None:
    for name, text, answer in (
        ("a", EXAMPLE, True),
        ("b", '{"type": "header", "format": "convtui"}', False),
        ("c", "not json", False),
        ("d", '{"messages": [], "patterns": []}', False),
        ("e", '{"name": "x", "patterns": [', True),
        ("f", '{"seq":0,"type":"header"}\n{"seq":1,"type":"x","patterns":[]}\n', False),
    ):
        path = tmp_path / f"{name}.json"
        path.write_text(text)
        assert looks_like_template(path) is answer, name


# --- what is injected


def test_a_pattern_becomes_messages_as_chat_apis_take_them() -> None:
    made = context_of(parse_template(EXAMPLE))
    assert made.messages == (
        {"role": "user", "content": "List the files"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "warm_0_terminal",
                    "type": "function",
                    "function": {"name": "terminal", "arguments": '{"command": "ls"}'},
                }
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "warm_0_terminal",
            "name": "terminal",
            "content": "files",
        },
        {"role": "assistant", "content": "Done."},
    )
    assert made.addendum == "" and made.tools == ["terminal"]


def test_what_a_pattern_does_not_say_is_said_in_general_words() -> None:
    made = context_of(template(pattern(), pattern("patch", reply="All done.")))
    assert [m["content"] for m in made.messages] == [
        "[Pattern 1] Demonstrate terminal usage.",
        None,
        "Tool terminal executed successfully.",
        "Done.",
        "[Pattern 2] Demonstrate patch usage.",
        None,
        "Tool patch executed successfully.",
        "All done.",
    ]


def test_the_first_fifteen_patterns_are_injected() -> None:
    many = template(*[pattern(f"t{n}") for n in range(20)])
    made = context_of(many)
    assert (made.patterns, made.left_out) == (15, 5)
    assert made.tools == [f"t{n}" for n in range(15)]
    assert context_of(many, max_patterns=2).patterns == 2
    assert context_of(many, max_patterns=0).messages == ()


def test_added_text_joins_the_system_prompt_or_is_the_only_one() -> None:
    made = context_of(template(system_prompt_addendum="Be brief."))
    history = [{"role": "user", "content": "hi"}]
    joined = with_context(made, "You are a desk.", history)
    assert joined[0] == {
        "role": "system",
        "content": "You are a desk.\n\n[WARM SESSION] Be brief.",
    }
    alone = with_context(made, "", history)
    assert alone[0] == {"role": "system", "content": "[WARM SESSION] Be brief."}
    for messages in (joined, alone):
        assert [m["role"] for m in messages].count("system") == 1
        assert messages[-1] == history[0]
    assert with_context(None, "", history) == history
    assert with_context(context_of(template()), "", history)[0]["role"] == "user"


TEXT = st.text(max_size=12)
PATTERN = st.fixed_dictionaries(
    {"tool_name": st.text(min_size=1, max_size=80)},
    optional={
        "arguments": st.dictionaries(TEXT, TEXT, max_size=2),
        "preceding_context": TEXT,
        "result_summary": TEXT,
        "reply": TEXT,
    },
)


@given(st.lists(PATTERN, max_size=4), TEXT, st.sampled_from(["", "You are a desk."]))
def test_strict_endpoints_take_whatever_a_template_holds(
    patterns: list[dict[str, Any]], addendum: str, own: str
) -> None:
    made = context_of(
        template(*patterns, patterns=patterns, system_prompt_addendum=addendum, slots={})
    )
    messages = with_context(made, own, [{"role": "user", "content": "hi"}])
    assert wrong_order(messages) == ""


def test_the_check_of_roles_finds_what_the_original_sent() -> None:
    messages = list(context_of(template()).messages)
    original = [*messages[:3], {"role": "user", "content": "hi"}]
    assert wrong_order(original).startswith("Unexpected role 'user' after 'tool'")
    system = {"role": "system", "content": "x"}
    assert "'system'" in wrong_order([*messages, system, {"role": "user", "content": "hi"}])
    twice = [*messages, *messages, {"role": "user", "content": "hi"}]
    assert "is there twice" in wrong_order(twice)


def test_a_record_gives_the_same_context_back() -> None:
    made = context_of(template(system_prompt_addendum="For {who}."), slots={"who": "Ada"})
    record = json.loads(json.dumps(made.record()))
    assert WarmContext.from_record(record) == made


# --- slots


def test_slots_are_filled_in_all_texts_once() -> None:
    made = context_of(
        template(
            pattern(
                arguments={"command": "greet {who}", "deep": [{"x": "{who}"}], "n": 1},
                preceding_context="Greet {who}, {{who}} and {other thing}",
                result_summary="{who} was greeted",
                reply="I greeted {who}",
            ),
            system_prompt_addendum="The user is {who}.",
        ),
        slots={"who": "{who} {name}"},
    )
    user, called, result, said = made.messages
    assert user["content"] == "Greet {who} {name}, {{who}} and {other thing}"
    arguments = json.loads(called["tool_calls"][0]["function"]["arguments"])
    assert arguments == {"command": "greet {who} {name}", "deep": [{"x": "{who} {name}"}], "n": 1}
    assert result["content"] == "{who} {name} was greeted"
    assert said["content"] == "I greeted {who} {name}"
    assert made.addendum == "[WARM SESSION] The user is {who} {name}."


def test_a_slot_without_a_value_is_named() -> None:
    with pytest.raises(UsageError, match=r"slot without a value: who, day; give --set warm.who="):
        context_of(template(system_prompt_addendum="{who} on {day}"))


def test_declared_slots_have_defaults_and_other_braces_are_left_alone() -> None:
    made = template(
        pattern(preceding_context="{who} wrote {code}"), slots={"who": "Ada", "day": "today"}
    )
    assert slots_of(made) == {"who": "Ada", "day": "today"}
    assert context_of(made).messages[0]["content"] == "Ada wrote {code}"
    assert context_of(made, slots={"who": "Bo"}).messages[0]["content"] == "Bo wrote {code}"
    declared = template(pattern(preceding_context="{who}"), slots=["who"])
    with pytest.raises(UsageError, match="slot without a value: who"):
        context_of(declared)
    mined = template(pattern(preceding_context="f'{x}'"), slots={})
    assert context_of(mined).messages[0]["content"] == "f'{x}'"


def test_braces_in_results_and_arguments_are_no_slots_of_their_own() -> None:
    made = context_of(template(pattern(arguments={"code": "f'{x}'"}, result_summary="{y}")))
    assert made.messages[2]["content"] == "{y}"


def test_a_value_without_a_slot_is_refused_with_the_nearest_name() -> None:
    made = template(system_prompt_addendum="{customer}")
    with pytest.raises(UsageError, match=r"no slot 'custmer', did you mean 'customer'"):
        context_of(made, slots={"custmer": "Ada"})
    with pytest.raises(UsageError, match="no slot 'who'; it has none"):
        context_of(template(), slots={"who": "Ada"})


# --- scenarios and flags


def test_a_scenario_names_a_template_in_three_ways(tmp_path: Path) -> None:
    by_name = Scenario.from_data({"warm": "agent"}, base=tmp_path).warm
    assert by_name is not None and (by_name.use, by_name.max_patterns) == ("agent", 15)
    by_path = Scenario.from_data({"warm": "t/agent.json"}, base=tmp_path).warm
    assert by_path is not None and by_path.use == str(tmp_path / "t" / "agent.json")
    filled = Scenario.from_data(
        {"warm": {"use": "agent", "slots": {"who": "Ada", "n": 3}, "max_patterns": 4}},
        base=tmp_path,
    ).warm
    assert filled is not None and filled.slots == {"who": "Ada", "n": "3"}


@pytest.mark.parametrize(
    ("warm", "says"),
    [
        ({"use": "agent", "slot": {}}, "did you mean 'slots'"),
        ({"slots": {}}, "warm.use"),
        (" ", "must not be empty"),
        ({"use": "a", "slots": {"who": [1]}}, "warm.slots.who"),
        ({"use": "a", "max_patterns": -1}, "warm.max_patterns"),
        (["agent"], "warm"),
    ],
)
def test_a_bad_key_of_warm_is_named(warm: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataFileError) as caught:
        Scenario.from_data({"warm": warm}, base=tmp_path)
    assert says in str(caught.value)


def test_flags_choose_a_template_and_fill_its_slots(tmp_path: Path) -> None:
    base = Scenario.from_data({"warm": {"use": "a", "slots": {"who": "Ada"}}}, base=tmp_path / "x")
    warm = merge_flags(base, {"set": ["warm.day=Monday", "warm.max_patterns=3"]}).warm
    assert warm is not None
    assert (warm.use, warm.slots, warm.max_patterns) == ("a", {"who": "Ada", "day": "Monday"}, 3)
    other = merge_flags(base, {"warm": "t.json", "set": ["warm.slots.use=1"]}, cwd=tmp_path).warm
    assert other is not None
    assert other.use == str(tmp_path / "t.json"), "below where the flag was typed"
    assert other.slots == {"who": "Ada", "use": "1"}
    assert merge_flags(base, {"set": ["warm=null"]}).warm is None
    named = merge_flags(None, {"warm": "agent", "set": ["warm.who=Bo"]}, cwd=tmp_path).warm
    assert named is not None and (named.use, named.slots) == ("agent", {"who": "Bo"})


# --- the folder


def test_a_template_is_saved_whole_for_the_user_alone_and_never_over_another(
    tmp_path: Path,
) -> None:
    store = WarmStore(tmp_path / "warm")
    path = store.save(template())
    assert path == tmp_path / "warm" / "agent.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    with pytest.raises(FileError, match=r"there is a warm template 'agent' already.*--force"):
        store.save(template(description="other"))
    assert path.read_text() == before
    store.save(template(description="other"), force=True)
    assert store.load("agent").template.description == "other"
    assert [each.name for each in path.parent.iterdir()] == ["agent.json"], "nothing left behind"


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", ".", "..", "", "-x", "é", "x" * 60, "a.b"])
def test_a_name_that_is_none_reaches_no_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(EXAMPLE)
    store = WarmStore(tmp_path / "warm")
    for do in (store.load, store.delete, lambda n: store.save(template(name=n or " "))):
        with pytest.raises(UsageError, match="cannot be the name of a warm template"):
            do(name)
    assert (tmp_path / "x.json").exists() and not (tmp_path / "warm").exists()


def test_the_safe_spelling_of_a_name_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"write 'refund_desk_2'"):
        WarmStore(tmp_path).path("refund desk/2")


def test_the_list_is_sorted_and_passes_over_what_it_cannot_read(tmp_path: Path) -> None:
    store = WarmStore(tmp_path)
    assert store.listing().templates == []
    store.save(template(name="zoo"))
    store.save(template(name="apple"))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "not a name.json").write_text(EXAMPLE)
    (tmp_path / "old.json").write_text('{"patterns": []}')
    found = store.listing()
    assert [each.name for each in found.templates] == ["apple", "old", "zoo"]
    assert found.templates[1].about()["version"] == 1
    assert found.templates[0].about()["pattern_count"] == 1
    assert [str(problem).startswith(str(tmp_path / "broken.json:1")) for problem in found.problems]
    assert len(found.problems) == 1


def test_what_is_not_there_is_said_with_the_nearest_name(tmp_path: Path) -> None:
    store = WarmStore(tmp_path)
    store.save(template(name="refunds"))
    with pytest.raises(FileError, match="no warm template 'refund', did you mean 'refunds'"):
        store.load("refund")
    with pytest.raises(FileError, match="no warm template 'refund'"):
        store.delete("refund")
    assert store.delete("refunds") == tmp_path / "refunds.json"
    assert store.names() == []


def test_a_broken_template_can_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    store = WarmStore(tmp_path)
    with pytest.raises(DataFileError, match="is not JSON"):
        store.load("broken")
    store.delete("broken")
    assert store.names() == []


def test_a_template_is_used_under_its_files_name_or_from_any_path(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(EXAMPLE)
    for use in ("mine", str(tmp_path / "mine.json")):
        warm = Scenario.from_data({"warm": use}, base=tmp_path).warm
        assert warm is not None
        made = chosen_context(warm, tmp_path)
        assert (made.template, made.file) == ("mine", str(tmp_path / "mine.json"))
        assert len(made.sha256) == 64


def test_the_folder_is_the_one_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm = Scenario.from_data({"warm": "desk"}, base=tmp_path).warm
    assert warm is not None
    for home in ("one", "two"):
        monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / home))
        folder = tmp_path / home / "data" / "warm"
        with pytest.raises(FileError, match="no warm template 'desk'"):
            chosen_context(warm)
        WarmStore(folder).save(template(name="desk", system_prompt_addendum=home))
        assert chosen_context(warm).addendum == f"[WARM SESSION] {home}"
