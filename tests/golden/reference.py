# SPDX-License-Identifier: Apache-2.0
"""The whole law once more: docs/law.md read aloud, in plain integers and loops."""

from __future__ import annotations

from dataclasses import dataclass, field

from trifactor.arch import noise
from trifactor.arch.array import ArrayConfig
from trifactor.arch.device import DeviceState
from trifactor.arch.gate import open_steps
from trifactor.arch.network import Layer, Network
from trifactor.arch.noise import Domain
from trifactor.arch.readout import EXP2, LOG2
from trifactor.arch.registers import COUNTERS

Matrix = list[list[int]]
WEIGHTS, NEURONS, TRACES = range(3)
"""Places of the signatures."""


def clamp(value: int, low: int, high: int) -> int:
    """`value`, or the end of the range that it is beyond."""
    return max(low, min(high, value))


def sign(value: int) -> int:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)


def rotl(word: int, amount: int) -> int:
    """32 bits, turned left."""
    return (word << amount | word >> (32 - amount)) & 0xFFFFFFFF


def pow2_round(value: int, n: int) -> int:
    """A power of two near `value`, by 7 bits of noise."""
    if value == 0:
        return 0
    k = value.bit_length() - 1
    return 1 << (k + (n < (value << (7 - k)) & 127))


@dataclass
class Trajectory:
    """After every step, what the device records: per step, then per layer."""

    spikes: list[Matrix] = field(default_factory=list)
    membranes: list[Matrix] = field(default_factory=list)
    traces: list[Matrix] = field(default_factory=list)
    post_traces: list[Matrix] = field(default_factory=list)
    signatures: Matrix = field(default_factory=list)


class Reference:
    """One device. State of a sample is kept per layer: v, c, p, q, the spikes s, and which rows were ever `touched`.

    Of the step in work it keeps, per layer: the rows' events x, psi, what H takes of q, and the readouts' c and u.
    """

    def __init__(self, array: ArrayConfig, network: Network, state: DeviceState) -> None:
        self.array, self.network = array, network
        self.last = len(network.layers) - 1
        self.W: list[Matrix] = [block.tolist() for block in state.weights]
        self.seed, self.sample = state.seed, state.sample
        self.counters = {name: 0 for name, _ in COUNTERS}
        self.signatures = [0, 0, 0]
        self.renew()

    def renew(self) -> None:
        """Let the stored weights act."""
        down = self.array.weight_bits - self.array.synapse_bits
        self.w = [[[value >> down for value in row] for row in block] for block in self.W]

    def sign_write(self, which: int, value: int) -> None:
        """One term of a signature."""
        self.signatures[which] = (self.signatures[which] + noise.digest(value)) & 0xFFFFFFFF

    def key(self, number: int, domain: Domain) -> int:
        """Key of one purpose in one layer, or block, in the step in work."""
        return noise.domain_key(self.step_key, number, domain)

    def groups(self, neurons: int) -> int:
        """Groups that `neurons` fill."""
        return -(-neurons // (self.array.cores * self.array.lanes))

    def busy(self, factor: list[int]) -> set[int]:
        """The groups that hold a nonzero factor."""
        return {i // (self.array.cores * self.array.lanes) for i, value in enumerate(factor) if value}

    def saturate(self, value: int) -> int:
        """To membrane_bits."""
        limit = 1 << (self.array.membrane_bits - 1)
        return clamp(value, -limit, limit - 1)

    def rounded(self, value: int, n: int) -> int:
        """A factor as products take it: its magnitude a power of two, or as it is."""
        return sign(value) * pow2_round(abs(value), n) if self.array.products == "shift" else value

    def run(self, events: Matrix, label: int | None) -> Trajectory:
        """One sample, which learns if it has a label."""
        layers = self.network.layers
        self.v, self.c, self.q, self.s = ([[0] * layer.outputs for layer in layers] for _ in range(4))
        self.p, self.touched, self.left = ([[0] * layer.rows for layer in layers] for _ in range(3))
        self.E: list[Matrix] = [[[0] * layer.outputs for _ in range(layer.rows)] for layer in layers]
        self.counters["samples"] += 1
        gate = open_steps(self.network, len(events), seed=self.seed, sample=self.sample)
        seen = Trajectory()
        for time, values in enumerate(events):
            self.step_key = noise.step_key(self.seed, self.sample, time)
            self.counters["steps"] += 1
            self.forward(values)
            if label is not None:
                self.move_traces()
                ends = self.network.apply == "sample" and time == len(events) - 1
                if gate[time]:
                    self.learn(label, ends=ends)
                else:
                    for number, layer in enumerate(layers):
                        if ends or layer.eligibility:
                            self.update_by_traces(number, [0] * layer.outputs, ends=ends)
                if ends or self.network.apply == "step":
                    self.renew()
            seen.spikes.append([list(s) for s in self.s])
            seen.membranes.append([list(v) for v in self.v])
            seen.traces.append([list(p) for p in self.p])
            seen.post_traces.append([list(q) for q in self.q])
            seen.signatures.append(list(self.signatures))
        self.sample = (self.sample + 1) & 0xFFFFFFFF
        return seen

    def forward(self, values: list[int]) -> None:
        """Spikes, membranes, psi and post traces of every layer, from the bottom up."""
        before, self.s = self.s, []
        self.x, self.psi, self.q_read, self.kappa = [], [], [], []
        for number, layer in enumerate(self.network.layers):
            self.x.append([*values, *(before[number] if layer.recurrent else []), *([1] if layer.bias else [])])
            entries = sum(value.bit_count() for value in self.x[number])
            self.count_forward(entries, layer.outputs)
            values = self.fire(number, layer)
            self.s.append(values)
            self.counters["spikes"] += sum(values)

    def count_forward(self, entries: int, neurons: int) -> None:
        """What a list of events costs that `neurons` read."""
        self.counters["events"] += entries
        self.counters["scatter_words"] += self.groups(neurons) * entries
        self.counters["fire_groups"] += self.groups(neurons)

    def fire(self, number: int, layer: Layer) -> list[int]:
        """The neurons of one layer; gives their spikes."""
        array, network = self.array, self.network
        spiking = number < self.last
        spikes, psis, reads, kappas = [], [], [], []
        self.y_current, self.y_membrane = [], []
        for i in range(layer.outputs):
            total = sum(w[i] * x for w, x in zip(self.w[number], self.x[number], strict=True))
            raw_c = ((layer.current_decay * self.c[number][i]) >> array.decay_bits) + total
            c = self.saturate(raw_c) if "cuba" in array.units else total
            raw_u = ((layer.decay * self.v[number][i]) >> array.decay_bits) + c
            u = self.saturate(raw_u)
            clamped = u != raw_u or ("cuba" in array.units and c != raw_c)
            below = layer.clamp and u < 0
            u = 0 if below else u
            threshold = layer.threshold if layer.thresholds is None else layer.thresholds[i]
            s = int(spiking and u >= threshold)
            v = u
            if s:
                v = {"soft": u - threshold, "hard": 0, "none": u}[layer.reset]
            entry = abs(u - threshold) >> layer.surrogate_shift
            psi = network.surrogate[entry] if spiking and entry < 16 and not below else 0
            decayed = (layer.post_decay * self.q[number][i]) >> array.decay_bits
            reads.append({"old": self.q[number][i], "decayed": decayed}[layer.post_read] if layer.post else 0)
            if "post-trace" in array.units:
                raw_q = decayed + ((psi << 7) >> array.surrogate_bits)
                self.q[number][i] = min(255, raw_q)
                clamped |= raw_q > 255
            self.counters["membrane_saturations"] += clamped
            self.c[number][i], self.v[number][i] = c, v
            spikes.append(s)
            psis.append(psi)
            self.y_current.append(c)
            self.y_membrane.append(u)
            kappas.append(self.left_of_a_trace(layer, u, s, psi, threshold))
            word = noise.mix(self.key(number, Domain.STATE) ^ i)
            self.sign_write(NEURONS, word ^ (v & 0xFFFF) ^ (s << 16) ^ (psi << 17))
        self.psi.append(psis)
        self.q_read.append(reads)
        self.kappa.append(kappas)
        return spikes

    def left_of_a_trace(self, layer: Layer, u: int, s: int, psi: int, threshold: int) -> int:
        """kappa of a neuron."""
        one = 1 << self.array.surrogate_bits
        m = {"soft": one - psi, "none": one}.get(layer.reset)
        if m is None:
            m = clamp(one * (1 - s) - ((max(0, u) * psi) >> (threshold.bit_length() - 1)), -one, one)
        return sign(m) * ((layer.decay * abs(m)) >> self.array.surrogate_bits)

    def move_traces(self) -> None:
        """Pre traces of every layer."""
        for number, layer in enumerate(self.network.layers):
            key = self.key(number, Domain.TRACE)
            for j, x in enumerate(self.x[number]):
                is_bias = layer.bias and j == layer.rows - 1
                decay = 0 if is_bias else layer.trace_decay
                self.left[number][j] = (decay * self.p[number][j]) >> self.array.decay_bits
                raw = self.left[number][j] + (x << layer.trace_shift)
                p = self.p[number][j] = min(255, raw)
                self.counters["trace_saturations"] += raw > 255
                if p:
                    self.touched[number][j] = 1
                    self.sign_write(TRACES, noise.mix(key ^ j) ^ p)

    def learn(self, label: int, *, ends: bool) -> None:
        """Errors, learning signals from the top down, then all updates."""
        layers, last = self.network.layers, self.last
        y = self.y_current if self.network.error_on == "current" else self.y_membrane
        readout = self.readout_factor(last, y, label)
        G: list[list[int]] = [[] for _ in layers]
        H: list[list[int]] = [[] for _ in layers]
        G[last] = readout
        # The readouts of local signals are computed where their layers are: from the bottom up.
        local = {
            number: self.local_factor(number, label) for number, layer in enumerate(layers) if layer.signal == "local"
        }
        for number in reversed(range(last)):
            layer = layers[number]
            if layer.signal == "backprop":
                F, M = G[number + 1], self.w[number + 1]
            else:
                F, M = readout, self.w[self.network.signal_block(number)]
            if layer.signal == "sign-feedback":
                F = [128 * sign(value) for value in readout]
            if layer.signal == "local":
                F = local[number]
            G[number], H[number] = self.signals(number, layer, M, F)
        for number, layer in enumerate(layers):
            self.update_by_traces(number, G[number], ends=ends)
            if layer.learns and layer.post:
                pre = [min(255, x << layer.trace_shift) for x in self.x[number]]
                self.update(number, pre, H[number], Domain.EVENT, visited=pre)

    def local_factor(self, number: int, label: int) -> list[int]:
        """The readout of a layer's own, and its error: without leaks u is c, which *cuba* saturates, or I saturated."""
        block = self.network.signal_block(number)
        classes = self.network.outputs
        key = self.key(block, Domain.STATE)
        total = [sum(w[i] * s for w, s in zip(self.w[block], self.s[number], strict=True)) for i in range(classes)]
        u = [self.saturate(value) for value in total]
        self.count_forward(sum(self.s[number]), classes)
        for i in range(classes):
            self.counters["membrane_saturations"] += u[i] != total[i]
            self.sign_write(NEURONS, noise.mix(key ^ i) ^ (u[i] & 0xFFFF))
        on_current = self.network.error_on == "current" and "cuba" not in self.array.units
        return self.readout_factor(block, total if on_current else u, label)

    def readout_factor(self, block: int, y: list[int], label: int) -> list[int]:
        """G of a readout."""
        key = self.key(block, Domain.ERROR)
        return [self.rounded(e, noise.mix(key ^ i) >> 25) for i, e in enumerate(self.error(y, label))]

    def error(self, y: list[int], label: int) -> list[int]:
        """The error at a readout."""
        shift = self.network.error_shift
        target = [128 * (i == label) for i in range(len(y))]
        if self.network.error == "mse":
            return [clamp((value >> shift) - goal, -128, 128) for value, goal in zip(y, target, strict=True)]
        d = [min(1023, (max(y) >> shift) - (value >> shift)) for value in y]
        S = sum(EXP2[k & 31] >> (k >> 5) for k in d)
        n = S.bit_length() - 1
        L = 32 * n + LOG2[((S << 5) >> n) & 31] - 32 * 9
        d = [max(0, k + L) for k in d]
        wrong = [0 if goal else (EXP2[k & 31] >> (k >> 5)) + 2 >> 2 for k, goal in zip(d, target, strict=True)]
        return [-min(128, sum(wrong)) if goal else e for e, goal in zip(wrong, target, strict=True)]

    def signals(self, number: int, layer: Layer, M: Matrix, F: list[int]) -> tuple[list[int], list[int]]:
        """G and H of a hidden layer."""
        key = self.key(number, Domain.SIGNAL)
        words = len(self.busy(F) | {self.groups(len(F)) - 1})
        G, H = [], []
        for j in range(layer.outputs):
            psi, q = self.psi[number][j], self.q_read[number][j]
            if not psi and not q:
                G.append(0)
                H.append(0)
                continue
            self.counters["gather_rows"] += 1
            self.counters["gather_words"] += words
            delta = sum(m * f for m, f in zip(M[j], F, strict=True))
            r = noise.mix(key ^ j)
            turned = rotl(r, 13)
            a = self.modulated(delta, psi, r, layer.signal_shift)
            b = self.modulated(delta, q, turned, layer.post_shift)
            G.append(self.rounded(sign(delta) * a, r >> 25))
            H.append(self.rounded(sign(delta) * layer.post * b, turned >> 25))
        return G, H

    def modulated(self, delta: int, scale: int, r: int, shift: int) -> int:
        """The magnitude of G or H, not yet a power of two."""
        a = (min(65535, abs(delta)) * scale + (r & ((1 << shift) - 1))) >> shift
        self.counters["signal_saturations"] += a > 128
        return min(128, a)

    def update_by_traces(self, number: int, G: list[int], *, ends: bool) -> None:
        """The update of a layer that learns; `ends`: it ends a sample, after which its weights act."""
        layer = self.network.layers[number]
        if not layer.learns:
            return
        visited = self.touched[number] if ends else self.p[number]
        if layer.eligibility:
            self.move_own_traces(number, layer, visited)
            self.update(number, None, G, Domain.WEIGHT, visited=visited, every_group=True)
            for row in (row for row, there in zip(self.E[number], visited, strict=True) if there):
                for i, e in enumerate(row):
                    kappa = self.kappa[number][i]
                    row[i] = sign(e) * sign(kappa) * ((abs(kappa) * abs(e)) >> self.array.decay_bits)
        else:
            self.update(number, self.p[number], G, Domain.WEIGHT, visited=visited, every_group=ends)

    def move_own_traces(self, number: int, layer: Layer, visited: list[int]) -> None:
        """What the events of the step add to the traces of synapses."""
        for j, row in enumerate(self.E[number]):
            if visited[j]:
                for i, e in enumerate(row):
                    added = min(255, self.x[number][j] << layer.trace_shift)
                    row[i] = clamp((e if self.left[number][j] else 0) + added, -255, 255)

    def update(
        self,
        number: int,
        pre: list[int] | None,
        factor: list[int],
        domain: Domain,
        *,
        visited: list[int],
        every_group: bool = False,
    ) -> None:
        """Move the weights of the visited rows whose neurons have a factor, by `pre` or by the synapses' own traces."""
        array, count = self.array, self.counters
        key = self.key(number, domain)
        groups = self.groups(len(factor))
        words = groups if every_group else len(self.busy(factor))
        limit = 1 << (array.weight_bits - 1)
        rate_shift = self.network.layers[number].rate_shift
        for j, row in enumerate(self.W[number]):
            if not visited[j]:
                count["rows_skipped"] += 1
                continue
            count["update_rows"] += 1
            count["update_words"] += words
            count["update_words_skipped"] += groups - words
            word = noise.mix(key ^ j)
            amount = 0 if pre is None else self.rounded(pre[j], (word ^ word >> 8) & 127)
            for i, f in enumerate(factor):
                if f == 0:
                    continue
                own = noise.synapse_noise(word, i)
                if pre is None:
                    amount = self.rounded(self.E[number][j][i], own >> 18 & 127)
                r = (own >> 25) << 16 | (word ^ word >> 16) & 0xFFFF
                a = (abs(f) * abs(amount) + (r >> (23 - rate_shift))) >> rate_shift
                raw = row[i] - sign(f) * (sign(amount) if pre is None else 1) * a
                row[i] = clamp(raw, -limit, limit - 1)
                count["weight_updates"] += 1
                count["weight_saturations"] += row[i] != raw
                self.sign_write(WEIGHTS, own ^ (row[i] & ((1 << array.weight_bits) - 1)))
