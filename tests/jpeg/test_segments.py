from __future__ import annotations

from pictures import encode

from mjpeg_restore.jpeg import known_tables, scan


def table(number: int, step: int, *, wide: bool = False) -> bytes:
    body = bytes([(16 if wide else 0) | number]) + step.to_bytes(2 if wide else 1, "big") * 64
    return b"\xff\xdb" + (len(body) + 2).to_bytes(2, "big") + body


def test_q5_a_renewed_table_leaves_the_others() -> None:
    first = table(0, 10) + table(1, 20)
    assert known_tables(b"", first) == first
    assert known_tables(first, b"") == first
    assert known_tables(first, table(0, 30)) == table(0, 30) + table(1, 20)
    assert known_tables(first, table(2, 300, wide=True)) == first + table(2, 300, wide=True)


def test_q5_two_tables_in_one_segment_are_taken_apart() -> None:
    both = b"\xff\xdb\x00\x84" + table(0, 10)[4:] + table(1, 20)[4:]
    assert known_tables(b"", both) == table(0, 10) + table(1, 20)


def test_q5_what_is_known_does_not_grow() -> None:
    known = b""
    for quality in range(10, 90):
        known = known_tables(known, scan(encode(size=(16, 16), quality=quality)).tables)
    assert len(known) == 2 * 69 + 2 * 33 + 2 * 183
    assert known == scan(encode(size=(16, 16), quality=89)).tables
