"""`${NAME}` and `${file:PATH}` in settings: so credentials need not stand in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from mjpeg_restore.values import secret_in

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_BEGUN = "${"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE = "file:"
_USER_INFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*@)")


def expand(text: str, environment: Mapping[str, str], folder: Path) -> str:
    """Replace `${NAME}` by a variable's value, and `${file:PATH}` by a file's text without the line end behind it.

    Between `://` and `@` of a URL the values are percent-encoded, so that a password may have any characters. `$${`
    stands for `${`.

    Args:
        text: with any number of references.
        environment: the variables.
        folder: where relative paths begin.

    Raises:
        ValueError: a reference has no end, there is no such variable or file, or the file cannot be read as UTF-8. The
            message shows no value.
    """
    # References are masked for the search: a file's path has slashes, which would end the authority.
    masked = _REFERENCE.sub(lambda found: "x" * len(found[0]), text)
    if _BEGUN in masked:
        raise ValueError("a reference has no end: write ${NAME} or ${file:PATH}, and $${ for ${ itself")
    found = _USER_INFO.match(masked)
    start, end = found.span(1) if found else (0, 0)

    def value(reference: re.Match[str]) -> str:
        if reference[1] is None:
            return _BEGUN
        value = _read(reference[1], environment, folder)
        return quote(value, safe="") if start <= reference.start() < end else value

    return _REFERENCE.sub(value, text)


def has_reference(text: str) -> bool:
    """Whether a text holds a variable's value or a file's text, once it is expanded."""
    return any(found[1] is not None for found in _REFERENCE.finditer(text))


def _read(name: str, environment: Mapping[str, str], folder: Path) -> str:
    if name.startswith(_FILE):
        return secret_in(folder / name.removeprefix(_FILE))
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"${{{name}}} is no reference: write ${{NAME}} for a variable, or ${{file:PATH}}")
    try:
        return environment[name]
    except KeyError:
        raise ValueError(f"the environment has no variable {name}") from None
