"""One measurement, as it is kept and exchanged: plain data, immutable, named by its content."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from statistics import median
from typing import Any

SCHEMA = 1  # of the exchanged form; raised when a field changes meaning


class ForeignRecord(ValueError):
    """A line or row that is not a record of a schema this version can read; the text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a schedule is chosen for. Records of equal keys compete.

    `workload` is the canonical fingerprint of the group's definitions, `target` the features that code
    was made for, `schedule_class` the class whose traces these are, and `class_version` the number of
    its code generation, raised only when traces or timings change meaning.
    """

    workload: str
    target: str
    threads: int
    accuracy: str
    schedule_class: str
    class_version: int


@dataclass(frozen=True, slots=True)
class Record:
    """One schedule measured, or failed, for one workload.

    `program` is the workload as text of the language, so that a record can be replayed anywhere.
    `trace` holds the schedule's decisions. `seconds` are the samples of one call each, empty where
    `error_class` tells what went wrong. `machine` and `versions` describe where and with what.
    `seed` reproduces the search's choice, `time` is seconds since 1970, UTC.
    """

    key: Key
    program: str
    trace: Any
    seconds: tuple[float, ...] = ()
    error_class: str = ""
    error_text: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    time: float = 0.0

    @property
    def best(self) -> float:
        """The smallest sample, in seconds; infinity for a failure."""
        return min(self.seconds, default=math.inf)

    @property
    def median(self) -> float:
        """The median sample, in seconds; infinity for a failure."""
        return median(self.seconds) if self.seconds else math.inf

    @property
    def id(self) -> str:
        """A digest of the content: equal measurements have one name everywhere."""
        return hashlib.sha256(self.to_line().encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """The exchanged form, with its schema version."""
        body = asdict(self)
        body["seconds"] = list(self.seconds)
        return {"schema": SCHEMA, **body}

    def to_line(self) -> str:
        """One line of JSON, the same for equal records."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_line(line: str) -> Record:
    """The record of a line. Raises ForeignRecord with the reason for anything else."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ForeignRecord(f"not JSON: {error}") from None
    return from_json(body)


def from_json(body: Any) -> Record:
    """The record of its exchanged form. Raises ForeignRecord with the reason for anything else."""
    if not isinstance(body, dict):
        raise ForeignRecord("not a JSON object")
    schema = body.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise ForeignRecord("no schema version")
    if schema > SCHEMA:
        raise ForeignRecord(f"schema {schema} is newer than this version reads ({SCHEMA})")
    unknown = set(body) - {f.name for f in fields(Record)} - {"schema"}
    if unknown:
        raise ForeignRecord(f"unknown fields {sorted(unknown)}")
    try:
        return Record(
            key=_key(body["key"]),
            program=_text(body["program"], 1 << 20),
            trace=body["trace"],
            seconds=tuple(_duration(s) for s in body["seconds"]),
            error_class=_text(body["error_class"], 200),
            error_text=_text(body["error_text"], 1 << 16),
            machine=_mapping(body["machine"]),
            versions={k: _text(v, 200) for k, v in _mapping(body["versions"]).items()},
            seed=_integer(body["seed"]),
            time=_finite(body["time"]),
        )
    except KeyError as error:
        raise ForeignRecord(f"no field {error}") from None
    except TypeError as error:
        raise ForeignRecord(str(error)) from None


def _key(body: Any) -> Key:
    found = _mapping(body)
    if set(found) != {f.name for f in fields(Key)}:
        raise ForeignRecord("the key has other fields")
    return Key(
        workload=_text(found["workload"], 200),
        target=_text(found["target"], 4000),
        threads=_integer(found["threads"]),
        accuracy=_text(found["accuracy"], 40),
        schedule_class=_text(found["schedule_class"], 40),
        class_version=_integer(found["class_version"]),
    )


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ForeignRecord(f"not a text of at most {limit} characters")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ForeignRecord("not a mapping")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
        raise ForeignRecord("not a 64-bit integer")
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ForeignRecord("not a finite number")
    return float(value)


def _duration(value: Any) -> float:
    seconds = _finite(value)
    if seconds <= 0:
        raise ForeignRecord("a sample is not a positive duration")
    return seconds
