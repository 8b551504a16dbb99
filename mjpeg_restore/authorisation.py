"""Answers of a client to a server that asks for a user name and password: basic and digest (RFC 7617, RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

_HASHES: Final = MappingProxyType({"SHA-256": "sha256", "MD5": "md5"})
"""Algorithms of digest authentication, the strongest first; each also exists as "-sess"."""

_TOKEN = re.compile(r'[\s,]*([^\s,="]+)(?:\s*(=)\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?')
"""The name of a scheme, or a parameter with its value."""
_FOLD = re.compile(r"\r?\n[ \t]+")
"""A line break within a header."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for."""

    scheme: str
    """In lower case: "basic", "digest", or one that is not supported."""
    parameters: Mapping[str, str]
    """By their names in lower case."""

    @property
    def algorithm(self) -> str:
        """The algorithm of a digest without "-SESS", such as "MD5"."""
        return self.parameters.get("algorithm", "MD5").upper().removesuffix("-SESS")

    @property
    def strength(self) -> int:
        """Higher is stronger; 0 if it cannot be answered."""
        if self.scheme == "basic":
            return 1
        protections = self.parameters.get("qop", "auth").lower().replace(",", " ").split()
        if self.scheme != "digest" or self.algorithm not in _HASHES or "auth" not in protections:
            return 0
        return 2 + [*reversed(_HASHES)].index(self.algorithm)

    @property
    def stale(self) -> bool:
        """Whether the credentials were right, and only the server's nonce has expired."""
        return self.parameters.get("stale", "").lower() == "true"


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Parse the values of WWW-Authenticate headers, each of which may hold several challenges.

    Args:
        headers: their bytes decoded as Latin-1, as `http.client` does.
    """
    found: list[Challenge] = []
    for header in headers:
        parameters: dict[str, str] = {}
        for name, equals, value in _TOKEN.findall(_FOLD.sub(" ", header)):
            if not equals:
                parameters = {}
                found.append(Challenge(name.lower(), parameters))
            else:
                quoted = value.startswith('"')
                parameters[name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    return found


@dataclass(slots=True)
class Authorisation:
    """Answers the challenges of one server. Before the first challenge it sends nothing."""

    user: str
    password: str = field(repr=False)
    _challenge: Challenge | None = None
    _uses: int = 0
    """Requests that have used the challenge's nonce."""

    def accept(self, challenges: Iterable[Challenge]) -> bool:
        """Take the strongest challenge, to answer it from now on; False if none is supported."""
        best = max(challenges, key=lambda challenge: challenge.strength, default=None)
        if best is None or not best.strength:
            return False
        self._challenge, self._uses = best, 0
        return True

    def header(self, method: str, uri: str, cnonce: str = "") -> str | None:
        """The value of the Authorization header for a request; None before the first challenge.

        It is to be sent as Latin-1, so that realm and nonce are the server's bytes.

        Args:
            method: of the request, such as "GET".
            uri: path and query exactly as in the request.
            cnonce: the client's nonce; empty: random.
        """
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
        self._uses += 1
        return self._digest(self._challenge, method, uri, cnonce or secrets.token_hex(16))

    def _digest(self, challenge: Challenge, method: str, uri: str, cnonce: str) -> str:
        given = challenge.parameters
        realm, nonce, count = given.get("realm", ""), given.get("nonce", ""), f"{self._uses:08x}"

        def hash(*parts: str | bytes) -> str:
            coded = b":".join(part if isinstance(part, bytes) else part.encode() for part in parts)
            return hashlib.new(_HASHES[challenge.algorithm], coded, usedforsecurity=False).hexdigest()

        sent_realm, sent_nonce = realm.encode("latin-1"), nonce.encode("latin-1")  # in whatever encoding the server has
        secret = hash(self.user, sent_realm, self.password)
        if given.get("algorithm", "").upper().endswith("-SESS"):
            secret = hash(secret, sent_nonce, cnonce)
        protected = (sent_nonce, count, cnonce, "auth") if "qop" in given else (sent_nonce,)
        answer: dict[str, str] = {"realm": _quoted(realm), "nonce": _quoted(nonce), "uri": _quoted(uri)}
        if given.get("userhash", "").lower() == "true":
            answer |= {"username": _quoted(hash(self.user, sent_realm)), "userhash": "true"}
        elif self.user.isascii():
            answer |= {"username": _quoted(self.user)}
        else:
            answer |= {"username*": f"UTF-8''{quote(self.user, safe='')}"}
        answer["response"] = _quoted(hash(secret, *protected, hash(method, uri)))
        if "algorithm" in given:
            answer["algorithm"] = given["algorithm"]
        if "opaque" in given:
            answer["opaque"] = _quoted(given["opaque"])
        if "qop" in given:
            answer |= {"qop": "auth", "nc": count}
        if "qop" in given or "algorithm" in given:
            answer["cnonce"] = _quoted(cnonce)
        return "Digest " + ", ".join(f"{name}={value}" for name, value in answer.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
