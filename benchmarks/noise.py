# SPDX-License-Identifier: Apache-2.0
"""How random the noise hash is: the bits that round, beside those of a true random source. A table in Markdown.

    python benchmarks/noise.py

All figures are in standard errors of what a perfect source would show: up to 2 each, about 3 for the greatest of many.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trifactor.arch.formats import TRACE_MAX
from trifactor.arch.noise import LAYER_STRIDE, OWN_BITS, ROUND_BITS, ROW_NOISE_BITS, WORD_BITS, Domain
from trifactor.golden.fixed import pow2_round
from trifactor.golden.noise import (
    domain_keys,
    mix,
    round_noise,
    row_noise,
    step_keys,
    synapse_noise,
    update_noise,
)

SHAPE = SAMPLES, STEPS, ROWS = 256, 16, 512
SEED = 1


def hash_words(layer: int, domain: Domain) -> Tensor:
    """The words of every row in every step of every sample."""
    keys = domain_keys(step_keys(SEED, torch.arange(SAMPLES), STEPS), layer, domain)
    return mix(keys.unsqueeze(-1) ^ torch.arange(ROWS))


def random_words(layer: int, domain: Domain) -> Tensor:
    """As many of torch's generator."""
    source = torch.Generator().manual_seed(LAYER_STRIDE * layer + int(domain))
    return torch.randint(1 << WORD_BITS, SHAPE, generator=source)


def bias(words: Tensor) -> float:
    """Of all magnitudes 1 … 255 the greatest distance between their mean as powers of two and themselves."""
    found = 0.0
    noise = round_noise(words)
    counts = torch.bincount(noise.flatten(), minlength=1 << ROUND_BITS).double()
    for magnitude in range(1, TRACE_MAX + 1):
        values = pow2_round(torch.full((1 << ROUND_BITS,), magnitude), torch.arange(1 << ROUND_BITS)).double()
        error = (values * counts).sum() / words.numel() - values.mean()
        spread = values.std(correction=0) / math.sqrt(words.numel())
        assert abs(values.mean() - magnitude) < 1e-9
        if spread:
            found = max(found, abs(float(error / spread)))
    return found


def uneven(noise: Tensor, bits: int) -> float:
    """How far the counts of the upper `bits` bits' values are from being equal (chi squared)."""
    cells = 1 << bits
    counts = torch.bincount(noise.flatten(), minlength=cells).double()
    wanted = noise.numel() / cells
    return float((((counts - wanted) ** 2).sum() / wanted - (cells - 1)) / math.sqrt(2 * (cells - 1)))


def together(left: Tensor, right: Tensor) -> float:
    """Correlation of two lots of noise."""
    both = torch.stack([left.flatten(), right.flatten()]).double()
    return float(torch.corrcoef(both)[0, 1]) * math.sqrt(left.numel())


def own_noise(words: Tensor, neuron: int) -> Tensor:
    """The noise of the updates of one neuron, of all rows."""
    return update_noise(synapse_noise(words, torch.tensor(neuron)), row_noise(words))


def main() -> None:
    """Print the table."""
    sources = {"hash": hash_words, "random source": random_words}
    rows: dict[str, list[float]] = {}
    for make in sources.values():
        words = make(1, Domain.WEIGHT)
        noise = round_noise(words)
        top = own_noise(words, 3) >> (OWN_BITS + ROW_NOISE_BITS - 12)
        figures = {
            "a factor's bias, the greatest of 255 magnitudes": bias(words),
            "evenness of the 7 bits that round a factor": uneven(noise, ROUND_BITS),
            "evenness of the upper 12 bits that round an update": uneven(top, 12),
            "correlation with the next row": together(noise[:, :, 1:], noise[:, :, :-1]),
            "with the next step": together(noise[:, 1:], noise[:, :-1]),
            "with the next sample": together(noise[1:], noise[:-1]),
            "with the layer above": together(noise, round_noise(make(2, Domain.WEIGHT))),
            "of an update with its factor": together(own_noise(words, 3), noise),
        }
        for name, figure in figures.items():
            rows.setdefault(name, []).append(figure)
    print(f"| {SAMPLES * STEPS * ROWS} words | {' | '.join(sources)} |\n| --- | --- | --- |")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(f'{value:+.1f}' for value in values)} |")
    words = hash_words(1, Domain.WEIGHT)
    near = together(own_noise(words, 3), own_noise(words, 4)) / math.sqrt(words.numel())
    far = together(own_noise(words, 3), own_noise(words, 40)) / math.sqrt(words.numel())
    print(f"\nUpdates of one row: correlation of neuron 3 with neuron 4 {near:.2f}, with neuron 40 {far:+.3f}.")


if __name__ == "__main__":
    main()
