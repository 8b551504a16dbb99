"""Writes tables into a page, between marks that stay: `<!-- NAME -->` and `<!-- /NAME -->` on lines of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mjpeg_restore.errors import SinkError, SourceNotFound, reason_of


def write_page(path: Path, tables: Mapping[str, str]) -> None:
    """Put tables in the place of earlier ones.

    Args:
        path: of the page.
        tables: Markdown by name.

    Raises:
        SourceNotFound: the page cannot be read, or lacks the marks of a table.
        SinkError: it cannot be written.
    """
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise SourceNotFound(f"{path}: no page that tables can be written into ({reason_of(error)})") from error
    try:
        path.write_text(with_tables(text, tables))
    except LookupError as error:
        raise SourceNotFound(f"{path}: {error.args[0]}") from error
    except OSError as error:
        raise SinkError(f"cannot write {path} ({reason_of(error)})") from error


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """The page with other tables.

    Raises:
        LookupError: it lacks the marks of one.
    """
    for name, table in tables.items():
        between = re.compile(rf"(?<=^<!-- {name} -->\n).*?(?=^<!-- /{name} -->$)", re.DOTALL | re.MULTILINE)
        page, found = between.subn(lambda _, table=table: f"\n{table}\n\n", page)
        if found != 1:
            raise LookupError(f"the lines <!-- {name} --> and <!-- /{name} --> are not there once each")
    return page
