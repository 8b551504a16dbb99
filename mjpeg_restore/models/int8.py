"""Int8 convolutions: one CPU instruction multiplies twice as many int8 numbers as bf16, four times as many as float32.

In this package "quantisation" means JPEG's, so this module speaks of rounding to a step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SIGNED_SPREAD = 10.0
UNSIGNED_SPREAD = 14.0
"""Clipping range of signed and of rectified features, in root mean squares; rectified features have the longer tail.
Coarse tables cause the largest features, and fine tables need the finest steps. With 12 and 22 nothing is clipped at
Q10, but Q80 loses 0.05 dB that rounding in training does not recover. It does recover the loss by clipping at Q10."""

MOMENTUM = 0.01
"""Weight of a batch in the running mean of the clipping range."""

WEIGHT_LEVELS = (-127, 127)

PAIR = 127
"""Maximum sum of the weights of two neighbouring channels, in steps: 128 once both are rounded. CPUs without dot
products of bytes (VNNI) add two products in 16 bits: 255 times 128 fits, more saturates. Without this bound samples of
`stream-lite` were up to 20 grey levels off on such a CPU. It makes steps a fifth coarser."""

SMALLEST_STEP = 1e-6
"""Lower bound of steps, for an input that is always zero and for a layer whose weights are."""
WEAKEST = 1e-3
"""Relative to the layer's largest weight, the smallest weight that a channel's step is fitted to. Runtimes may store a
bias in units of the product of both steps, in 32 bits, as does ONNX Runtime by default: without this bound, the bias of
a channel whose weights have become zero would overflow."""

UNTRAINED = 8.0
"""Initial clipping range, before activation statistics; the features' root mean square is about 1."""


class Int8Conv(nn.Conv2d):
    """A convolution with int8 weights and input once it is trained.

    In evaluation the weights are integer multiples of a step per output channel, and the input of one step per layer.
    An exported graph contains QuantizeLinear and DequantizeLinear: OpenVINO fuses them with each convolution, while
    `runtime/cpu/onnxruntime.py` computes them in float32. The output is not rounded, and neither are sums that contain
    it, such as residual connections.

    Training is in full precision and measures the features' range, unless the weights are frozen. At its end, with
    `rounds` set, it rounds as well, and gradients pass straight through (Jacob et al. 2018, section 3). With rounding
    from the beginning, `stream` was 0.04 dB behind after ten minutes. With rounding at the end, `stream-lite` recovered
    three quarters of the 0.03 to 0.12 dB that rounding cost from Q20 on.
    """

    step: Tensor
    weight_step: Tensor
    rounds = False
    """Whether to round in training as well; see `round_in_training`."""

    def __init__(self, inputs: int, outputs: int, *, signed: bool, side: int = 3, stride: int = 1) -> None:
        """Make a convolution that divides the size by its stride.

        Args:
            inputs: input channels, an even number.
            outputs: output channels.
            signed: whether the input can be negative; the output of a ReLU cannot, and gets twice as many levels.
            side: of the kernel.
            stride: of the same parity as `side`.
        """
        padding = (side - stride) // 2
        assert inputs % 2 == 0, "see PAIR"
        super().__init__(inputs, outputs, side, stride, padding)  # pyright: ignore[reportUnknownMemberType]
        self.levels = (-128, 127) if signed else (0, 255)
        self.spread = (SIGNED_SPREAD if signed else UNSIGNED_SPREAD) / self.levels[1]
        self.register_buffer("step", torch.tensor(UNTRAINED / self.levels[1]))
        self.register_buffer("weight_step", torch.ones(outputs))

    def train(self, mode: bool = True) -> Int8Conv:
        """Switch to training, or to evaluation, for which it sets the steps of the weights."""
        if not mode:
            self.measure_weights()
        return super().train(mode)

    @torch.no_grad()
    def measure_weights(self) -> None:
        """Set the steps of the weights: as fine as 8 bits allow, and 16 bits for sums of pairs (`PAIR`)."""
        floor = WEAKEST * self.weight.abs().amax() / WEIGHT_LEVELS[1]
        alone = self.weight.abs().amax((1, 2, 3)) / WEIGHT_LEVELS[1]
        signs = torch.stack([self.weight, -self.weight]).clamp(min=0)
        together = (signs[:, :, 0::2] + signs[:, :, 1::2]).amax((0, 2, 3, 4)) / PAIR
        self.weight_step.copy_(torch.maximum(torch.maximum(alone, together), floor.clamp_min(SMALLEST_STEP)))

    def forward(self, input: Tensor) -> Tensor:
        """Convolve `[batch, inputs, height, width]`."""
        if self.training:
            if self.weight.requires_grad:
                with torch.no_grad():
                    step = input.float().square().mean().sqrt() * self.spread
                    self.step.lerp_(step.clamp_min(SMALLEST_STEP), MOMENTUM)
            if not self.rounds:
                return super().forward(input)
            self.measure_weights()
        features = _rounded(input, self.step, self.levels)
        weight = _rounded(self.weight, self.weight_step, WEIGHT_LEVELS)
        return functional.conv2d(features, weight, self.bias, self.stride, self.padding)


def round_in_training(network: nn.Module) -> nn.Module:
    """Make all int8 convolutions of a network round in training, for its last stage; returns the network."""
    for layer in network.modules():
        if isinstance(layer, Int8Conv):
            layer.rounds = True
    return network


class _StraightThrough(torch.autograd.Function):
    """Rounding whose gradient is that of a clamp."""

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
    """Round to integer multiples, between two levels, of one step, or of one step per index of the first dimension.

    In an exported graph the levels are those of the integer type. Weights stay within their narrower range, as their
    step is chosen for it.
    """
    if not torch.onnx.is_in_onnx_export():
        steps = step.reshape(-1, *[1] * (tensor.ndim - 1))
        return _StraightThrough.apply(tensor, steps.to(tensor.dtype), *levels)  # pyright: ignore
    kind = torch.int8 if levels[0] else torch.uint8
    scale = (step, torch.zeros_like(step, dtype=kind))
    options: dict[str, Any] = {"attrs": {"axis": 0}, "shape": tensor.shape}
    eight = torch.onnx.ops.symbolic("QuantizeLinear", (tensor, *scale), dtype=kind, **options)
    return torch.onnx.ops.symbolic("DequantizeLinear", (eight, *scale), dtype=torch.float32, **options)
