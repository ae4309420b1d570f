"""The two kinds of files that Inspect writes: a JSON text, and a zip archive with a file a sample.

An archive of a run that was not finished has no header: what its journal says about the beginning
is taken instead. Newer versions pack with Zstandard, which this Python may not have.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_files import first_value, whole
from convtui.log.formats.json_objects import head_of, parse_json
from convtui.records.values import as_list, as_object

SUFFIX: Final = ".eval"
MAX_SAMPLE: Final = 512 << 20
"""Bytes that a file of an archive may become."""
_HEADER: Final = "header.json"
_START: Final = "_journal/start.json"
_SAMPLES: Final = "samples/"
_ZIP: Final = "PK"
"""What an archive begins with."""
_ZSTD: Final = 93
_NO_ZSTD: Final = (
    "packed with Zstandard, which Python before 3.14 cannot unpack: install `convtui[inspect]`, or"
    " convert it with `inspect log convert --to json`"
)


@dataclass(slots=True)
class EvalLog:
    """A log of Inspect: what it says about the run, and its samples, which are read one by one."""

    header: dict[str, Any]
    """`eval`, `status`, `results`, ..., without the samples."""
    samples: Iterator[tuple[str, Mapping[str, Any]]]
    """Each with its place in the file."""
    damage: list[Finding] = field(default_factory=list)
    """What could not be read; filled while the samples are."""
    finished: bool = True


def is_log(path: Path) -> bool:
    """Whether a file is a log of Inspect, by its beginning. Never raises."""
    if path.suffix.lower() == SUFFIX:
        # One that is cut off has no directory, which is at its end.
        return path.is_file() and head_of(path, len(_ZIP)) == _ZIP
    value = first_value(path) if path.suffix.lower() == ".json" else None
    if not isinstance(value, Mapping) or not isinstance(value.get("eval"), Mapping):
        return False
    return "status" in value or "plan" in value


def open_eval(path: Path) -> EvalLog:
    """A log of either kind. Raises `FileError`."""
    return _archive(path) if path.suffix.lower() == SUFFIX else _text(path)


def _text(path: Path) -> EvalLog:
    data = as_object(whole(path))
    if not isinstance(data.get("eval"), Mapping):
        raise FileError(f"{path}: is no log of Inspect: eval is missing")
    damage: list[Finding] = []

    def samples() -> Iterator[tuple[str, Mapping[str, Any]]]:
        for index, sample in enumerate(as_list(data.get("samples"))):
            if isinstance(sample, Mapping):
                yield f"samples[{index}]", sample
            else:
                damage.append(Finding(path, f"samples[{index}]: is no object; left out"))

    header = {name: value for name, value in data.items() if name != "samples"}
    return EvalLog(header, samples(), damage, data.get("status") != "started")


def _archive(path: Path) -> EvalLog:
    archive = _opened(path)
    names = archive.namelist()
    finished = _HEADER in names
    try:
        if not finished and _START not in names:
            raise FileError(
                f"{path}: is no log of Inspect: neither {_HEADER} nor {_START} is in it"
            )
        header = as_object(_json(archive, _HEADER if finished else _START, path))
    except FileError:
        archive.close()
        raise
    damage: list[Finding] = []

    def samples() -> Iterator[tuple[str, Mapping[str, Any]]]:
        try:
            for name in names:
                if not (name.startswith(_SAMPLES) and name.endswith(".json")):
                    continue
                try:
                    sample = _json(archive, name, path)
                except FileError as error:
                    damage.append(finding_of(error, path, None))
                    continue
                if isinstance(sample, Mapping):
                    yield name, sample
                else:
                    damage.append(Finding(path, f"{name}: is no object; left out"))
        finally:
            archive.close()

    return EvalLog(header, samples(), damage, finished)


def _opened(path: Path) -> Any:
    """The archive, as a `ZipFile` of whatever library can unpack it."""
    try:
        plain = zipfile.ZipFile(path)
        if all(info.compress_type != _ZSTD for info in plain.infolist()):
            return plain
        plain.close()
        return _with_zstd(path)
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise FileError(f"{path}: is cut off or damaged: it is no whole archive") from error
    except (OSError, NotImplementedError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from error


def _with_zstd(path: Path) -> Any:
    if hasattr(zipfile, "ZIP_ZSTANDARD"):
        return zipfile.ZipFile(path)
    try:
        from backports.zstd import zipfile as with_zstd
    except ImportError:
        raise FileError(f"{path}: {_NO_ZSTD}") from None
    return with_zstd.ZipFile(path)


def _json(archive: Any, name: str, path: Path) -> Any:
    where = f"{path}: {name}"
    if archive.getinfo(name).file_size > MAX_SAMPLE:
        raise FileError(f"{where}: larger than {MAX_SAMPLE >> 20} MB, which no sample is")
    try:
        with archive.open(name) as file:
            # Its directory may lie about the size.
            raw = file.read(MAX_SAMPLE + 1)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        raise FileError(f"{where}: cannot be unpacked: {error}") from error
    except Exception as error:
        raise FileError(f"{where}: cannot be unpacked: {error}") from error
    if len(raw) > MAX_SAMPLE:
        raise FileError(f"{where}: larger than {MAX_SAMPLE >> 20} MB, which no sample is")
    return parse_json(raw, where)
