"""The files of the page, read once."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class LoginPage:
    """The page that asks for a token. It stands alone, for nobody may load anything else yet."""

    content: bytes
    policy: str
    """Its Content-Security-Policy, which allows its own style."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file."""

    content: bytes
    media_type: str


class Pages:
    """The files of the page.

    Attributes:
        assets: by name.
        login: the page that asks for a token.
    """

    def __init__(self) -> None:
        self.assets: dict[str, Asset] = {}
        for file in (files("mjpeg_restore.serve") / "page").iterdir():
            suffix = "." + file.name.rpartition(".")[2]
            if suffix in _TYPES:
                self.assets[file.name] = Asset(file.read_bytes(), _TYPES[suffix])
        login = self.assets.pop("login.html").content
        (style,) = re.findall(rb"<style>(.*?)</style>", login, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
        self.login = LoginPage(login, f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'")
