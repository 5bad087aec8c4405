"""The one place that turns a malformed file or object into one line.

A file is read as text (`read_text`), its text parsed (`parse_json`, `parse_toml`), its values checked against a
pydantic model (`checked`). Whatever is wrong on the way is a `UserError` that names the file, the place and the
reason; no other exception leaves here for bad input.
"""

from promptkit.checking.documents import (
    LARGEST,
    parse_json,
    parse_json_object,
    read_json_object,
    read_toml,
)
from promptkit.checking.fields import (
    CheckedModel,
    Count,
    Index,
    Name,
    NotNegative,
    Positive,
    Size,
    checked,
    cut,
    field_fault,
    shortened,
)
from promptkit.checking.files import (
    check_encoding,
    decode,
    missing,
    path_shown,
    read_bytes,
    read_text,
    user_path,
)
from promptkit.checking.names import OWN_SLOTS, field_name, guess_slot, is_field_name, is_mark, parse_fields

__all__ = [
    "LARGEST",
    "OWN_SLOTS",
    "CheckedModel",
    "Count",
    "Index",
    "Name",
    "NotNegative",
    "Positive",
    "Size",
    "check_encoding",
    "checked",
    "cut",
    "decode",
    "field_fault",
    "field_name",
    "guess_slot",
    "is_field_name",
    "is_mark",
    "missing",
    "parse_fields",
    "parse_json",
    "parse_json_object",
    "path_shown",
    "read_bytes",
    "read_json_object",
    "read_text",
    "read_toml",
    "shortened",
    "user_path",
]
