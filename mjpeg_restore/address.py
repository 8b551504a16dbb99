"""Network addresses: what is connected to, the credentials, and a name for messages that shows no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Self
from urllib.parse import quote, unquote, urljoin, urlsplit

from mjpeg_restore.errors import SourceError

DEFAULT_PORTS: Final = MappingProxyType({"http": 80, "https": 443, "rtsp": 554, "rtsps": 322})

_MAX_CHARACTERS: Final = 8192
"""Longer URLs are refused; servers accept about so many."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_AUTHORITY = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]*)?")
# Parameters stand in the query, and in the path of some cameras: rtsp://cam/user=admin&password=secret&channel=1.sdp
# The lookbehind keeps the search of a long URL linear.
_PARAMETER = re.compile(r"(?<![^/?&;=#])([^/?&;=#]+)=([^&;#]*)")
_WITH_PASSWORD = re.compile(r"(?!\.{0,2}/(?!/)|[a-z]:[\\/])[^:@]*:.*@", re.IGNORECASE | re.DOTALL)
"""The beginning of an address whose scheme is missing or mistyped; not of what can only be a path."""
_DRIVE = re.compile(r"/[a-z]:", re.IGNORECASE)
"""The beginning of a path of Windows in a URL, which has a slash before it."""
_SECRET = re.compile(
    "user|usr|login|account|pass|pwd|psw|pas$|token|secret|auth|cred|key$|session|signature|sig$|sid$|^(u|p|pw|pin)$",
    re.IGNORECASE,
)
"""Found in the name of a parameter that is a credential."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL. Its `repr` and its `name` show no credentials."""

    scheme: str
    """In lower case: "http", "https", "rtsp" or "rtsps", or another one that was allowed."""
    host: str
    """A name or an IP address; IPv6 without brackets."""
    port: int
    path_and_query: str = field(repr=False)
    """At least "/"; ASCII, percent-encoded. A fragment is left out."""
    user: str | None = field(default=None, repr=False)
    """Percent-decoded; None if the URL holds no credentials."""
    password: str = field(default="", repr=False)
    """Percent-decoded; empty if the URL holds none."""

    @classmethod
    def parse(cls, url: str, ports: Mapping[str, int] = DEFAULT_PORTS) -> Self:
        """Take a URL apart.

        Args:
            url: any text.
            ports: the schemes that are allowed, and the default port of each; 0: the URL must name one.

        Raises:
            SourceError: it is malformed, or its scheme is not one of `ports`. The message shows no credentials.
        """
        name = redact(url)
        if len(url) > _MAX_CHARACTERS:
            raise SourceError(f"the address {name[:60]}... has more than {_MAX_CHARACTERS} characters")
        if any(character <= " " or character == "\x7f" for character in url):
            raise SourceError(f"the address {name} holds a space or a control character: write %20 for a space")
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
            if (found := _AUTHORITY.match(url)) and not _is_plausible(found[2], url[found.end() :]):
                raise ValueError
        except ValueError:
            raise SourceError(
                f"the address {name} is malformed: in a user name or password write %40 for @, %3A for :, %2F for /, "
                "%23 for # and %3F for ?, and in a path %40 for @"
            ) from None
        scheme = parts.scheme.lower()
        if scheme not in ports:
            *others, last = (f"{known}://" for known in ports)
            raise SourceError(f"the address {name} does not begin with {', '.join(others)} or {last}")
        if not host:
            raise SourceError(f"the address {name} names no host")
        try:
            port = ports[scheme] if parts.port is None else parts.port
        except ValueError:  # more than 65535
            port = 0
        if port == 0:
            raise SourceError(f"the address {name} names no port that exists: 1 to 65535")
        user = None if parts.username is None else unquote(parts.username)
        password = unquote(parts.password or "")
        if any(character < " " or character == "\x7f" for character in (user or "") + password):
            raise SourceError(f"the user name or password in the address {name} holds a control character")
        path = quote(parts.path or "/", safe=_ASCII) + (f"?{quote(parts.query, safe=_ASCII)}" if parts.query else "")
        return cls(scheme, _ascii_host(host, name), port, path, user, password)

    @property
    def authority(self) -> str:
        """Host and port as a URL writes them; the default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without user name and password; its query may hold secrets."""
        return f"{self.scheme}://{self.authority}{self.path_and_query}"

    @property
    def name(self) -> str:
        """The URL for messages, without credentials."""
        return redact(self.url)

    def join(self, location: str) -> Self:
        """The address that a redirect from this one names.

        Args:
            location: of the redirect; spaces and other bytes than ASCII's, as `http.client` decodes them, are accepted.

        Raises:
            SourceError: see `parse`.
        """
        location = quote(location.encode("latin-1", "replace"), safe=_ASCII)
        try:
            if _SCHEME.match(location):
                return self.parse(urljoin(self.url, location))
            # By the rules of http, which every Python knows; not each one knows that rtsps has the same.
            return self.parse(
                self.scheme + urljoin(f"http{self.url.removeprefix(self.scheme)}", location)[len("http") :]
            )
        except ValueError:  # of urljoin, for brackets without an IPv6 address
            raise SourceError(f"the address {redact(location)} is malformed") from None

    def same_server(self, other: Address) -> bool:
        """Whether the other address has the same host and port."""
        return (self.host, self.port) == (other.host, other.port)


_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))
"""What `quote` leaves alone: the user has percent-encoded it where needed."""


def redact(url: str) -> str:
    """A URL for messages: the user name and password are left out, and secrets in path and query become `***`.

    Any text is accepted. Of a malformed URL, or one without a scheme, more is left out than necessary.
    """
    url = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in url)
    if found := _AUTHORITY.match(url):
        scheme, authority = found.groups()
        host, rest = authority.rpartition("@")[2], url[found.end() :]
        if not _is_plausible(authority, rest):
            host, rest = "", (host + rest).rpartition("@")[2]
        url = f"{scheme}://{host}{rest}"
    elif ":" in (parts := url.rpartition("@"))[0]:  # its :// is mistyped
        url = parts[2]
    return _PARAMETER.sub(_hide_secret, url.partition("#")[0])


def file_path(url: str) -> str:
    """The path of a `file://` URL.

    Raises:
        ValueError: it is one of another machine, as one with two slashes is, or has no path.
    """
    host, slash, path = url[len("file://") :].partition("/")
    if not slash or host.lower() not in ("", "localhost"):
        raise ValueError("file:// takes an absolute path: three slashes, as in file:///home, or leave file:// out")
    path = unquote(f"/{path}")
    return path[1:] if os.name == "nt" and _DRIVE.match(path) else path


def without_scheme(name: str) -> str:
    """What to call a name in messages that looks like an address whose scheme is missing or mistyped: what follows its
    password, "this" if that is nothing. Empty if it can be a path."""
    found = _WITH_PASSWORD.match(name)
    return redact(name[found.end() :]) or "this" if found else ""


def _is_plausible(authority: str, rest: str) -> bool:
    """Whether a URL is divided as its user meant it: a password that holds / ? or # would end the authority too early.

    Then what precedes is no host and port, or, with a password that begins with digits or holds an @, looks like one;
    and there is an @ further on. The same is true where nothing precedes it, by a slash too many.
    """
    host = authority.rpartition("@")[2]
    path = rest if rest.startswith("?") else rest.partition("?")[0]  # a query directly behind the port is rare
    misplaced = (":" in authority or not authority) and "@" in path
    return _HOST_AND_PORT.fullmatch(host) is not None and not misplaced


def _hide_secret(parameter: re.Match[str]) -> str:
    name = unquote(parameter[1])
    return f"{parameter[1]}=***" if _SECRET.search(name) else parameter[0]


def _ascii_host(host: str, name: str) -> str:
    """A host as it is resolved: the zone of an IPv6 address is decoded (RFC 6874), other alphabets become Punycode."""
    try:
        if ":" in host:
            return host.replace("%25", "%")
        if "%" not in host:
            return host.encode("idna").decode("ascii")
    except UnicodeError:
        pass
    raise SourceError(f"the address {name} holds an impossible host name")
