# SPDX-License-Identifier: Apache-2.0
"""The neuron: exhaustive at the smallest membrane, the resets one by one, thresholds and post traces of its own."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch

from trifactor.arch.array import ArrayConfig
from trifactor.arch.network import Layer, Network
from trifactor.arch.placement import fitted
from trifactor.golden import neuron
from trifactor.golden.neuron import NeuronParams, NeuronState, PostParams

TABLE = tuple(range(15, -1, -1))


def params(**changes: Any) -> NeuronParams:
    base = NeuronParams(
        decay=11,
        current_decay=None,
        clamp=False,
        decay_bits=4,
        membrane_bits=8,
        threshold=40,
        reset="soft",
        spiking=True,
        surrogate=torch.tensor([*TABLE, 0]),
        surrogate_shift=2,
        surrogate_bits=4,
        eligibility=False,
        post=None,
    )
    return base._replace(**changes)


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("spiking", [True, False])
def test_every_membrane_and_current(reset: Literal["soft", "hard", "none"], spiking: bool) -> None:
    state = torch.arange(-128, 128).unsqueeze(1).expand(256, 400)
    current = torch.arange(-200, 200).unsqueeze(0).expand(256, 400)
    kept_state, out = neuron.step(params(reset=reset, spiking=spiking), NeuronState(state, None, None), current)
    after = kept_state.membrane
    assert (kept_state.current, kept_state.post, out.post) == (None, None, None)
    fired = 0
    for v in range(-128, 128, 3):
        for c in range(-200, 200):
            raw = (11 * v >> 4) + c
            u = max(-128, min(127, raw))
            s = int(spiking and u >= 40)
            entry = abs(u - 40) >> 2
            psi = TABLE[entry] if spiking and entry < 16 else 0
            kept = u
            if s:
                kept = {"soft": u - 40, "hard": 0, "none": u}[reset]
            at = (v + 128, c + 200)
            got = [int(field[at]) for field in (out.saturated, out.membrane, out.spikes, out.psi, after)]
            assert got == [u != raw, u, s, psi, kept]
            fired += s
    assert (fired > 1000) == spiking


@pytest.mark.parametrize("clamp", [True, False])
def test_a_synaptic_current_leaks_by_itself_and_a_clamp_stops_at_zero(clamp: bool) -> None:
    own = params(current_decay=7, clamp=clamp)
    held = torch.arange(-128, 128, 5).view(-1, 1, 1)
    state = torch.arange(-128, 128, 7).view(1, -1, 1)
    current = torch.arange(-200, 200, 9).view(1, 1, -1)
    before = NeuronState(state.expand(52, 37, 45), held.expand(52, 37, 45), None)
    (after, kept, _), out = neuron.step(own, before, current.expand(52, 37, 45))
    assert kept is not None
    floored = 0
    for index in range(0, 52 * 37 * 45, 11):
        at = (index // 45 // 37, index // 45 % 37, index % 45)
        raw_c = (7 * int(held[at[0], 0, 0]) >> 4) + int(current[0, 0, at[2]])
        c = max(-128, min(127, raw_c))
        raw = (11 * int(state[0, at[1], 0]) >> 4) + c
        u = max(-128, min(127, raw))
        over = c != raw_c or u != raw
        below = clamp and u < 0
        u = 0 if below else u
        s = int(u >= 40)
        entry = abs(u - 40) >> 2
        psi = TABLE[entry] if entry < 16 and not below else 0
        got = [int(field[at]) for field in (out.saturated, out.current, out.membrane, out.spikes, out.psi, after, kept)]
        assert got == [over, c, u, s, psi, u - 40 * s, c]
        floored += below
    assert (floored > 1000) == clamp


def test_psi_is_zero_beyond_the_table() -> None:
    current = torch.tensor([40 - 64, 40 - 63, 40 + 63, 40 + 64])
    own = params(surrogate=torch.tensor([*(9,) * 16, 0]))
    _, out = neuron.step(own, neuron.first_state(own, current), current)
    assert out.psi.tolist() == [0, 9, 9, 0]


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
def test_every_neuron_has_a_threshold_of_its_own(reset: str) -> None:
    state = torch.arange(-128, 128, 3).unsqueeze(1)
    thresholds = torch.arange(1, 128)
    together = neuron.step(
        params(reset=reset, threshold=thresholds), NeuronState(state.expand(86, 127), None, None), torch.tensor(9)
    )
    for threshold in thresholds.tolist():
        alone = neuron.step(
            params(reset=reset, threshold=threshold), NeuronState(state[:, 0], None, None), torch.tensor(9)
        )
        assert torch.equal(together[0].membrane[:, threshold - 1], alone[0].membrane)
        for name in ("spikes", "psi", "membrane"):
            assert torch.equal(getattr(together[1], name)[:, threshold - 1], getattr(alone[1], name)), name
    assert 500 < int(together[1].spikes.sum()) < 86 * 127 - 500


@pytest.mark.parametrize("read", ["old", "decayed", "none"])
@pytest.mark.parametrize("surrogate_bits", [1, 4, 8])
def test_every_post_trace_and_psi(surrogate_bits: int, read: str) -> None:
    # A current of 40 + 4 k is psi = table[k]; beyond the table psi is 0.
    largest = (1 << surrogate_bits) - 1
    table = [round(largest * k / 15) for k in range(16)]
    current = (40 + 4 * torch.arange(17)).unsqueeze(0).expand(256, 17)
    before = torch.arange(256).unsqueeze(1).expand(256, 17)
    clamped = 0
    for decay in range(17):
        own = params(
            surrogate=torch.tensor([*table, 0]),
            surrogate_bits=surrogate_bits,
            post=PostParams(decay=decay, up=7, down=surrogate_bits, read=read),
        )
        after, out = neuron.step(own, NeuronState(torch.zeros_like(current), None, before), current)
        decayed = (decay * before) >> 4
        psi = torch.tensor([*table, 0])
        raw = decayed + ((psi << 7) >> surrogate_bits)
        assert torch.equal(out.psi, psi.expand(256, 17))
        assert after.post is not None
        assert torch.equal(after.post, raw.clamp(max=255))
        assert torch.equal(out.saturated, raw > 255)
        clamped += int(out.saturated.sum())
        if read == "none":
            assert out.post is None
        else:
            assert out.post is not None
            assert torch.equal(out.post, before if read == "old" else decayed)
    assert clamped > 1000


def test_a_readout_has_no_psi_and_keeps_its_post_trace() -> None:
    own = params(spiking=False, post=PostParams(decay=16, up=7, down=4, read="none"))
    current = torch.arange(30, 60)
    state, out = neuron.step(own, neuron.first_state(own, current), current)
    assert state.post is not None
    assert not (state.post | out.psi | out.spikes).any()


def test_params_follow_the_units_of_the_array() -> None:
    layers = (
        Layer(inputs=3, outputs=2, thresholds=(5, 9), post=-1, post_decay=7, post_read="decayed", current_decay=3),
        Layer(inputs=2, outputs=2, spiking=False),
    )
    network = Network(layers=layers, surrogate=TABLE)
    with_all = fitted(network, ArrayConfig(surrogate_bits=5))
    hidden, readout = (neuron.neuron_params(network, with_all, layer) for layer in (0, 1))
    assert isinstance(hidden.threshold, torch.Tensor)
    assert (hidden.threshold.tolist(), hidden.current_decay) == ([5, 9], 3)
    assert hidden.post == PostParams(decay=7, up=7, down=5, read="decayed")
    assert readout.post == PostParams(decay=0, up=7, down=5, read="none")
    assert (readout.threshold, readout.current_decay) == (128, 0)
    bare = neuron.neuron_params(network, ArrayConfig(), 1)
    assert (bare.current_decay, bare.post) == (None, None)


@pytest.mark.parametrize("current_decay", [None, 7])
@pytest.mark.parametrize("post", [None, PostParams(decay=9, up=7, down=4, read="old")])
def test_shape_does_not_matter(current_decay: int | None, post: PostParams | None) -> None:
    own = params(current_decay=current_decay, post=post)
    current = torch.arange(-60, 60)
    flat_state, flat = neuron.step(own, neuron.first_state(own, current), current)
    shaped = current.view(4, 5, 6)
    state, out = neuron.step(own, neuron.first_state(own, shaped), shaped)
    assert torch.equal(state.membrane.flatten(), flat_state.membrane)
    for name in ("saturated", "current", "membrane", "spikes", "psi"):
        assert torch.equal(getattr(out, name).flatten(), getattr(flat, name)), name
    for a, b in ((state.current, flat_state.current), (state.post, flat_state.post), (out.post, flat.post)):
        assert (a is None and b is None) or torch.equal(a.flatten(), b)
