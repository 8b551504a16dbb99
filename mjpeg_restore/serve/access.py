"""Who may watch: those with the token or the password, and no web page that gives this machine a name of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must bring. Of a token and a password either is enough; without both, everybody may watch."""

    token: str | None = field(default=None, repr=False)
    """Accepted as `Authorization: Bearer TOKEN`, as `?token=TOKEN`, and as a password."""
    user: str | None = None
    """The name of basic authentication; with `password`."""
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: an empty token or password, or a user without a password or the reverse.
        """
        if "" in (self.token, self.user, self.password):
            raise ValueError("a token, a user or a password is empty: is a variable unset?")
        if (self.user is None) != (self.password is None):
            raise ValueError("a user needs a password, and a password a user")
        if self.user and ":" in self.user:
            raise ValueError(f"the user {self.user!r} has a colon, which basic authentication cannot send")

    @property
    def required(self) -> bool:
        """Whether a request must bring anything."""
        return self.token is not None or self.password is not None

    @property
    def cookie(self) -> tuple[str, str]:
        """Name and value of the cookie that stands for the token. Neither tells the token, and a server that starts
        again with the same token accepts the same cookie."""
        digest = hmac.digest(_bytes(self.token or ""), b"mjpeg-restore cookie", "sha256").hex()
        return f"mjpeg-restore-{digest[:8]}", digest[8:]

    def allows(self, authorization: str, cookies: str, token: str | None) -> bool:
        """Whether a request may be answered.

        Args:
            authorization: its header `Authorization`, or nothing.
            cookies: its header `Cookie`, or nothing.
            token: from its query.
        """
        if not self.required:
            return True
        scheme, _, given = authorization.partition(" ")
        tokens = [token]
        if scheme.lower() == "bearer":
            tokens += [given.strip(), _utf8(given.strip())]
        if scheme.lower() == "basic":
            user, password = _credentials(given)
            tokens.append(password)
            if self.user and self.password:
                # Both are always compared, so that the time does not tell which one is wrong.
                right = _same(user, self.user), _same(password, self.password)
                if all(right):
                    return True
        if self.token is None:
            return False
        name, value = self.cookie
        return any(_same(one, self.token) for one in tokens if one) or _same(_cookie(cookies, name), value)


def _same(given: str, right: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    # Digests, because the time depends on the length, too.
    return hmac.compare_digest(*(hashlib.sha256(_bytes(text)).digest() for text in (given, right)))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # a command's arguments need not be UTF-8


def _credentials(given: str) -> tuple[str, str]:
    """User and password of basic authentication; both empty if they cannot be read."""
    try:
        user, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:  # of base64, of UTF-8, or characters that neither has
        return "", ""
    return user, password


def _utf8(header: str) -> str | None:
    """What a client meant that sent UTF-8, as most do; headers come as Latin-1. None if it is none."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return None


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def allowed_host(header: str, names: Iterable[str]) -> bool:
    """Whether a `Host` header names this server; its port does not matter.

    Args:
        header: its value.
        names: of the server, beside those of the loopback interface.
    """
    host = header.strip().lower()
    host = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    loopback = {"localhost", "127.0.0.1", "::1", ""}
    return host in loopback or host.endswith(".localhost") or host in {name.lower() for name in names}
