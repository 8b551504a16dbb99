"""The words of the command line that become numbers, times, rates, sizes, addresses and secrets."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

from mjpeg_restore import values
from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.serve.address import parse_address

_SECONDS = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
"""No exponent: the exact value of 1e999999999 is a gigabyte."""


def _argument(parse: Callable[[str], object], what: str, word: str) -> object:
    """The parsed word; an error of `parse` becomes "WORD is not WHAT"."""
    try:
        return parse(word)
    except (ValueError, ZeroDivisionError, MjpegRestoreError):
        raise argparse.ArgumentTypeError(f"{word!r} is not {what}") from None


def _typed(parse: Callable[[str], object]) -> Callable[[str], object]:
    """A type of argparse's: it shows the sentence of this error alone."""

    def typed(word: str) -> object:
        try:
            return parse(word)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


positive = _typed(values.positive)
threads = _typed(values.threads)
rate = _typed(values.rate)
period = _typed(values.period)
segment = _typed(values.segment)
size = _typed(values.size)
listening = _typed(parse_address)


def sound(word: str) -> object:
    """A number from 1, or "all"."""
    return word if word == "all" else positive(word)


def part(word: str) -> object:
    """A number of packets, or 0."""
    return _typed(partial(values.positive, least=0))(word)


def seed(word: str) -> object:
    """A whole number from 0."""
    number = _argument(int, "a whole number", word)
    if not isinstance(number, int) or number < 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not 0 or more")
    return number


def share(word: str) -> object:
    """A number from 0 to 1."""
    number = _argument(float, "a number", word)
    if not isinstance(number, float) or not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not between 0 and 1")
    return number


def time(word: str) -> object:
    """Seconds, of a time such as 90, 1.5 or 1:30."""

    def seconds(text: str) -> Fraction:
        total = Fraction(0)
        for part in text.split(":"):
            if not _SECONDS.fullmatch(part):
                raise ValueError
            total = 60 * total + Fraction(part)
        if text.count(":") > 2:
            raise ValueError
        return total

    return _argument(seconds, "a time such as 90, 1.5 or 1:30", word)


def length(word: str) -> object:
    """Seconds, more than 0."""
    if not (length := time(word)):
        raise argparse.ArgumentTypeError(f"{word!r} is not more than 0 seconds")
    return length


def capability(word: str) -> tuple[int, int]:
    """A GPU's compute capability."""
    found = re.fullmatch(r"([0-9]{1,2})\.([0-9])", word)
    if not found:
        raise argparse.ArgumentTypeError(f"{word!r} is not a compute capability such as 8.9")
    return int(found[1]), int(found[2])


def pair(word: str) -> tuple[str, str]:
    """A key and its value."""
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{word!r} is not KEY=VALUE")
    return key, value


def folder(word: str) -> Path:
    """A folder."""
    if not word:  # Path makes the current folder of it
        raise argparse.ArgumentTypeError("is empty: is a variable unset?")
    return Path(word)


def secret(word: str) -> object:
    """A secret, or with "@" in front the file whose first line it is: other users see the words of a command."""
    if not word:
        raise argparse.ArgumentTypeError("is empty: is a variable unset?")
    if not word.startswith("@"):
        return word
    try:
        found = values.secret_in(Path(word[1:])).partition("\n")[0].strip()
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not found:
        raise argparse.ArgumentTypeError(f"the first line of {word[1:]} is empty")
    return found


def user_and_password(word: str) -> object:
    """A user and a password, joined by a colon, or the file that they are in."""
    user, _, password = str(secret(word)).partition(":")
    if not (user and password):
        raise argparse.ArgumentTypeError("give USER:PASSWORD, or @FILE with that in its first line")
    return user, password
