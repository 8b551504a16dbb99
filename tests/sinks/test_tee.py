from __future__ import annotations

from mjpeg_restore.sinks import Tee
from tests.in_memory import Collect
from tests.sinks.conftest import flat


class Remarking(Collect):
    remark = "the sound is missing"


def test_every_sink_gets_every_picture() -> None:
    sinks = [Collect(), Collect()]
    tee = Tee(sinks)
    tee.write(flat(index=3))
    tee.close()
    tee.discard()
    assert [[picture.index for picture in sink.pictures] for sink in sinks] == [[3], [3]]
    assert [sink.ended for sink in sinks] == [["closed", "discarded"]] * 2


def test_one_sink_of_fixed_size_or_closed_is_enough() -> None:
    assert not Tee([Collect(), Collect()]).fixed_size
    assert Tee([Collect(), Collect(fixed_size=True)]).fixed_size
    tee = Tee([Collect(), Collect(leave_at=1)])
    assert not tee.closed
    tee.write(flat())
    assert tee.closed


def test_remarks_are_joined() -> None:
    assert Tee([Collect(), Collect()]).remark is None
    assert Tee([Collect(), Remarking()]).remark == "the sound is missing"
    assert Tee([Remarking(), Remarking()]).remark == "the sound is missing; the sound is missing"
