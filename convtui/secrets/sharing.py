"""The redactor of what is given away: it also masks what people name, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from convtui.secrets.patterns import LIMIT, check_pattern, pattern_spans
from convtui.secrets.redactor import Redactor, merged
from convtui.secrets.shapes import Span
from convtui.text.counts import counted

SECRETS: Final = "secret"


class Collector(Redactor):
    """Masks nothing: notes every text that it is shown, for a search in all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, None] = {}

    def suspects(self, line: bytes) -> bool:
        """Always: every text is to be noted."""
        return True

    def spans(self, text: str, *, whole: bool = False) -> list[Span]:
        """No spans; the text is noted."""
        self.texts[text] = None
        return []


class SharingRedactor(Redactor):
    """Adds the matches of patterns to what another redactor masks, and counts both."""

    def __init__(self, known: Redactor, patterns: Sequence[str] = ()) -> None:
        """Raises `UsageError` for a pattern that is no regular expression."""
        super().__init__()
        for pattern in patterns:
            check_pattern(pattern)
        self.patterns = tuple(dict.fromkeys(patterns))
        self.masked: Counter[str] = Counter({SECRETS: 0, **dict.fromkeys(self.patterns, 0)})
        """How many places were masked, by pattern; secrets under `SECRETS`."""
        self._known = known
        self._matches: dict[str, Mapping[str, list[Span]]] = {}

    def search(self, texts: Sequence[str], *, limit: float = LIMIT) -> None:
        """Looks for the patterns in all texts that will be masked. Raises `UsageError`."""
        for pattern in self.patterns:
            self._matches[pattern] = pattern_spans(pattern, texts, limit=limit)

    def suspects(self, line: bytes) -> bool:
        """Whether a line of JSON may hold a secret, or what a pattern matches."""
        return bool(self.patterns) or self._known.suspects(line)

    def spans(self, text: str, *, whole: bool = False) -> list[Span]:
        """The spans of secrets and of the patterns' matches, merged."""
        spans = self._known.spans(text, whole=whole)
        for matches in self._matches.values():
            spans = [*spans, *matches.get(text, ())]
        return merged(spans) if spans else spans

    def text(self, text: str) -> str:
        """`text` without secrets and matches, which are counted."""
        masked = super().text(text)
        if masked is not text:
            self.masked[SECRETS] += len(self._known.spans(text))
            for pattern, matches in self._matches.items():
                self.masked[pattern] += len(matches.get(text, ()))
        return masked

    def _field(self, name: str, item: Any) -> Any:
        masked = super()._field(name, item)
        if isinstance(item, str) and masked != item and not self.spans(item):
            self.masked[SECRETS] += 1  # for its name
        return masked

    def words(self) -> list[str]:
        """What was masked, a sentence each."""
        secrets = self.masked[SECRETS]
        words = [f"masked {counted(secrets, 'secret')}" if secrets else "no secret to mask"]
        for pattern in self.patterns:
            count = self.masked[pattern]
            found = f"masked {counted(count, 'match', 'matches')} of" if count else "no match of"
            words.append(f"{found} '{pattern}'")
        return words
