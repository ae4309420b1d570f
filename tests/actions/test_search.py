"""Finding actions by what is typed."""

from __future__ import annotations

from convtui.actions.search import match


def marked(query: str, text: str) -> str:
    """The matched letters, in brackets."""
    found = match(query, text)
    assert found is not None
    return "".join(f"[{c}]" if n in found.offsets else c for n, c in enumerate(text))


def test_every_word_has_to_be_there_in_any_order() -> None:
    assert marked("turn RUN", "Run one turn") == "[R][u][n] one [t][u][r][n]"
    assert match("run zebra", "Run one turn") is None
    assert match("", "Run one turn") == (0, frozenset(), False)


def test_the_start_of_a_word_counts_most_then_the_inside_then_letters() -> None:
    scores = [match("brea", text) for text in ("Set a breakpoint", "outbreak", "branch here now")]
    assert [found.score if found else None for found in scores] == [3, 2, None]
    letters = match("stb", "Set a breakpoint")
    assert letters is not None
    assert (letters.score, letters.scattered) == (1, True)
    assert marked("stb", "Set a breakpoint") == "[S]e[t] a [b]reakpoint"
    assert match("xyz", "Set a breakpoint") is None


def test_what_is_typed_is_no_pattern() -> None:
    assert match("(a+", "Set a breakpoint") is None
    assert match("a/b", "Compare: A/B") is not None
