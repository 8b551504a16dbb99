"""`stream-video` and `stream-video-lite`: `stream` and `stream-lite` for a camera that stands still.

Sensor noise dithers the quantiser. So several frames of a still scene tell more than one does: the mean of a
coefficient over frames lies between the levels that a single frame can take. Its state holds for every coefficient

* the **mean** of its dequantised values, in the units of the signal;
* the **evidence** that the mean rests on, in units of 1/grey level^2: the sum of `observation` over the frames. A frame
  with coarse steps counts less than one with fine steps, so that a change of tables needs no special treatment;

and the network restores a frame from them:

1. A small network on the grid of blocks, the `Gate`, compares the frame's coefficients with the state's, and gives each
   coefficient a weight, 0..1: the share of its evidence that is still true. Where something moves it is 0, and the
   frame stands alone. The weighted evidence and the frame's own give the new mean.
2. `stream` restores the picture of means, as it restores a decoded picture. Two more input planes tell how the frame
   deviates from it, and how much of the mean is the past's. Both are zero where there is no past.
3. The result is clamped to the frame's quantisation cell, as in `stream`. So whatever the state says, a ghost is at
   most half a step.

Mean and evidence depend on the coefficients alone: no error of the network feeds back into them. An exported graph's
state has a third part, the *correction*: the restored coefficients less the mean. In a still scene the cells of many
frames together tell more than each does, and what the network adds differs with each frame's noise. So the earlier
result is mixed in, as far as the past is believed, and moved to what the frames tell (`kept.py`); and a block that
agrees with its state needs no network: what was kept of it is shown within the frame's cell (`runtime/cpu/state.py`).
The fourth part is the component's *history*: how strong the noise is, and whether the frames were alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.catalogue.ports import by_kind
from mjpeg_restore.models.decode import blocks_to_plane, exact
from mjpeg_restore.models.kept import Histories, Rules, observation, telling
from mjpeg_restore.models.predict import halving_conv
from mjpeg_restore.models.stream import Stream, StreamConfig
from mjpeg_restore.runtime.cpu.projection import CELL, SAMPLE_SCALE
from mjpeg_restore.runtime.cpu.state import DEVIATION_GAIN, FARTHEST, LONGEST

KEPT = 4.0
"""Initial logit of the gate: 0.98."""


@dataclass(slots=True)
class State:
    """What is remembered of one component, `[batch, high, wide, 64]` each, float32; see the module's docstring."""

    mean: Tensor
    evidence: Tensor

    @staticmethod
    def empty(like: Tensor) -> State:
        """The state before the first frame, for coefficients `[batch, high, wide, 64]`."""
        return State(torch.zeros_like(like), torch.zeros_like(like))


class Gate(nn.Module):
    """From a frame's deviation from the state to the share of the past that is still true, for every coefficient."""

    def __init__(self, components: int, hidden: int, guides: int = 0) -> None:
        """Lay out the gate.

        Args:
            components: judged together: 1 for luma, 2 for Cb and Cr.
            hidden: channels on the grid of blocks.
            guides: channels of luma's gate that enter, for chroma.
        """
        super().__init__()
        self.judge = nn.Linear(4 * 64 * components, hidden)
        self.guide = nn.Conv2d(guides, hidden, 1) if guides else None
        self.around = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(2))
        self.decide = nn.Linear(hidden, 64 * components)
        self.own = nn.Parameter(torch.ones(64 * components))
        """How much a coefficient's own deviation, beyond half a step, counts against its past."""
        with torch.no_grad():
            self.decide.weight.mul_(0.1)
            nn.init.constant_(self.decide.bias, KEPT)

    def forward(self, deviations: list[Tensor], shares: list[Tensor], guide: Tensor | None) -> tuple[Tensor, Tensor]:
        """Judge a frame.

        Args:
            deviations: of each component from its mean, in steps, `[batch, high, wide, 64]`.
            shares: what the past's share in the new mean would be, 0..1, likewise; 0 where there is no past.
            guide: features of luma's gate on luma's grid, for chroma.

        Returns:
            The logits of the shares that are still true, `[batch, high, wide, 64 components]`, and the features,
            `[batch, hidden, high, wide]`.
        """
        planes: list[Tensor] = []
        beyond: list[Tensor] = []
        for deviation, share in zip(deviations, shares, strict=True):
            seen = deviation.clamp(-FARTHEST, FARTHEST) * (share > 0)
            beyond.append((seen.abs() - 0.5).clamp(min=0))
            planes += [seen, seen.square() / FARTHEST, beyond[-1], share]
        features = _apply(self.judge, torch.cat(planes, dim=3)).permute(0, 3, 1, 2)
        if self.guide is not None and guide is not None:
            features = features + self.guide(functional.interpolate(guide, features.shape[2:], mode="nearest"))
        features = torch.relu(features)
        for layer in self.around:
            features = features + torch.relu(layer(features))
        logits = _apply(self.decide, features.permute(0, 2, 3, 1))
        return logits.float() - torch.cat(beyond, dim=3) * self.own, features


class StreamVideo(Stream):
    """The network; see the module's docstring."""

    def __init__(self, config: StreamConfig, gate: int = 48) -> None:
        """Lay out the network: `stream`'s layers by their names, and those of the state.

        Args:
            config: size of the network that restores a frame.
            gate: hidden channels of the gates.
        """
        super().__init__(config)
        self.gate = Gate(1, gate)
        self.chroma_gate = Gate(2, gate, guides=gate)
        self.past = nn.ModuleList(nn.Linear(64, 64, bias=False) for _ in range(3))
        """Of Y, Cb and Cr: from the past's shares of a block's coefficients to one number for each sample."""
        self.enter_state = halving_conv(2, config.width)
        self.chroma_enter_state = halving_conv(4, config.chroma_width)
        for layer in (self.enter_state, self.chroma_enter_state):
            layer.register_parameter("bias", None)  # without a past, the network is `stream`
            nn.init.zeros_(layer.weight)
        for layer in self.past:
            nn.init.normal_(layer.weight, std=0.05)  # pyright: ignore[reportArgumentType]

    def remember(self, states: list[State], *components: Tensor) -> tuple[list[State], list[Tensor], list[Tensor]]:
        """Take a frame into the state.

        Args:
            states: of each component before the frame.
            components: the frame, as for `Stream.forward`.

        Returns:
            The states after the frame; for each component the past's share in the mean, 0..1; and the frame's deviation
            from the mean.
        """
        quantised, tables = components[::2], components[1::2]
        with exact(quantised[0]):
            deviations, pasts = [], []
            for state, k, q in zip(states, quantised, tables, strict=True):
                steps = q[:, None, None]
                deviations.append(k - state.mean / steps)
                pasts.append(state.evidence / (state.evidence + observation(q)[:, None, None]))
        logits, guide = self.gate(deviations[:1], pasts[:1], None)
        if len(quantised) == 3:
            chroma, _ = self.chroma_gate(deviations[1:], pasts[1:], guide)
            logits = [logits, *chroma.chunk(2, dim=3)]
        else:
            logits = [logits]
        after: list[State] = []
        shares: list[Tensor] = []
        lefts: list[Tensor] = []
        for state, k, q, logit in zip(states, quantised, tables, logits, strict=True):
            with exact(k):
                weight = observation(q)[:, None, None]
                kept = torch.sigmoid(logit) * state.evidence
                kept = torch.minimum(kept, (LONGEST - 1) * weight)
                evidence = kept + weight
                share = kept / evidence
                seen = k * q[:, None, None]
                mean = seen + share * (state.mean - seen)
            after.append(State(mean, evidence))
            shares.append(share)
            lefts.append(seen - mean)
        return after, shares, lefts

    def restore_from(
        self, states: list[State], shares: list[Tensor], lefts: list[Tensor], *components: Tensor
    ) -> list[Tensor]:
        """Restore a frame that has been taken into the state: the arguments are those of `remember`, and its result.

        Returns:
            For each component the restored coefficients in units of their step, within the frame's cell,
            `[batch, high, wide, 64]`.
        """
        restored = self._restored(states, shares, lefts, *components)
        return [k + (place - k).clamp(-CELL, CELL) for k, place in zip(components[::2], restored, strict=True)]

    def _restored(
        self, states: list[State], shares: list[Tensor], lefts: list[Tensor], *components: Tensor
    ) -> list[Tensor]:
        """The same as `restore_from`, but wherever the network puts the coefficients."""
        tables = list(components[1::2])
        means = [state.mean for state in states]
        with exact(means[0]):
            levels = [mean / q[:, None, None] for mean, q in zip(means, tables, strict=True)]
        planes = [self._planes(*parts) for parts in zip(means, lefts, shares, self.past, strict=False)]
        luma, left, past = planes[0]
        entering = luma / SAMPLE_SCALE
        if self.significance:
            entering = torch.cat([entering, self.significance(levels[0])], dim=1)
        entered = self.enter(entering) + self.enter_state(torch.cat([left, past], dim=1))
        features = self.condition(entered, tables[:1])
        features = features + self.trunk(features)
        places = self.predict(features, tables[:1])
        if len(means) == 3:
            decoded, *state = (torch.cat(parts, dim=1) for parts in zip(*planes[1:], strict=True))
            entered = self.chroma_enter(decoded / SAMPLE_SCALE) + self.chroma_enter_state(torch.cat(state, dim=1))
            guide = self.guide(functional.interpolate(features, entered.shape[2:], mode="nearest"))
            guided = self.chroma_condition(entered + guide, tables[1:])
            places += self.chroma_predict(guided + self.chroma_trunk(guided), tables[1:])
        return [level + place for level, place in zip(levels, places, strict=True)]

    def place(self, *components: Tensor) -> list[Tensor]:
        """Restored coefficients of each component in units of their step: of a frame without a past."""
        states = [State.empty(k) for k in components[::2]]
        return self.restore_from(*self.remember(states, *components), *components)

    def with_state(self, before: list[Tensor], *components: Tensor) -> tuple[Tensor | tuple[Tensor, ...], ...]:
        """Restore a frame as an exported graph does.

        Args:
            before: mean, evidence and correction, `[1, high, wide, 64]`, and history, `[1, HISTORY]`, of each component
                in turn; zeros before the first frame.
            components: as for `forward`.

        Returns:
            The samples, as of `forward`; then mean, evidence, correction and history of each component in turn, after
            the frame.
        """
        quantised, tables = components[::2], components[1::2]
        means, evidences, corrections, packed = by_kind(before)
        q, histories = torch.cat(tables), Histories.unpacked(torch.cat(packed))
        most = histories.most_evidence(q)[:, None, None].split(1)
        states = [
            State(mean, evidence.minimum(limit)) for mean, evidence, limit in zip(means, evidences, most, strict=True)
        ]
        after, shares, lefts = self.remember(states, *components)
        restored = self._restored(after, shares, lefts, *components)
        found = [
            telling(k, table, known.mean, known.evidence, now.evidence)
            for k, table, known, now in zip(quantised, tables, states, after, strict=True)
        ]
        histories = histories.following(q, *(torch.cat(parts) for parts in zip(*found, strict=True)))
        following = histories.packed().split(1)
        samples: list[Tensor] = []
        parts: list[Tensor] = []
        for index, rules in enumerate(Rules.of(q, histories)):
            k, steps, now = quantised[index], tables[index][:, None, None], after[index]
            level, last = now.mean / steps, (means[index] + corrections[index]) / steps
            shown, kept = rules.moved(k, level, now.evidence, shares[index], restored[index], last)
            samples.append(self.inverse_dct(k + (shown - k).clamp(-CELL, CELL), tables[index]))
            parts += [now.mean, now.evidence, (kept - level) * steps, following[index]]
        return tuple(samples), *parts

    def _planes(self, mean: Tensor, left: Tensor, share: Tensor, past: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """Planes `[batch, 1, height, width]`: the picture of means, centred; and as the network sees them the frame's
        deviation from it, and the past's share in it."""
        with exact(mean):
            samples = blocks_to_plane(mean @ self.inverse_dct.matrix)
            deviation = blocks_to_plane(left @ self.inverse_dct.matrix) * (DEVIATION_GAIN / SAMPLE_SCALE)
        known = blocks_to_plane(_apply(past, share).float())
        return samples[:, None], deviation[:, None], known[:, None]


def _apply(layer: nn.Module, blocks: Tensor) -> Tensor:
    """A linear layer for blocks `[batch, high, wide, channels]`: on a matrix, its weight keeps its name in a graph."""
    return layer(blocks.reshape(-1, blocks.shape[3])).reshape(*blocks.shape[:3], -1)
