"""The server's side of HTTP and RTSP authentication: basic (RFC 7617) and digest (RFC 2617, RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Literal

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True)
class Access:
    """A user and a password, and how they are asked for."""

    user: str
    password: str
    scheme: Literal["basic", "digest"] = "basic"
    algorithm: Literal["MD5", "SHA-256", ""] = "MD5"
    """Of digest; empty: not stated, which means MD5."""
    qop: str = "auth"
    """Of digest; empty: as in RFC 2069."""
    realm: str = "camera"
    nonce: str = "6fb1c2a0d4"

    def challenge(self) -> str:
        """The value of WWW-Authenticate."""
        if self.scheme == "basic":
            return f'Basic realm="{self.realm}"'
        algorithm = f", algorithm={self.algorithm}" if self.algorithm else ""
        qop = f', qop="{self.qop}"' if self.qop else ""
        return f'Digest realm="{self.realm}", nonce="{self.nonce}", opaque="5ccc"{algorithm}{qop}'

    def admits(self, method: str, authorization: str) -> bool:
        """Whether the value of a request's Authorization header, empty where it has none, is right."""
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() != self.scheme:
            return False
        if self.scheme == "basic":
            return rest.strip() == base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        stated = {name: quoted or plain for name, quoted, plain in _FIELD.findall(rest)}
        return (
            stated.get("username") == self.user
            and stated.get("nonce") == self.nonce
            and stated.get("opaque", "5ccc") == "5ccc"
            and stated.get("response") == self._response(method, stated)
        )

    def _response(self, method: str, stated: dict[str, str]) -> str:
        def digest(*words: str) -> str:
            return hashlib.new("sha256" if self.algorithm == "SHA-256" else "md5", ":".join(words).encode()).hexdigest()

        secret = digest(self.user, self.realm, self.password)
        action = digest(method, stated.get("uri", ""))
        if not stated.get("qop"):
            return digest(secret, self.nonce, action)
        return digest(secret, self.nonce, stated.get("nc", ""), stated.get("cnonce", ""), stated["qop"], action)
