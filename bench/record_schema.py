"""The record's JSON Schema (draft 2020-12), and what a body has that it does not allow."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]  # ships no types

SCHEMA_FILE = Path(__file__).with_name("record.schema.json")


def schema_text() -> str:
    """The schema as it is shipped."""
    return SCHEMA_FILE.read_text(encoding="utf-8")


@functools.cache
def validator() -> Draft202012Validator:
    """Holds bodies of the present schema to it."""
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(body: Any) -> Iterator[str]:
    """`at trial/seed: expected type integer, got 'x'`, for everything that the schema refuses."""
    return (told(error) for error in validator().iter_errors(body))


def told(error: ValidationError) -> str:
    """A violation on one line: where, what was expected, what came."""
    place = "/".join(map(str, error.absolute_path)) or "the top"
    wanted, came = error.validator_value, error.instance
    if error.validator == "required":
        missing = [name for name in wanted if name not in came]
        return f"at {place}: expected {', '.join(missing)}, found none"
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        names = [name for name in came if name not in known]
        return f"at {place}: expected none but {', '.join(known)}, got {short(names)}"
    return f"at {place}: expected {error.validator} {short(wanted)}, got {short(came)}"


def short(value: Any, most: int = 60) -> str:
    """The value as Python writes it, on one line and cut."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
