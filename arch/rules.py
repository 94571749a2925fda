# SPDX-License-Identifier: Apache-2.0
"""The rule table: a learning rule is a row of coefficients of the one law, never a branch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from .array import ArrayConfig, ErrorKind
from .errors import ConfigurationError, did_you_mean
from .formats import FACTOR_BITS, RATE_SHIFT_MAX, SIGNAL_SHIFT_MAX, UNIT
from .network import SURROGATE_ENTRIES, Gate, Layer, Network, Signal


def _sigmoid_slope(x: float) -> float:
    """4 s (1 - s) with s the logistic function of 4 x."""
    s = 1.0 / (1.0 + math.exp(-4.0 * abs(x)))
    return 4.0 * s * (1.0 - s)


WEIGHT_RANGES = (1, 2, 4, 8)
"""How many thresholds a hidden weight may reach."""

THRESHOLD_MIN = 2

SURROGATES: dict[str, tuple[Callable[[float], float], float]] = {
    "sigmoid": (_sigmoid_slope, 2.0),
    "triangle": (lambda x: max(0.0, 1.0 - abs(x)), 1.0),
    "fast-sigmoid-5": (lambda x: (1.0 + 5.0 * abs(x)) ** -2, 2.0),
    "fast-sigmoid-100": (lambda x: (1.0 + 100.0 * abs(x)) ** -2, 0.125),
    "arctan-10": (lambda x: 1.0 / (1.0 + (10.0 * x) ** 2), 1.0),
}
"""psi of x = (u - threshold) / threshold, peak 1, and how far from the threshold a table should reach."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Coefficients of one rule, in real numbers; `network_for` turns them into the integers of an array.

    The defaults are OTTT's. `hidden_trace_decay` is a_p for the synapses of spiking layers, `first_trace_decay` that of
    the first layer if it is another, `readout_trace_decay` that of the readout's. `surrogate` names a row of
    `SURROGATES`, `peak` is what the source multiplies it with. `strict` fires above the threshold, not at it.
    `post_gain` is alpha_post, `post_decay` a_q; `post_read` says whether the post trace is read as it was, as in the
    authors' code, or decayed by one step, as in their equation. With `scaled` the rate of a layer is further multiplied
    by classes / (neurons of the layer above), to the nearest power of two. Weights, in units where the threshold is 1,
    move by `2**-rate` times G p.
    """

    name: str
    source: str
    decay: float = 0.5
    current_decay: float = 0.0
    reset: Literal["soft", "hard", "none"] = "soft"
    strict: bool = False
    clamp: bool = False
    hidden_trace_decay: float = 0.5
    first_trace_decay: float | None = None
    readout_trace_decay: float = 0.0
    post_gain: float = 0.0
    post_decay: float = 0.0
    post_read: Literal["old", "decayed"] = "old"
    eligibility: bool = False
    surrogate: str = "sigmoid"
    peak: float = 1.0
    signal: Signal = "backprop"
    fixed: Literal["random", "square-wave"] = "random"
    scaled: bool = False
    error: ErrorKind = "softmax"
    readout_learns: bool = True
    gate: Gate = "all"
    gate_steps: int = 0
    apply: Literal["step", "sample"] = "step"


_OTTT = Rule(
    name="ottt-o", source="Xiao et al., NeurIPS 2022, arXiv 2210.04195: p = lambda p + s, applied at every step"
)
_SLTT = replace(
    _OTTT,
    name="sltt",
    source="Meng et al., ICCV 2023, arXiv 2302.14311: no trace, p = s; at every step, leak as ottt",
    hidden_trace_decay=0.0,
)
_S_TLLR = Rule(
    name="s-tllr",
    source="Apolinario & Roy, TMLR 2025, arXiv 2306.15220: both terms, settings for DVS gestures, post trace as code",
    strict=True,
    hidden_trace_decay=0.75,
    post_gain=-1.0,
    post_decay=0.2,
    surrogate="triangle",
    peak=0.3,
    apply="sample",
)
_DALTON = Rule(
    name="dalton",
    source="Gaurav et al., IEEE TETC 13(3) 2025, as their code: back-propagation within the step, rates scaled "
    "per layer; current-based neurons without leak, fixed random readout, no trace",
    decay=1.0,
    current_decay=math.exp(-1.0),
    reset="hard",
    strict=True,
    clamp=True,
    hidden_trace_decay=0.0,
    surrogate="fast-sigmoid-5",
    scaled=True,
    error="mse",
    readout_learns=False,
)
_E_PROP = Rule(
    name="e-prop",
    source="Bellec et al., Nature Communications 2020, without the output filter (kappa = 0), as Frenkel & Indiveri "
    "2022; symmetric feedback",
    decay=0.95,
    hidden_trace_decay=0.95,
    surrogate="triangle",
    peak=0.3,
)
_SBP = Rule(
    name="temporal-sbp",
    source="Yang, arXiv 2011.09964: the reset's derivative, as a trace per synapse; soft reset",
    hidden_trace_decay=0.5,
    eligibility=True,
    apply="sample",
)

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        _OTTT,
        replace(_OTTT, name="ottt-a", source="as ottt-o, applied at the end of the sample", apply="sample"),
        replace(
            _OTTT,
            name="ottt-o-raw",
            source="as ottt-o, with the first layer on its raw input, as the authors' code",
            first_trace_decay=0.0,
        ),
        replace(
            _OTTT,
            name="ottt-a-raw",
            source="as ottt-a, with the first layer on its raw input, as the authors' code",
            first_trace_decay=0.0,
            apply="sample",
        ),
        _SLTT,
        replace(
            _SLTT,
            name="sltt-k",
            source="as sltt, but at 2 steps of a sample only, drawn by lot",
            gate="random",
            gate_steps=2,
        ),
        _S_TLLR,
        replace(
            _S_TLLR,
            name="s-tllr-paper",
            source="as s-tllr, with the post trace decayed before it is read, as the paper's equation",
            post_read="decayed",
        ),
        replace(
            _S_TLLR,
            name="s-tllr-shd",
            source="as s-tllr, with the paper's settings for spoken digits: a counter for a trace, alpha_post = +1",
            decay=0.99,
            hidden_trace_decay=1.0,
            readout_trace_decay=0.99,
            post_gain=1.0,
            post_decay=0.5,
            surrogate="fast-sigmoid-100",
            peak=1.0,
        ),
        replace(
            _S_TLLR,
            name="s-tllr-dfa",
            source="as s-tllr, with direct feedback of the error through a fixed random matrix",
            signal="feedback",
        ),
        replace(
            _S_TLLR,
            name="s-tllr-sdfa",
            source="as s-tllr, with direct feedback of the error's sign",
            signal="sign-feedback",
        ),
        _DALTON,
        replace(
            _DALTON,
            name="tfr",
            source="Gaurav et al., IEEE TETC 13(3) 2025, the baseline: neurons of dalton, each layer on the error of a "
            "fixed random readout of its own",
            signal="local",
            scaled=False,
        ),
        _E_PROP,
        replace(_E_PROP, name="e-prop-random", source="as e-prop, random feedback", signal="feedback"),
        _SBP,
        replace(_SBP, name="temporal-sbp-hard", source="as temporal-sbp, reset to zero", reset="hard"),
        replace(
            _S_TLLR,
            name="tess",
            source="Apolinario, Roy & Frenkel, IJCNN 2025, arXiv 2502.01837, settings for event data: as s-tllr "
            "without the post term, on the error of a fixed square-wave readout of each layer",
            hidden_trace_decay=0.5,
            post_gain=0.0,
            post_decay=0.0,
            signal="local",
            fixed="square-wave",
        ),
    )
}


def rule_named(name: str) -> Rule:
    """The row called `name`, or a `ConfigurationError` that names the nearest."""
    if name not in RULES:
        raise ConfigurationError(f"no rule is called {name!r}", did_you_mean(name, RULES))
    return RULES[name]


def surrogate_value(kind: str, x: float) -> float:
    """psi(x) in real numbers, peak 1; a row of `SURROGATES`."""
    return SURROGATES[kind][0](x)


def surrogate_table(kind: str, *, peak: int, threshold: int, shift: int) -> tuple[int, ...]:
    """psi at the middle of each of the table's intervals of abs(u - threshold), `2**shift` wide, scaled to `peak`."""
    middles = ((index + 0.5) * (1 << shift) - 0.5 for index in range(SURROGATE_ENTRIES))
    return tuple(round(peak * surrogate_value(kind, middle / threshold)) for middle in middles)


def network_for(
    rule: Rule,
    sizes: tuple[int, ...],
    array: ArrayConfig,
    *,
    rate: int = 2,
    event_value_bits: int = 1,
    recurrent: bool = False,
    bias: bool = False,
    decay: float | None = None,
    readout_decay: float = 1.0,
    weight_range: int = 1,
    spiking_readout: bool = False,
) -> Network:
    """The network of `rule` on `array`: every coefficient in integers.

    `sizes` are widths from the input to the readout. `rate` is the learning rate's power of two, counted so that the
    same `rate` means the same step whatever the stored width: `rate_shift = rate + weight shift alignment`.
    `event_value_bits` is the width of a graded input (1: spikes). Hidden layers may be `recurrent`, and all layers that
    learn have a `bias`. `decay` takes the place of the rule's leak of hidden membranes, and of every hidden trace that
    leaks as they do. The readout is a membrane with `readout_decay`, its error taken from the membrane unless it
    does not leak. Hidden weights reach `weight_range` thresholds, a power of two: the threshold is that much lower, and
    weights, thresholds and updates are coarser by it; few inputs need more than one. With `spiking_readout` the last
    layer spikes, and a frozen identity that counts its spikes is the readout.
    """
    if len(sizes) < 2:
        raise ConfigurationError(
            f"layers {'-'.join(map(str, sizes))!r} need an input and a readout", "write 784-256-10"
        )
    if weight_range not in WEIGHT_RANGES:
        raise ConfigurationError(f"weight_range {weight_range} is none of {', '.join(map(str, WEIGHT_RANGES))}")
    sizes = (*sizes, sizes[-1]) if spiking_readout else sizes
    one = array.decay_one
    leak = rule.decay if decay is None else decay
    hidden_trace_decay = leak if rule.hidden_trace_decay == rule.decay else rule.hidden_trace_decay
    coarser = weight_range.bit_length() - 1
    threshold = min(1 << (array.synapse_bits - 1 - coarser), array.membrane.max)
    if threshold < THRESHOLD_MIN:
        raise ConfigurationError(
            f"weight_range {weight_range} leaves thresholds of {threshold} with synapse_bits = {array.synapse_bits}",
            "a smaller range, or more synapse_bits",
        )
    reach = SURROGATES[rule.surrogate][1]
    surrogate_shift = max(0, math.ceil(math.log2(reach * threshold / SURROGATE_ENTRIES)))
    rate_shift = rate + 23 - array.weight_bits
    lower = round(-math.log2(rule.peak))
    signal_shift = max(0, array.synapse_bits + array.surrogate_bits - 4) + lower
    last = len(sizes) - 2
    layers = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        readout = index == last
        identity = readout and spiking_readout
        learns = not identity and (rule.readout_learns or not readout)
        trace_decay = rule.readout_trace_decay if readout else hidden_trace_decay
        if index == 0 and not readout and rule.first_trace_decay is not None:
            trace_decay = rule.first_trace_decay
        above = sizes[-1] if readout else sizes[index + 2]
        # Weights that spikes go up by are what the error comes down by.
        larger = coarser if not readout and index + 1 < last and rule.signal == "backprop" else 0
        slower = round(math.log2(above / sizes[-1])) if rule.scaled else 0
        bits = event_value_bits if index == 0 else 1
        trace_shift = max(0, UNIT.bit_length() - bits - _headroom(trace_decay))
        # What a trace is smaller by, its rate is greater by.
        faster = UNIT.bit_length() - bits - trace_shift
        # A readout that all layers see through is also the topmost layer's own.
        topmost = index == last - 1 and rule.signal == "local" and not rule.readout_learns
        layers.append(
            Layer(
                inputs=inputs,
                outputs=outputs,
                spiking=not readout,
                recurrent=recurrent and not readout,
                bias=bias and learns,
                start="identity" if identity else "normal",
                decay=round((readout_decay if readout and not identity else 1.0 if readout else leak) * one),
                threshold=min(threshold + rule.strict, array.membrane.max),
                reset="none" if readout else rule.reset,
                current_decay=0 if readout else round(rule.current_decay * one),
                clamp=rule.clamp and not readout,
                learns=learns,
                surrogate_shift=surrogate_shift,
                trace_decay=round(trace_decay * one),
                trace_shift=trace_shift,
                rate_shift=max(0, min(RATE_SHIFT_MAX, rate_shift + slower - faster + (0 if readout else coarser))),
                signal="backprop" if readout or topmost else rule.signal,
                fixed=rule.fixed,
                signal_shift=max(0, min(SIGNAL_SHIFT_MAX, signal_shift - larger)),
                post=0 if readout or not rule.post_gain else (1 if rule.post_gain > 0 else -1),
                post_decay=0 if readout else round(rule.post_decay * one),
                post_read=rule.post_read,
                post_shift=_post_shift(rule, signal_shift - larger, array),
                eligibility=rule.eligibility and not readout,
            )
        )
    return Network(
        layers=tuple(layers),
        surrogate=surrogate_table(rule.surrogate, peak=array.surrogate_max, threshold=threshold, shift=surrogate_shift),
        error=rule.error,
        error_on="current" if readout_decay == 1.0 else "membrane",
        error_shift=max(0, array.synapse_bits - 7) + _readout_gain(readout_decay),
        gate=rule.gate,
        gate_steps=rule.gate_steps,
        apply=rule.apply,
    )


def range_of(layer: Layer, array: ArrayConfig) -> int:
    """The `weight_range` that `network_for` gave a hidden layer, whose threshold may be one more, or the greatest
    membrane; of any other threshold the least that reaches as far, 1 at least."""
    threshold = layer.threshold + (layer.threshold == array.membrane.max)
    return 1 << max(0, array.synapse_bits - max(1, threshold).bit_length())


def _readout_gain(decay: float) -> int:
    """Bits by which a leaking readout's membrane outgrows its current: half of what a lasting current builds up."""
    return max(0, round(math.log2(1 / (1 - decay))) - 1) if decay < 1.0 else 0


def _headroom(trace_decay: float) -> int:
    """Bits by which a spike's trace is less than `UNIT`, so that a train of spikes stays in the format."""
    return max(0, math.ceil(math.log2(1 / (1 - trace_decay))) - 1) if trace_decay < 0.98 else 6


def _post_shift(rule: Rule, signal_shift: int, array: ArrayConfig) -> int:
    """The shift that makes H of `delta * q` on the scale of G: q has one bit less than psi has room for."""
    gain = round(math.log2(abs(rule.post_gain))) if rule.post_gain else 0
    return max(0, min(SIGNAL_SHIFT_MAX, signal_shift + FACTOR_BITS - 1 - array.surrogate_bits - gain))
