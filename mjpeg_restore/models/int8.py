"""Convolutions in eight bits: a CPU multiplies twice as many numbers of them at once as of bf16, four times as many as
of float32.

Quantisation is JPEG's word here, so this module speaks of rounding to a step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SIGNED_SPREAD = 10.0
UNSIGNED_SPREAD = 14.0
"""How far eight bits reach, in root mean squares of the features: what is left of them by a rectifier has the longer
tail. Coarse tables make the largest features, and fine ones need the finest steps. With 12 and 22 nothing is cut off at
Q10, but Q80 loses 0.05 dB that rounding in training does not win back; what these cut off at Q10, it does."""

PACE = 0.01
"""Share of a batch in the running mean."""

WEIGHT_LEVELS = (-127, 127)

PAIR = 127
"""What the weights of two neighbouring channels may make together, in steps: 128 once both are rounded. CPUs without
dot products of bytes (VNNI) add two products in sixteen bits; 255 times 128 fits there, more is cut off. Without this
bound samples of `stream-lite` were up to 20 grey levels off on such a CPU. Steps are a fifth coarser for it."""

SMALLEST_STEP = 1e-6
"""Of an input that is always zero, and of the weights of a layer that has died."""
WEAKEST = 1e-3
"""Of the layer's largest weight: no channel's step is that of less. Runtimes may keep a bias in units of both steps, in
32 bits, as ONNX Runtime does by default: a channel whose weights have died, but whose bias has not, would overflow."""

UNTRAINED = 8.0
"""How far eight bits reach before anything is known of the features, which are about 1 large."""


class Int8Conv(nn.Conv2d):
    """A convolution with weights and input in eight bits once it is trained; 3x3, unless it is told otherwise.

    In evaluation the weights are whole multiples of a step of their output channel, the input of one step of the layer.
    An exported graph says so by QuantizeLinear and DequantizeLinear: OpenVINO fuses them with every convolution,
    `runtime/cpu/onnxruntime.py` computes what they say in float32. What the result is added to, the residual connection
    above all, keeps its precision.

    Training is in full precision, and takes note of how large the features are; in its end, where `rounds` is set, it
    rounds too, and lets gradients pass straight through (Jacob et al. 2018, section 3). Begun with that, `stream` was
    0.04 dB behind after ten minutes. Ended with it, `stream-lite` won back three quarters of the 0.03 to 0.12 dB that
    rounding cost from Q20 on.
    """

    step: Tensor
    weight_step: Tensor
    rounds = False
    """Whether training rounds too; see `round_in_training`."""

    def __init__(self, inputs: int, outputs: int, *, signed: bool, side: int = 3, stride: int = 1) -> None:
        """Make one; it keeps the size, or divides it by its stride.

        Args:
            inputs: channels, an even number.
            outputs: channels.
            signed: whether the input can be negative; after a ReLU it cannot, and has twice as many levels.
            side: of the kernel.
            stride: as even or odd as the side.
        """
        padding = (side - stride) // 2
        assert inputs % 2 == 0, "see PAIR"
        super().__init__(inputs, outputs, side, stride, padding)  # pyright: ignore[reportUnknownMemberType]
        self.levels = (-128, 127) if signed else (0, 255)
        self.spread = (SIGNED_SPREAD if signed else UNSIGNED_SPREAD) / self.levels[1]
        self.register_buffer("step", torch.tensor(UNTRAINED / self.levels[1]))
        self.register_buffer("weight_step", torch.ones(outputs))

    def train(self, mode: bool = True) -> Int8Conv:
        """Begin training, or end it: then the steps of the weights are set."""
        if not mode:
            self.measure_weights()
        return super().train(mode)

    @torch.no_grad()
    def measure_weights(self) -> None:
        """Set the steps of the weights: as fine as eight bits reach, and sums of pairs sixteen."""
        floor = WEAKEST * self.weight.abs().amax() / WEIGHT_LEVELS[1]
        alone = self.weight.abs().amax((1, 2, 3)) / WEIGHT_LEVELS[1]
        signs = torch.stack([self.weight, -self.weight]).clamp(min=0)
        together = (signs[:, :, 0::2] + signs[:, :, 1::2]).amax((0, 2, 3, 4)) / PAIR
        self.weight_step.copy_(torch.maximum(torch.maximum(alone, together), floor.clamp_min(SMALLEST_STEP)))

    def forward(self, input: Tensor) -> Tensor:
        """Convolve `[batch, inputs, height, width]`."""
        if self.training:
            with torch.no_grad():
                step = input.float().square().mean().sqrt() * self.spread
                self.step.lerp_(step.clamp_min(SMALLEST_STEP), PACE)
            if not self.rounds:
                return super().forward(input)
            self.measure_weights()
        features = _rounded(input, self.step, self.levels)
        weight = _rounded(self.weight, self.weight_step, WEIGHT_LEVELS)
        return functional.conv2d(features, weight, self.bias, self.stride, self.padding)


def round_in_training(network: nn.Module) -> nn.Module:
    """Let every such convolution of a network round in training too: for its end."""
    for layer in network.modules():
        if isinstance(layer, Int8Conv):
            layer.rounds = True
    return network


class _StraightThrough(torch.autograd.Function):
    """Rounds; its gradient is that of a clamp."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, steps: Tensor, lowest: int, highest: int) -> Tensor:
        multiples = torch.round(tensor / steps)
        ctx.save_for_backward((multiples >= lowest) & (multiples <= highest))
        return multiples.clamp_(lowest, highest).mul_(steps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None


def _rounded(tensor: Tensor, step: Tensor, levels: tuple[int, int]) -> Tensor:
    """Whole multiples, between two levels, of a step, or of one for each of the first dimension.

    A graph's own levels are those of its integers: weights keep to theirs because their step is made for them.
    """
    if not torch.onnx.is_in_onnx_export():
        steps = step.reshape(-1, *[1] * (tensor.ndim - 1))
        return _StraightThrough.apply(tensor, steps.to(tensor.dtype), *levels)  # pyright: ignore
    kind = torch.int8 if levels[0] else torch.uint8
    scale = (step, torch.zeros_like(step, dtype=kind))
    options: dict[str, Any] = {"attrs": {"axis": 0}, "shape": tensor.shape}
    eight = torch.onnx.ops.symbolic("QuantizeLinear", (tensor, *scale), dtype=kind, **options)
    return torch.onnx.ops.symbolic("DequantizeLinear", (eight, *scale), dtype=torch.float32, **options)
