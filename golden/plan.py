# SPDX-License-Identifier: Apache-2.0
"""Which noise words a network needs in a step, and all those of a sample at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..arch.network import Network
from ..arch.noise import LAYER_STRIDE, POST_ROTATION, ROUND_BITS, WORD_BITS, WORD_MASK, Domain
from .learning import FactorNoise
from .noise import doubled, mix, step_keys


class NoisePlan(NamedTuple):
    """Word n of a step is `mix(key(codes[owner[n]]) ^ place[n])`; `sizes` splits them into uses.

    `signal`, `weight`, `event` and `side` give the use of a layer, or of a block. With `random` words are torch's
    instead.
    """

    codes: Tensor
    owner: Tensor
    place: Tensor
    sizes: tuple[int, ...]
    signal: dict[int, int]
    weight: dict[int, int]
    event: dict[int, int]
    side: dict[int, int]
    random: bool


class StepNoise(NamedTuple):
    """Noise of one step: `signal` and `post` of layers' factors, `weight` and `event`, doubled words of layers' rows,
    and `side`, the 7 bits that round the errors of local readouts, by block."""

    signal: dict[int, FactorNoise]
    post: dict[int, FactorNoise]
    weight: dict[int, Tensor]
    event: dict[int, Tensor]
    side: dict[int, Tensor]


class SampleNoise:
    """All noise words that a sample needs to learn, hashed at once from its `use_keys` of shape (T, uses)."""

    def __init__(self, plan: NoisePlan, keys: Tensor) -> None:
        words = mix(keys.index_select(1, plan.owner) ^ plan.place)
        if plan.random:
            words = torch.randint_like(words, 1 << WORD_BITS)
        self._plan = plan
        self._words = _split(words, plan)
        self._doubled = _split(doubled(words), plan)
        self._round = _split(words >> (WORD_BITS - ROUND_BITS), plan)
        self._post = self._post_round = self._round
        if plan.event:
            turned = doubled(words) >> (WORD_BITS - POST_ROTATION) & WORD_MASK
            self._post = _split(turned, plan)
            self._post_round = _split(turned >> (WORD_BITS - ROUND_BITS), plan)

    def at(self, step: int) -> StepNoise:
        """The noise of one step."""
        plan = self._plan
        return StepNoise(
            signal={of: FactorNoise(self._words[use][step], self._round[use][step]) for of, use in plan.signal.items()},
            post={
                of: FactorNoise(self._post[plan.signal[of]][step], self._post_round[plan.signal[of]][step])
                for of in plan.event
            },
            weight={of: self._doubled[use][step] for of, use in plan.weight.items()},
            event={of: self._doubled[use][step] for of, use in plan.event.items()},
            side={of: self._round[use][step] for of, use in plan.side.items()},
        )


def noise_plan(network: Network, torch_device: str = "cpu", *, random: bool = False) -> NoisePlan:
    """The words that `network` needs."""
    last = len(network.layers) - 1
    uses: list[tuple[int, Domain, int]] = []

    def use(of: int, domain: Domain, size: int) -> int:
        uses.append((of, domain, size))
        return len(uses) - 1

    layers = list(enumerate(network.layers))
    signal = {
        index: use(index, Domain.ERROR if index == last else Domain.SIGNAL, layer.outputs) for index, layer in layers
    }
    weight = {index: use(index, Domain.WEIGHT, layer.rows) for index, layer in layers}
    event = {index: use(index, Domain.EVENT, layer.rows) for index, layer in layers if layer.post}
    locals_ = [index for index, layer in layers if layer.signal == "local"]
    side = {block: use(block, Domain.ERROR, network.outputs) for block in map(network.signal_block, locals_)}
    sizes = tuple(size for _, _, size in uses)
    return NoisePlan(
        codes=torch.tensor([LAYER_STRIDE * of + int(domain) for of, domain, _ in uses], device=torch_device),
        owner=torch.arange(len(uses)).repeat_interleave(torch.tensor(sizes)).to(torch_device),
        place=torch.cat([torch.arange(size) for size in sizes]).to(torch_device),
        sizes=sizes,
        signal=signal,
        weight=weight,
        event=event,
        side=side,
        random=random,
    )


def use_keys(plan: NoisePlan, seed: int, samples: Tensor, steps: int) -> Tensor:
    """Key of every use of noise: shape (*samples.shape, T, uses)."""
    return mix(step_keys(seed, samples, steps).unsqueeze(-1) ^ plan.codes)


def _split(values: Tensor, plan: NoisePlan) -> list[tuple[Tensor, ...]]:
    """Per use, then per step, a tensor of shape (n,)."""
    return [part.unbind(0) for part in torch.split_with_sizes(values, plan.sizes, 1)]
