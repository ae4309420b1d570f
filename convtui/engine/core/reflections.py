"""What a provider is told of earlier attempts at its conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_HEAD: Final = (
    "You have had this conversation before, and it did not end as it should have. Afterwards you"
    " wrote down what to do otherwise:"
)


@dataclass(frozen=True, slots=True)
class Reflection:
    """What is to be done otherwise than in attempt `of`; it was first written in log `log`."""

    text: str
    of: int
    log: str
    seq: int
    model: str | None = None

    def record(self) -> dict[str, Any]:
        """The fields of a `reflection.added` record in another log."""
        return {
            "text": self.text,
            "of": self.of,
            "model": self.model,
            "reused": {"log": self.log, "seq": self.seq},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], log: str) -> Reflection:
        """The reverse of `record()`, for a record in log `log`.

        Raises LookupError, TypeError or ValueError for another.
        """
        first = record.get("reused") or {}
        return cls(
            text=str(record["text"]),
            of=int(record["of"]),
            log=str(first.get("log") or log),
            seq=int(first.get("seq") or record.get("seq") or 0),
            model=record.get("model"),
        )


def with_reflections(system_prompt: str, reflections: Sequence[Reflection]) -> str:
    """A provider's system prompt with the reflections behind it; unchanged without any."""
    if not reflections:
        return system_prompt
    notes = [f"After attempt {reflection.of}:\n{reflection.text}" for reflection in reflections]
    added = "\n\n".join([_HEAD, *notes])
    if system_prompt.endswith(added):
        return system_prompt
    return f"{system_prompt}\n\n{added}" if system_prompt else added
