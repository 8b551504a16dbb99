"""Which cameras share a process: nobody is lost, nobody is there twice, and no group is too large."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.fleet import NetworkChoice
from mjpeg_restore.fleet.spread.placement import (
    HEADROOM,
    MOST_CAMERAS,
    MOST_CPUS,
    Cost,
    Load,
    Placement,
    Share,
    grouped,
    largest_group,
    reserved,
    room,
    share_of,
)
from tests.fleet.scripted import camera

CPU, GPU = NetworkChoice("stream", "openvino"), NetworkChoice("stream", "cuda")
COSTS = {CPU: Cost(0.1), GPU: Cost(0.02, 0.005)}
loads = st.builds(Load, st.sampled_from([320, 640, 1920]), st.sampled_from([240, 480, 1080]), st.floats(0.5, 60))
fleets = st.lists(st.tuples(loads, st.sampled_from([CPU, GPU])), min_size=1, max_size=100)


def test_a_camera_takes_what_it_sends_at_what_that_costs() -> None:
    share = share_of(Load(1000, 1000, 8), Cost(0.05, 0.01))
    assert share.cpus == pytest.approx(8 * 0.05 / HEADROOM)
    assert share.gpus == pytest.approx(8 * 0.01 / HEADROOM)


@given(fleets, st.lists(st.floats(1, 64), min_size=1, max_size=8))
def test_each_camera_is_in_one_group_that_has_its_network_and_its_share(
    fleet: list[tuple[Load, NetworkChoice]], cores: list[float]
) -> None:
    cameras = [camera(f"c{number}", network=choice) for number, (_, choice) in enumerate(fleet)]
    sent = {one.name: load for one, (load, _) in zip(cameras, fleet, strict=True)}
    needed = {one.name: share_of(sent[one.name], COSTS[one.network]) for one in cameras}
    largest = largest_group(needed.values(), cores)
    groups = grouped(cameras, sent, COSTS, largest)
    assert sorted(one.name for group in groups for one in group.cameras) == sorted(sent)
    for group in groups:
        assert len({one.network for one in group.cameras}) == 1
        assert len(group.cameras) <= MOST_CAMERAS
        assert 0 < group.share.cpus <= min(MOST_CPUS, max(max(cores) / 2, 0.5)) + 1e-4
        assert (group.share.gpus > 0) == (group.cameras[0].network == GPU)
        assert group.share.gpus <= 0.5
        assert group.threads == ceil(group.share.cpus)
        total = sum((needed[one.name] for one in group.cameras), Share(0.0))
        if len(group.cameras) > 1:
            assert group.share.cpus >= total.cpus - 1e-3
            assert group.share.gpus >= total.gpus - 1e-3


@given(fleets, st.lists(st.integers(1, 32), min_size=1, max_size=6))
def test_whatever_is_needed_finds_room_when_the_largest_node_has_died(
    fleet: list[tuple[Load, NetworkChoice]], cores: list[int]
) -> None:
    cameras = [camera(f"c{number}", network=CPU) for number in range(len(fleet))]
    sent = {one.name: load for one, (load, _) in zip(cameras, fleet, strict=True)}
    largest = largest_group([share_of(load, COSTS[CPU]) for load in sent.values()], cores)
    groups = grouped(cameras, sent, COSTS, largest)
    kept = reserved(groups, room([Share(one) for one in cores]))
    assert [one.cameras for one in kept] == [one.cameras for one in groups]
    assert [one.threads for one in kept] == [one.threads for one in groups]
    assert all(one.share.within(before.share) for one, before in zip(kept, groups, strict=True))
    left = sorted(map(float, cores))[: max(len(cores) - 1, 1)]
    if max(one.share.cpus for one in kept) <= min(left) / 2:
        for one in kept:  # the first node that has room; Ray takes others, and these are as good
            number = next(index for index, free in enumerate(left) if free >= one.share.cpus)
            left[number] -= one.share.cpus


def test_a_cluster_that_is_too_small_is_shared() -> None:
    placements = [Placement((), Share(1.0), 1)] * 6
    assert [one.share for one in reserved(placements, Share(4.5))] == [Share(0.5)] * 6
    assert reserved(placements, Share(100.0)) == placements
    assert {one.share for one in reserved(placements, Share(0.0))} == {Share(0.01)}


def test_room_is_what_others_leave_of_all_nodes_but_the_largest() -> None:
    nodes = [Share(8.0), Share(4.0, 2.0), Share(16.0)]
    assert room(nodes) == Share(12.0, 2.0)
    assert room(nodes, [Share(3.0, 0.5)] * 2) == Share(6.0, 1.0)
    assert room([Share(2.0)]) == Share(2.0)


def test_all_nodes_get_cameras() -> None:
    cameras = [camera(f"c{number}", network=CPU) for number in range(8)]
    sent = {one.name: Load(640, 480, 5) for one in cameras}
    shares = [share_of(load, COSTS[CPU]) for load in sent.values()]
    groups = grouped(cameras, sent, COSTS, largest_group(shares, [16.0] * 4))
    assert [len(group.cameras) for group in groups] == [2, 2, 2, 2]


def test_a_group_takes_no_more_than_half_a_node() -> None:
    largest = largest_group([Share(1.0)] * 12, [4.0, 2.0])
    assert largest.cpus == 2


def test_a_camera_that_is_too_much_for_any_process_has_one_of_its_own() -> None:
    cameras = [camera("huge", network=CPU), camera("tiny", network=CPU)]
    sent = {"huge": Load(4000, 3000, 60), "tiny": Load(64, 48, 1)}
    groups = grouped(cameras, sent, COSTS, Share(4.0, 1.0))
    assert [[one.name for one in group.cameras] for group in groups] == [["huge"], ["tiny"]]
    assert groups[0].share == Share(4.0) and groups[0].threads == 4
