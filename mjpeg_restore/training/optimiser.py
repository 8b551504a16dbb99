"""Optimisers: Muon for convolutions with AdamW for the rest, and the papers' own, Adam and SGD with momentum.

Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks") replaces the gradient of a matrix
by the nearest orthogonal matrix, computed with a few Newton-Schulz steps. A convolution's kernel is taken as the matrix
`[out, in * kh * kw]`, that of a grouped convolution as one such matrix per group. In two-minute trials on one core it
was 0.1 dB ahead of AdamW, step for step.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mjpeg_restore.training.precision import working_dtype

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration, tuned for slope at zero (Jordan et al. 2024)."""
STEPS = 5
"""Iterations."""


def orthogonalise(matrices: Tensor) -> Tensor:
    """Approximate the nearest semi-orthogonal matrices of `[..., high, wide]`: singular values become 0.7 to 1.2."""
    a, b, c = NEWTON_SCHULZ
    x = matrices.to(working_dtype(matrices.device))
    wide = x if x.shape[-2] <= x.shape[-1] else x.mT
    wide = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = wide @ wide.mT
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return (wide if x.shape[-2] <= x.shape[-1] else wide.mT).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum. The learning rate is the size of a step relative to a layer of gain 1.

    `groups` in a parameter group is the number of groups of its kernels' convolutions, 1 by default.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], lr: float, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "groups": 1})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a state; older checkpoints have no `groups`."""
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("groups", 1)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one step along the orthogonalised Nesterov momentum."""
        for group in self.param_groups:
            alike = defaultdict[torch.Size, list[tuple[nn.Parameter, Tensor]]](list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                update = parameter.grad + group["momentum"] * momentum
                matrices = update.reshape(group["groups"], update.shape[0] // group["groups"], -1)
                alike[matrices.shape].append((parameter, matrices))
            for (_, high, wide), members in alike.items():  # matrices of one shape in one product
                gain = max(1.0, high / wide) ** 0.5
                found = orthogonalise(torch.stack([matrices for _, matrices in members])) * (group["lr"] * gain)
                for (parameter, _), step in zip(members, found, strict=True):
                    parameter.sub_(step.reshape(parameter.shape))


def muon(model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for kernels; AdamW for biases, dense layers, last layers and zero-initialised weights.

    Args:
        model: its frozen parameters are left out.
        learning_rate: AdamW's; Muon's is four times as high.
    """
    return _muon(model, dict(model.named_parameters()), learning_rate)


def _muon(model: nn.Module, named: dict[str, nn.Parameter], learning_rate: float) -> list[torch.optim.Optimizer]:
    """`muon` for some of a network's parameters, given with their names."""
    named = {name: p for name, p in named.items() if p.requires_grad}
    kernels = {name: p for name, p in named.items() if p.ndim == 4 and "predict" not in name and p.any()}
    others = [p for name, p in named.items() if name not in kernels]
    return [
        *([Muon(by_groups(model, kernels.values()), lr=4 * learning_rate)] if kernels else []),
        *([torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)] if others else []),
    ]


def by_groups(model: nn.Module, kernels: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Kernels as `Muon`'s parameter groups, one for each number of groups of a convolution."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    number = {id(layer.weight): layer.groups for layer in layers}
    found = defaultdict[int, list[nn.Parameter]](list)
    for kernel in kernels:
        found[number.get(id(kernel), 1)].append(kernel)
    return [{"params": some, "groups": groups} for groups, some in found.items()]


@dataclass(frozen=True, slots=True)
class MuonWithin:
    """Muon for some kernels, AdamW for the rest, at a tenth of the learning rate for layers initialised as a decoder.

    A step of Muon changes a whole layer by a fixed amount: far too much for a layer that the picture itself passes.
    """

    kernels: str
    """Regular expression for the names of Muon's weights."""
    decoder: tuple[str, ...]
    """Name prefixes of the layers that are initialised as a decoder."""

    def __call__(self, model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
        """Make the optimisers."""
        named = dict(model.named_parameters())
        kernels = {name for name in named if re.fullmatch(self.kernels, name)}
        slow = {name for name in named if name.startswith(self.decoder)} - kernels
        groups = [
            {"params": [p for name, p in named.items() if name in slow], "lr": learning_rate / 10},
            {"params": [p for name, p in named.items() if name not in slow | kernels], "lr": learning_rate},
        ]
        return [
            Muon(by_groups(model, [named[name] for name in sorted(kernels)]), lr=4 * learning_rate),
            torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0),
        ]


@dataclass(frozen=True, slots=True)
class MuonBeside:
    """`muon` for a network, and AdamW for a branch of it: with smaller steps, where it outputs one vector per picture.

    AdamW changes each weight by the learning rate, whatever the gradient. In a sum over thousands of non-negative
    inputs, such as a rectifier's outputs, these changes add up: at the learning rate of the rest, two in three of fc1's
    64 units of QGCN's global branch never fired again after 20 batches, and none fired after some hundreds. So a
    weight's learning rate is inversely proportional to the inputs of its sum (Yang et al. 2021, "Tensor programs V").
    """

    branch: str | tuple[str, ...]
    """Name prefix of the branch's weights, or several."""
    inputs: int | None = 32
    """Number of inputs up to which the learning rate is not reduced; None: it is the same for all."""
    rest: float = 1.0
    """Factor of the learning rate for the rest of the network; below 1 if that is already trained."""

    def __call__(self, model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
        """Make the optimisers."""
        named = dict(model.named_parameters())
        beside = {name: p for name, p in named.items() if name.startswith(self.branch) and p.requires_grad}
        inputs = [p[0].numel() for p in beside.values()]
        shares = [min(1.0, self.inputs / count) if self.inputs else 1.0 for count in inputs]
        groups = [{"params": [p], "lr": learning_rate * by} for p, by in zip(beside.values(), shares, strict=True)]
        return [
            *_muon(model, {name: p for name, p in named.items() if name not in beside}, self.rest * learning_rate),
            torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0),
        ]


def adam(
    model: nn.Module, learning_rate: float, betas: tuple[float, float] = (0.9, 0.999)
) -> list[torch.optim.Optimizer]:
    """Adam (Kingma and Ba 2014)."""
    return [torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=learning_rate, betas=betas)]


@dataclass(frozen=True, slots=True)
class Descent:
    """SGD with a tenth of the learning rate for the last layer (Svoboda et al. 2016, section 4); momentum is ours."""

    weight_decay: float
    momentum: float = 0.9

    def __call__(self, model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
        """Make the optimiser."""
        named = list(model.named_parameters())
        last = named[-1][0].rsplit(".", 1)[0]
        groups = [
            {"params": [p for name, p in named if not name.startswith(last)], "lr": learning_rate},
            {"params": [p for name, p in named if name.startswith(last)], "lr": learning_rate / 10},
        ]
        return [torch.optim.SGD(groups, momentum=self.momentum, weight_decay=self.weight_decay)]


def descend(
    loss: Tensor, module: nn.Module, optimisers: Sequence[torch.optim.Optimizer], clip_norm: float | None
) -> None:
    """Compute the gradients of a loss, clip them, and take one step of each optimiser.

    Args:
        loss: of the module.
        module: that is trained.
        optimisers: of its parameters.
        clip_norm: maximum norm of the gradient; None for no clipping.
    """
    module.zero_grad(set_to_none=True)
    loss.backward()
    if clip_norm:
        nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
    for optimiser in optimisers:
        optimiser.step()
