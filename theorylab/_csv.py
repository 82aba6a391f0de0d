"""Results as a table of plain text, for spreadsheets and pandas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose records within it have become columns of their own.

    Examples
    --------
    >>> flat({"check": "a", "negative_control": {"what": "b", "rejected": True}})
    {'check': 'a', 'negative_control_what': 'b', 'negative_control_rejected': True}
    """
    columns: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            columns |= {f"{name}_{inner}": entry for inner, entry in flat(value).items()}
        else:
            columns[name] = value
    return columns


def text(records: Iterable[Mapping[str, Any]]) -> str:
    r"""Return the rows of a CSV file (RFC 4180) under one line of names; what a record lacks, or None, is an empty cell.

    Examples
    --------
    >>> text([{"claim": "lemma1", "p": 1.0}, {"claim": "a, b", "p": None, "n": 3}])
    'claim,p,n\r\nlemma1,1.0,\r\n"a, b",,3\r\n'
    """
    rows = [flat(record) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(names))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
