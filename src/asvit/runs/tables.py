"""CSV files: as a spreadsheet may have kept them, and written so that it runs nothing in them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from asvit.errors import UserError
from asvit.runs.json_files import complaint, read_regular

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What text begins with that a spreadsheet takes for a formula, by itself or after it has cut off spaces."""
TEXT = "'"
"""What stands before such text, and says that it is text."""
DELIMITERS = (",", ";", "\t")


def table_text(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """A CSV file with a row of names; text that would be a formula is marked as text.

    Args:
        names: columns; what a row has beside them is left out.
        rows: values by column.

    >>> table_text(["name", "value"], [{"name": "=1+1", "value": -0.5}])
    b"name,value\\n'=1+1,-0.5\\n"
    """
    text = io.StringIO(newline="")
    table = [list(map(marked, names)), *([marked(row.get(name)) for name in names] for row in rows)]
    # Else only what ends a line here would be quoted, and not the other end of lines.
    quoted = any("\r" in value for row in table for value in row if isinstance(value, str))
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows(table)
    return text.getvalue().encode()


def marked(value: object) -> object:
    """A value for a cell: text that would be a formula, or that is marked already, gets a mark.

    >>> marked("@sum"), marked("8,2,3"), marked(-1), marked("'=x")
    ("'@sum", '8,2,3', -1, "''=x")
    """
    return TEXT + value if isinstance(value, str) and value.lstrip(f" {TEXT}").startswith(FORMULA) else value


def unmarked(text: str) -> str:
    """Text of a cell as it was before it got a mark.

    >>> [unmarked(str(marked(text))) for text in ("@sum", "8,2,3", "'=x", "'quoted'")]
    ['@sum', '8,2,3', "'=x", "'quoted'"]
    """
    return text[1:] if text.startswith(TEXT) and text.lstrip(f" {TEXT}").startswith(FORMULA) else text


def read_table(path: Path, columns: Iterable[str], expected: str) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with the numbers of their lines.

    Args:
        path: file, in UTF-8, also with a mark of byte order and with semicolons or tabs, as spreadsheets write.
        columns: columns that it must have.
        expected: what it should be, for messages.

    Raises:
        UserError: it cannot be read, lacks a column or a field.
    """
    content = read_regular(path, expected)
    try:
        text = content.decode("utf-8-sig")
        delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
        header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if text else [[]]
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise UserError(f"cannot read {path}: {complaint(error)}; expected {expected}, in UTF-8") from error
    names = [unmarked(name.strip()) for name in header]
    missing = [name for name in columns if name not in names]
    if missing:
        raise UserError(
            f"{path} has no {column_s(missing)}, but {column_s(names)}: expected {expected}, with a line of names first"
        )
    if len(set(names)) < len(names):
        raise UserError(f"{path} has two columns of one name: expected {expected}")
    table = []
    for line, row in enumerate(rows, start=2):
        if row and len(row) != len(names):
            raise UserError(
                f"{path}, line {line} has {len(row)} fields, its first line {len(names)}: the file is damaged"
            )
        if row:  # spreadsheets leave empty lines at the end
            table.append((line, dict(zip(names, map(unmarked, row), strict=True))))
    return table


def column_s(names: Sequence[str], most: int = 12) -> str:
    """Columns by name.

    >>> column_s(["a"]), column_s(["a", "b"]), column_s([])
    ('column a', 'columns a, b', 'columns')
    """
    shown = ", ".join(name[:30] or "''" for name in names[:most]) + (", ..." if len(names) > most else "")
    return f"column{'s' * (len(names) != 1)} {shown}".rstrip()
