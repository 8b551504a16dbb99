"""Where a server listens."""

from __future__ import annotations

import re

LOOPBACK = "127.0.0.1"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; `:PORT` or a port alone is the loopback interface, `[::1]:PORT` an IPv6 address.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"(?:(?P<host>[^:\[\]/\s]*|\[[0-9A-Fa-f:.%\w]+\]):)?(?P<port>[0-9]{1,5})", text)
    if not found or int(found["port"]) > 65535:
        raise ValueError(f"{text!r} is no address: give HOST:PORT, such as 127.0.0.1:8080")
    return (found["host"] or LOOPBACK).strip("[]"), int(found["port"])
