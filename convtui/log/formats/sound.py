"""Records of an import as whoever reads the log may rely on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from convtui.records.fields import MAX_FAULTS, FieldChecker
from convtui.records.models import RECORD_TYPES, Record, Warned

BAD_FIELD = "bad_field"


def sound(records: Iterable[tuple[float, Record]]) -> Iterator[tuple[float, Record]]:
    """The records, and after each the findings about what had to be left out of it.

    Other programs write other shapes than they say: what a field may hold is decided here as it is
    where a log is read.
    """
    checker = FieldChecker()
    for seconds, record in records:
        data = {"seq": 0, "t": seconds, **record.payload()}
        faults = checker.mend(data, None)
        if not faults:
            yield seconds, record
            continue
        fields = {name: data[name] for name in data if name not in ("seq", "t", "type")}
        yield seconds, RECORD_TYPES[record.TYPE].model_validate(fields)
        where = {name: fields.get(name) for name in ("session", "turn")}
        for fault in faults[:MAX_FAULTS]:
            message = f"{record.TYPE} {fault.field}: {fault.problem}; left out"
            yield seconds, Warned(**where, code=BAD_FIELD, message=message)
