"""What is noticed about one conversation's texts, in the order of its turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from convtui.records.interim import Interim
from convtui.text_checks.farewells import Farewells
from convtui.text_checks.labels import Labels
from convtui.text_checks.reading import LOOKED_AT, Noticed, Reading
from convtui.text_checks.reasoning import reasoning_spans
from convtui.text_checks.repeats import Said, echoed
from convtui.text_checks.role import persona_as_assistant, provider_as_user
from convtui.text_checks.sentinels import Sentinels

_SIDES: Final = 8
"""Sides of sessions that are remembered."""
_STAYS_OUT: Final = 2
"""Turns of its own for which a side counts as out of its role."""
_NO_NAMES: Final[Mapping[str, str]] = {}
_ROLE_ALONE: Final = Labels(_NO_NAMES)


def notice_role(speaker: str, text: str) -> Noticed | None:
    """The first sign that `speaker` ("persona" or "provider") speaks as the other side."""
    return _role(_ROLE_ALONE, speaker, Reading(text), was_out=False)


def notice_leak(text: str) -> Noticed | None:
    """The first reasoning in a shown text, at its tag."""
    return _leak(Reading(text))


class TextChecks:
    """Checks the shown texts of one conversation, in the order of its turns.

    `sentinels` are the strings that end the conversation when the simulated user says them, `names`
    what the sides are called, by "persona" and "provider".
    """

    def __init__(
        self, *, sentinels: Sequence[str] = (), names: Mapping[str, str] = _NO_NAMES
    ) -> None:
        self._sentinels = Sentinels(sentinels)
        self._labels = Labels(names)
        self._sides: dict[tuple[int, str], _Side] = {}
        self._farewells: dict[int, Farewells] = {}
        self._last: tuple[int, str, Reading] | None = None
        self._last_alone: _Alone | None = None

    def notice(
        self,
        session: int,
        speaker: str,
        text: str,
        interim: Sequence[Interim] = (),
        *,
        remember: bool = True,
    ) -> list[Noticed]:
        """The findings about the next text of a side, and about what is beside its tool calls.

        The text is remembered for later ones, unless it is not said yet (`remember`).
        """
        side = self._side(session, speaker)
        alone = self._alone(speaker, text, was_out=side.was_out)
        reading, role = alone.reading, alone.role
        repeat, echo, farewell = self._compared(session, speaker, reading, remember=remember)
        if remember:
            side.out = _STAYS_OUT if role is not None else max(0, side.out - 1)
        entries = (role, alone.label, alone.sentinel, repeat, echo, farewell, alone.leak)
        noticed = [entry for entry in entries if entry is not None]
        for part in interim:
            # "One moment, please" may be said in every turn: repetitions are not looked for.
            for entry in (notice_role(speaker, part.text), notice_leak(part.text)):
                if entry is not None:
                    noticed.append({**entry, "round": part.round})
        return noticed

    def _alone(self, speaker: str, text: str, *, was_out: bool) -> _Alone:
        """What is found in a text by itself; a breakpoint asks for it before it is committed."""
        last = self._last_alone
        if last is not None and (last.speaker, last.reading.text, last.was_out) == (
            speaker,
            text,
            was_out,
        ):
            return last
        reading = Reading(text)
        role = _role(self._labels, speaker, reading, was_out=was_out)
        self._last_alone = _Alone(
            speaker,
            reading,
            was_out,
            role,
            self._labels.own(speaker, reading) if not _is_labelled(role) else None,
            self._sentinels.near(reading) if speaker == "persona" else None,
            _leak(reading),
        )
        return self._last_alone

    def restore(self, turns: Iterable[tuple[int, str, str]]) -> None:
        """Remembers earlier turns, `(session, speaker, shown text)`, of a conversation that goes
        on, without checking them."""
        for session, speaker, text in turns:
            self._compared(session, speaker, Reading(text), remember=True)

    def _compared(
        self, session: int, speaker: str, reading: Reading, *, remember: bool
    ) -> tuple[Noticed | None, Noticed | None, Noticed | None]:
        """Findings from earlier turns: a repetition, an echo, a farewell too many."""
        repeat = self._side(session, speaker).said.again(
            reading, polite=speaker == "provider", remember=remember
        )
        echo = None
        if self._last is not None and self._last[0] == session and self._last[1] != speaker:
            echo = echoed(reading, self._last[2])
        farewells = self._farewells.get(session)
        if farewells is None:
            farewells = self._farewells[session] = Farewells()
            if len(self._farewells) > _SIDES:
                del self._farewells[next(iter(self._farewells))]
        farewell = farewells.next(speaker, reading, remember=remember)
        if remember:
            self._last = (session, speaker, reading)
        return repeat, echo, farewell

    def _side(self, session: int, speaker: str) -> _Side:
        side = self._sides.get((session, speaker))
        if side is None:
            side = self._sides[session, speaker] = _Side()
            if len(self._sides) > _SIDES:
                del self._sides[next(iter(self._sides))]
        return side


class _Alone(NamedTuple):
    """The findings in a text by itself, and what they depend on."""

    speaker: str
    reading: Reading
    was_out: bool
    role: Noticed | None
    label: Noticed | None
    sentinel: Noticed | None
    leak: Noticed | None


class _Side:
    __slots__ = ("out", "said")

    def __init__(self) -> None:
        self.said = Said()
        self.out = 0

    @property
    def was_out(self) -> bool:
        """Whether this side was out of its role in one of its last turns."""
        return self.out > 0


def _role(labels: Labels, speaker: str, reading: Reading, *, was_out: bool) -> Noticed | None:
    labelled = labels.role(speaker, reading)
    if labelled is not None:
        return labelled
    if speaker == "persona":
        return persona_as_assistant(reading, was_out=was_out)
    return provider_as_user(reading)


def _is_labelled(role: Noticed | None) -> bool:
    """Whether the beginning was reported already."""
    return role is not None and role["rule"] == "other-label"


def _leak(reading: Reading) -> Noticed | None:
    spans = reasoning_spans(reading.text[:LOOKED_AT])
    if not spans:
        return None
    span = spans[0]
    if span.rule == "words":
        return reading.entry("leak", "reasoning-words", span.start, span.end)
    return reading.entry("leak", "reasoning-tag", *span.tag)
