from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mjpeg_restore.cli.inspect import described
from mjpeg_restore.errors import SourceError
from mjpeg_restore.inspection import survey
from mjpeg_restore.sources import open_source
from mjpeg_restore.testing import ListSource
from tests.jpeg.pictures import encode

WHOLE = encode(size=(64, 48))


def test_two_fields_are_counted() -> None:
    fields = encode(size=(64, 24), seed=1) + encode(size=(64, 24), seed=2)
    found = survey(ListSource([fields, fields, WHOLE], height=48))
    assert found.pictures == 3
    assert found.sizes == {"64x24": 2, "64x48": 1}
    assert found.properties["two fields, each a picture of the size above"] == 2
    assert "  headers      2 x two fields, each a picture of the size above" in described(found)


@pytest.mark.parametrize("rotation", [0, 90])
def test_the_containers_rotation_is_said(rotation: int) -> None:
    source = ListSource([WHOLE])
    source.info = replace(source.info, rotation=rotation)
    found = survey(source)
    assert found.as_dict()["rotation"] == rotation
    said = [line for line in described(found) if "rotation" in line]
    assert said == (["  rotation     90 degrees anticlockwise to stand upright"] if rotation else [])


def test_damage_of_the_second_field_is_seen() -> None:
    second = encode(size=(64, 24), seed=2)
    found = survey(ListSource([encode(size=(64, 24)) + second[: len(second) * 2 // 3]], height=48))
    assert found.damage.total() == 1


def test_a_second_picture_that_is_no_field_is_told() -> None:
    found = survey(ListSource([WHOLE + WHOLE], height=48))
    assert found.properties == {"a second picture after it, not restored": 1}
    found = survey(ListSource([3 * WHOLE], height=48))
    assert found.properties == {"further pictures after it, not restored": 1}


def test_one_picture_and_one_set_of_tables() -> None:
    lines = described(survey(ListSource([WHOLE])))
    assert lines[0] == f"a list: list, 1 picture, {len(WHOLE):,} bytes"
    assert "  tables       1 different set" in lines
    lines = described(survey(ListSource([WHOLE, encode(size=(64, 48), quality=9)])))
    assert ", 2 pictures, " in lines[0]
    assert "  tables       2 different sets" in lines


def test_equal_faults_are_counted_together() -> None:
    cut = WHOLE[:300]
    found = survey(ListSource([WHOLE, cut, b"garbage" + cut]))
    assert found.pictures == 3
    assert found.unreadable == {"the picture breaks off before its first scan": 2}


def test_nothing_readable_is_an_error_with_the_first_reason() -> None:
    with pytest.raises(SourceError, match=r"a list: no picture could be read; packet 0: .* before its first scan$"):
        survey(ListSource([WHOLE[:300], b"nothing" * 100]))
    with pytest.raises(SourceError, match=r"a list: no picture could be read$"):
        survey(ListSource([]))


def test_a_lone_file_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(WHOLE[:300])
    with open_source(path) as source, pytest.raises(SourceError) as caught:
        survey(source)
    assert str(caught.value).startswith(f"{path}: no picture could be read; packet 0: ")


def test_a_file_that_went_away_is_told(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(WHOLE)
    with open_source(tmp_path) as source:
        (tmp_path / "a.jpg").unlink()
        assert survey(source).unreadable == {"cannot be read: No such file or directory": 1}
