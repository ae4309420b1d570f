"""Texts that hold nothing to be masked: what is written again and again is looked at once."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any, Final

from convtui.secrets.redactor import Redactor

_NUMBERS: Final = frozenset({int, bool, NoneType})
"""What is written without quotation marks holds no secret."""
_MOST: Final = 256
"""Texts that are remembered."""
_CHARACTERS: Final = 1 << 18
"""All that are remembered together have no more."""
_PARTS: Final = 128
"""Values up to which data is looked at text by text."""

_in_json = json.JSONEncoder(ensure_ascii=False).encode


class HarmlessTexts:
    """Remembers of the last texts of a conversation whether its redactor suspects them.

    What a side says stands in five records and more, with names and words that are the same in
    all. Nothing is remembered across a change of the known secrets.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._secrets = redactor.forms
        self._harmless: dict[str, bool] = {}
        self._characters = 0

    def make_up(self, data: Any) -> bool:
        """Whether no text in JSON-like data is suspected.

        False also for data of many parts, and for any that not every JSON library writes alike:
        True is for texts, whole numbers, truth values, nulls, numbers without an exponent, lists,
        and objects whose names are texts, all of these very types.
        """
        self._redactor.look_again()
        if self._secrets is not self._redactor.forms:
            self._secrets = self._redactor.forms
            self._forget()
        texts = _texts_of(data)
        if texts is None:
            return False
        known = self._harmless.get
        if all(map(known, texts)):
            return True
        return all(map(self._has, [text for text in texts if not known(text)]))

    def _has(self, text: Any) -> bool:
        if text.__class__ is not str or len(text) > _CHARACTERS:
            return False
        known = self._harmless.get(text)
        if known is not None:
            return known
        harmless = not self._redactor.suspects(_in_json(text).encode("utf-8", "surrogatepass"))
        self._characters += len(text)
        if len(self._harmless) >= _MOST or self._characters > _CHARACTERS:
            self._forget()
            self._characters = len(text)
        self._harmless[text] = harmless
        return harmless

    def _forget(self) -> None:
        self._harmless.clear()
        self._characters = 0


def _has_no_exponent(number: float) -> bool:
    return 1e-4 <= number < 1e16 or -1e16 < number <= -1e-4 or number == 0


def _texts_of(data: Any) -> list[Any] | None:
    """All texts and names in data; None where there are too many, or where it is no JSON.

    Numbers with an exponent, and those that are none, are among them.
    """
    texts: list[Any] = []
    values = [data]
    for value in values:
        kind = value.__class__
        if kind is str:
            texts.append(value)
        elif kind is dict:
            texts.extend(value)
            values.extend(value.values())
            if len(values) > _PARTS:
                return None
        elif kind is list:
            values.extend(value)
            if len(values) > _PARTS:
                return None
        elif kind is float:
            if not _has_no_exponent(value):
                texts.append(value)
        elif kind not in _NUMBERS:
            return None
    return texts
