"""`stream-video` and `stream-video-lite`: `stream` and `stream-lite` on the mean of a camera's frames.

Training begins from the weights of the network for single frames, without its stage of screens, whose gain is added in
the end:

    python scripts/train.py --model stream-video --init-from runs/stream/rounded/checkpoint.pt --anew gate \\
        chroma_gate past enter_state chroma_enter_state --clips RECORDINGS ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from torch import nn

from mjpeg_restore.models.stream import STREAM, STREAM_LITE, StreamConfig
from mjpeg_restore.models.stream_video import StreamVideo
from mjpeg_restore.training.degradation import Degradation
from mjpeg_restore.training.objectives import over_frames, over_frames_without_harm
from mjpeg_restore.training.optimiser import MuonBeside
from mjpeg_restore.training.recipe import Blend, Gained, Linear, ModelRecipe, Recipe, Variant
from mjpeg_restore.training.recipes import stream

ADDED = ("gate", "chroma_gate", "past", "enter_state", "chroma_enter_state")
"""The layers of the state."""
GATES = ("gate.", "chroma_gate.")
"""Those that decide what of the past is still true."""


def stages(model: str, config: StreamConfig, gate: int) -> Mapping[str, Recipe]:
    """The four stages of a model, whose gates have that many hidden channels."""
    whole = replace(
        stream.stages(model, config)["whole"],
        build=partial(StreamVideo, config, gate),
        objective=over_frames,
        degradation=Degradation(grey_odds=0.25),
        frames=14,
        batch=4,
        optimiser=MuonBeside(ADDED, inputs=None, rest=0.05),
        learning_rate=2e-3,
        budget=5,
    )
    end = replace(
        whole,
        build=partial(stream.rounding, whole.build),
        side=160,
        batch=2,
        learning_rate=5e-4,
        schedule=Linear(0),
        init_from=f"{model}/whole",
        budget=1,
    )
    gates = replace(
        end,
        build=partial(trained_in_part, end.build, gates=True),
        objective=over_frames_without_harm,
        batch=4,
        learning_rate=1e-3,
        schedule=Linear(0.25),
        init_from=f"{model}/rounded",
        budget=2,
    )
    rest = replace(
        end,
        build=partial(trained_in_part, end.build, gates=False),
        learning_rate=2e-4,
        init_from=f"{model}/gates",
        budget=1,
    )
    return {"whole": whole, "rounded": end, "gates": gates, "rest": rest}


def trained_in_part(build: Callable[[], nn.Module], *, gates: bool) -> nn.Module:
    """A network of which the gates alone are trained, so that what it makes of a mean stays as it is; or all but the
    gates, so that what it believes of the past does."""
    network = build()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(GATES) == gates)
    return network


def variant(model: str) -> Variant:
    """What is shipped: half of the last stage, and half of what the model for pictures has gained by its own. Both were
    trained on screens beside photos, for which that is most of the gain, and cameras lose least by it."""
    return Variant(None, "rest", "rest", Blend("gates", 0.5), Gained(model, "rounded", "screens", 0.5))


MODELS = {
    name: ModelRecipe(summary, stages(name, config, gate), variants=(variant(pictures),), projected=True, extra="state")
    for name, pictures, config, gate, summary in (
        (
            "stream-video",
            "stream",
            STREAM,
            48,
            "the real-time network for cameras that do not move: what frames have in common",
        ),
        ("stream-video-lite", "stream-lite", STREAM_LITE, 24, "the same at a quarter of the cost"),
    )
}
