"""Takes secrets out of text, of JSON-like data and of lines of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from convtui.secrets.forms import SHORTEST, forms_of
from convtui.secrets.names import NOTHING_ALLOWED, LogValues, is_secret_name, is_telling_name
from convtui.secrets.shapes import CAREFUL, REDACTED, SHAPES, TOKENS, Shape, Span, may_hold_token
from convtui.secrets.values import secret_values

_KEYED_BY_TEXT: Final = frozenset({"on_signal"})
"""Fields of ours whose keys are texts of the user's, and no names."""
_CUT: Final = 8
"""Characters of a secret's beginning that are taken out where a text was cut off in it."""


def _shortest_signs() -> tuple[bytes, ...]:
    """All signs except those that contain another sign."""
    signs = {sign.encode() for shape in SHAPES for sign in shape.signs}
    return tuple(sign for sign in sorted(signs) if not any(o in sign for o in signs if o != sign))


_SIGNS: Final = _shortest_signs()
_PARTS: Final = (
    *(b"key", b"pass", b"auth", b"secret", b"token", b"cookie", b"credential", b"bearer"),
    *(b"basic", b"hook", b"pwd", b"//", b"=", b"_"),
)


def _gates() -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
    """Parts of signs, with the signs that have them: most lines have none of the parts."""
    others = [sign for sign in _SIGNS if not any(part in sign for part in _PARTS)]
    return tuple(
        (part, tuple(sign for sign in _SIGNS if part in sign)) for part in (*_PARTS, *others)
    )


_GATES: Final = _gates()


def _shape_gates() -> tuple[tuple[str, tuple[tuple[str, frozenset[int]], ...]], ...]:
    """Parts of signs, with the signs that have them and the places of their shapes."""
    shapes_of: dict[str, set[int]] = {}
    for place, shape in enumerate(SHAPES):
        for sign in shape.signs:
            shapes_of.setdefault(sign, set()).add(place)
    signs_of: dict[str, list[tuple[str, frozenset[int]]]] = {}
    parts = [part.decode() for part in _PARTS]
    for sign, places in shapes_of.items():
        gate = next((part for part in parts if part in sign), sign)
        signs_of.setdefault(gate, []).append((sign, frozenset(places)))
    return tuple((part, tuple(signs)) for part, signs in signs_of.items())


_SHAPE_GATES: Final = _shape_gates()
_WITH_MORE: Final = {b"token": b"tokens", b"://": b"@"}
"""Signs that stand in most records: counted where they are not the beginning of the longer one, or
only where the other stands, too."""


class Redactor:
    """Takes secrets out of text and of JSON-like data.

    It knows the secrets it was built with and those `add()`ed; with `watch` also those of this
    process's environment, which is looked at again whenever it has grown. Shapes of well-known
    tokens, and values behind telling names, are taken out without being known. Text that holds no
    secret is returned as the same object.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        *,
        watch: bool = False,
        allowed: LogValues = NOTHING_ALLOWED,
    ) -> None:
        self.allowed = allowed
        """What the user lets be written although nobody knows that it is harmless."""
        self._secrets: set[str] = set()
        self._forms: tuple[str, ...] = ()
        self._in_lines: tuple[bytes, ...] = ()
        """The forms as they stand in a line of JSON."""
        self._watches = watch
        self._variables = -1
        self.add(*secrets)
        self.look_again()

    @classmethod
    def of_process(cls) -> Redactor:
        """A redactor that follows the secrets of this process's environment."""
        return cls(watch=True)

    def add(self, *secrets: str) -> None:
        """Redacts `secrets` from now on; values under eight characters are ignored."""
        fresh = {secret for secret in secrets if len(secret) >= SHORTEST} - self._secrets
        if not fresh:
            return
        self._secrets |= fresh
        self._forms, self._in_lines = _forms_of_all(frozenset(self._secrets))

    def look_again(self) -> None:
        """Adds new variables of the environment; a provider's code may have loaded a file."""
        if self._watches and _variables() != self._variables:
            self.look_everywhere()

    def look_everywhere(self) -> None:
        """As `look_again()`, also for variables whose value has changed."""
        if self._watches:
            self._variables = _variables()
            self.add(*_of_environment())

    @property
    def forms(self) -> tuple[str, ...]:
        """All spellings of the known secrets; another object once one was added."""
        return self._forms

    @property
    def longest(self) -> int:
        """The length of the longest form of a known secret."""
        return len(self._forms[0]) if self._forms else 0

    # --- a cheap look before an expensive one

    def suspects(self, line: bytes) -> bool:
        """Whether a line of JSON may hold a secret."""
        self.look_again()
        # `in` takes half as long again: it tries first whether what is looked for is a number.
        find = line.find
        for form in self._in_lines:
            if find(form) >= 0:
                return True
        lowered = line.lower()
        find = lowered.find
        for gate, signs in _GATES:
            if find(gate) >= 0:
                for sign in signs:
                    if find(sign) >= 0 and _stands(sign, lowered):
                        return True
        return may_hold_token(line)

    # --- text

    def spans(self, text: str, *, whole: bool = False) -> list[Span]:
        """Where secrets stand in `text`: `(start, end)` in order, none touching another.

        With `whole` including their context: a name before a value, a scheme before a password.
        """
        self.look_again()
        spans: list[Span] = []
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                end = start + len(form)
                spans.append((start, end))
                start = text.find(form, end)
        for shape in _shapes_in(text.lower()):
            spans.extend(shape.spans(text, whole=whole))
        if may_hold_token(text.encode("utf-8", "replace")):
            spans.extend(match.span() for match in TOKENS.finditer(text))
        return merged(spans) if spans else spans

    def text(self, text: str) -> str:
        """`text` without secrets."""
        spans = self.spans(text)
        return replaced(text, spans) if spans else text

    def cut_text(self, text: str) -> str:
        """`text()` for a text that was cut off: a secret that only begins is redacted too."""
        return self.text(text[: self.begins_at(text)])

    def begins_at(self, text: str, shortest: int = _CUT) -> int:
        """Where at the end of `text` a known secret begins that is not complete.

        The length of the text when none does with at least `shortest` characters.
        """
        size = len(text)
        first = size
        for form in self._forms:
            start = max(0, size - len(form) + 1)
            while (start := text.find(form[:shortest], start)) >= 0 and start < first:
                if form.startswith(text[start:]):
                    first = start
                    break
                start += 1
        return first

    # --- data

    def data(self, value: Any) -> Any:
        """JSON-like `value` without secrets, the values of telling names included."""
        if isinstance(value, str):
            return self.text(value)
        try:
            line = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError, RecursionError):
            return self._without_secrets(value)  # it is no JSON
        return self._without_secrets(value) if self.suspects(line) else value

    def _without_secrets(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(key) if isinstance(key, str) else key: self._field(str(key), item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._without_secrets(item) for item in value]
        return value

    def _field(self, name: str, item: Any) -> Any:
        if isinstance(item, str):
            secret = item and is_telling_name(name, item)
            return REDACTED if secret else self.text(item)
        if name in _KEYED_BY_TEXT and isinstance(item, Mapping):
            return {
                key: self.text(text) if isinstance(text, str) else text
                for key, text in item.items()
            }
        if isinstance(item, (list, tuple)) and item and all(isinstance(one, str) for one in item):
            return [REDACTED if one and is_telling_name(name, one) else self.text(one)
                    for one in item]  # fmt: skip
        return self._without_secrets(item)


@lru_cache(maxsize=64)
def _forms_of_all(secrets: frozenset[str]) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """The forms of secrets, longest first, and as they stand in a line of JSON.

    Many conversations of one process know the same secrets.
    """
    forms = {form for secret in secrets for form in forms_of(secret)}
    # What contains another form need not be looked for: the other one is found there.
    lines: list[bytes] = []
    in_json = {
        json.dumps(form, ensure_ascii=ascii_only)[1:-1]
        for form in forms
        for ascii_only in (False, True)
    }
    for form in sorted(in_json, key=len):
        data = form.encode("utf-8", "surrogatepass")
        if not any(shorter in data for shorter in lines):
            lines.append(data)
    return tuple(sorted(forms, key=lambda form: (-len(form), form))), tuple(lines)


def _variables() -> int:
    """The number of variables of the environment, which is asked for at every text."""
    return len(getattr(os.environ, "_data", os.environ))


_environment: list[tuple[dict[str, str], tuple[str, ...]]] = []
"""The environment as it was when it was last looked at, and its secrets."""


def _of_environment() -> tuple[str, ...]:
    now = dict(os.environ)
    for then, secrets in _environment:
        if then == now:
            return secrets
    secrets = secret_values(now)
    _environment[:] = [(now, secrets)]
    return secrets


class CarefulRedactor(Redactor):
    """Redacts more than for a log: also every value behind a secret name.

    For files that are made to be shared, such as templates.
    """

    def __init__(self, known: Redactor) -> None:
        super().__init__()
        self._known = known

    def suspects(self, line: bytes) -> bool:
        """Always: what else it redacts has no signs of its own."""
        return True

    def spans(self, text: str, *, whole: bool = False) -> list[Span]:
        """Adds every value behind a secret name to the spans of the redactor it extends."""
        spans = self._known.spans(text, whole=whole)
        spans.extend(match.span("secret") for match in CAREFUL.finditer(text))
        return merged(spans) if spans else spans

    def _field(self, name: str, item: Any) -> Any:
        if isinstance(item, str) and item and is_secret_name(name):
            return REDACTED
        return super()._field(name, item)


def _shapes_in(lowered: str) -> list[Shape]:
    """The shapes of which a sign stands in a text in lower case."""
    places: set[int] = set()
    for part, signs in _SHAPE_GATES:
        if part in lowered:
            for sign, shapes in signs:
                if sign in lowered:
                    places |= shapes
    return [SHAPES[place] for place in places]


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without secrets: `secrets`, and what looks like one."""
    return Redactor(secrets).text(text)


def replaced(text: str, spans: Iterable[Span]) -> str:
    """`text` with each span replaced by `[redacted]`."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += (text[done:start], REDACTED)
        done = end
    parts.append(text[done:])
    return "".join(parts)


def moved(position: int, spans: Iterable[Span]) -> int:
    """The new position of a character after `spans` of its text were replaced."""
    shift = 0
    for start, end in spans:
        if position <= start:
            break
        if position < end:
            return start + shift
        shift += len(REDACTED) - (end - start)
    return position + shift


def _stands(sign: bytes, lowered: bytes) -> bool:
    more = _WITH_MORE.get(sign)
    if more is None:
        return True
    if more.startswith(sign):
        return lowered.count(sign) > lowered.count(more)
    return more in lowered


def merged(spans: list[Span]) -> list[Span]:
    spans.sort()
    merged = [spans[0]]
    for start, end in spans[1:]:
        last = merged[-1]
        if start < last[1]:
            if end > last[1]:
                merged[-1] = (last[0], end)
        else:
            merged.append((start, end))
    return merged
