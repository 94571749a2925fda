# SPDX-License-Identifier: Apache-2.0
"""The row pipeline: walks groups and list entries, one weight word a clock, for each of the three verbs."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arch.array import ArrayConfig, ceil_log2
from ..arch.formats import FACTOR_BITS, RATE_SHIFT_MAX
from ..arch.noise import OWN_BITS, ROW_NOISE_BITS
from .fixed import pow2_exponent
from .lane import REACH_BITS, REACH_MIN, RUN_BITS
from .noise import group_words, leading_ones, ones_ladder, round_noise, row_noise, run_of_ones
from .pipeline import delayed, wire
from .timing import between, domain, timing


class Verb(IntEnum):
    """What is done to the words of a row."""

    SCATTER = 0
    GATHER = 1
    UPDATE = 2


class _Walk:
    """Registers that the parts of `Rows` share."""

    def __init__(self, config: ArrayConfig) -> None:
        self.group = Signal(config.group_bits + 1)
        self.group_address = Signal(config.weight_address_bits)
        self.neuron = Signal(config.row_bits + 1)
        self.swap_neuron = Signal(config.row_bits + 1)
        self.issue = Signal()
        self.issue_swap = Signal()
        self.issue_capture = Signal()
        self.visited = Signal()
        self.add = Signal()
        self.fetch = Signal()
        self.fetch_group = Signal(config.group_bits + 1)
        self.fetched = Signal()
        self.more = Signal()
        self.last_group = Signal()
        self.some = Signal(range(config.parallel + 1))
        self.some_in_use = Signal(range(config.parallel + 1))


class Rows(wiring.Component):
    """For each group of neurons, for each entry of a list: one word.

    SCATTER ends each group with a `capture` (clock 11) as soon as FIRE has done with the group before. GATHER and
    UPDATE begin each group with a `swap` (clock 8) of the lanes' factors, which were brought while the group before
    was in work; groups whose factors are all zero are skipped, but for the last one of a GATHER.

    Names carry clocks: `index` is issued at clock 0, `row` and `amount` come back from the list at clock 1. The
    accumulators `words`, `skipped` and `updates` count since `start`. With `all_groups` no group is skipped; a row
    whose `amount` is 0 then moves nothing. On a weight memory with a single port UPDATE issues a word every second
    clock.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        address = config.weight_address_bits
        optional: dict[str, object] = {}
        if config.has("shadow"):
            optional |= {"all_groups": In(1)}
        if config.has("post-trace"):
            optional |= {"post": In(FACTOR_BITS), "gather_post": Out(FACTOR_BITS)}
        if config.has("eligibility"):
            optional |= {"all_groups": In(1), "fresh": In(FACTOR_BITS), "old": In(1)}
            optional |= {"late_fresh": Out(FACTOR_BITS), "late_old": Out(1)}
        super().__init__(
            {
                **optional,
                "start": In(1),
                "busy": Out(1),
                "verb": In(Verb),
                "count": In(config.count_bits),
                "groups": In(config.group_bits + 1),
                "stride": In(config.row_bits + 1),
                "weight_base": In(address),
                "state_base": In(config.group_bits),
                "rate_shift": In(5),
                # list
                "index": Out(config.count_bits),
                "read": Out(1),
                "row": In(config.row_bits),
                "amount": In(FACTOR_BITS),
                "noise_row": Out(config.row_bits),
                "noise_word": In(32),
                # cores
                "address": Out(address),
                "read_weights": Out(1),
                "swap": Out(1),
                "noise": Out(32).array(-(-config.parallel // 32)),
                "row_noise": Out(ROW_NOISE_BITS),
                "runs": Out(RUN_BITS).array(config.parallel),
                "reach": Out(signed(REACH_BITS)),
                "trace": Out(FACTOR_BITS),
                "rate_room": Out(5),
                "valid": Out(1),
                "scatter": Out(1),
                "event_shift": Out(3),
                "capture": Out(1),
                "moving": Out(1),
                "write": Out(1),
                "write_address": Out(address),
                "write_row_noise": Out(32),
                "write_neuron": Out(16),
                # factors
                "factor_read": Out(1),
                "factor_state": Out(config.state_bits),
                "factor_shift": Out(1),
                "factor_some": In(range(config.cores + 1)),
                # modulate
                "ahead": Out(1),
                "ahead_index": Out(config.count_bits),
                "gather": Out(1),
                "gather_index": Out(config.count_bits),
                "gather_add": Out(1),
                "gather_last": Out(1),
                "gather_row": Out(config.row_bits),
                "gather_psi": Out(config.surrogate_bits),
                # fire
                "fire_idle": In(1),
                "fire_group": Out(config.group_bits),
                "fire_neuron": Out(config.row_bits + 1),
                # counts
                "words": Out(address + 1),
                "skipped": Out(address + 1),
                "updates": Out(address + 1 + ceil_log2(config.parallel)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Group and entry walk, factor prefetch, delay lines."""
        m = Module()
        walk = _Walk(self.config)
        self._walk(m, walk)
        self._prefetch(m, walk)
        self._pipeline(m, walk)
        return m

    def _walk(self, m: Module, walk: _Walk) -> None:
        """Which entry of which group is issued at clock 0."""
        entry = Signal(self.config.count_bits)
        # UPDATE ends with its last write; GATHER goes on through MODULATE.
        clock = timing(self.config)
        drained = clock.total + clock.modulate + 2
        early = drained - clock.write - clock.write_delay - 2
        drain = Signal(range(drained + 1))
        in_flight = Signal()
        # On a single port every second clock of an UPDATE is for writes.
        turn: Value = Const(1)
        if self.config.weight_memory == "single":
            turn = Signal(init=1)
            m.d.sync += turn.eq((self.verb != Verb.UPDATE) | ~turn)
        scatter = self.verb == Verb.SCATTER
        last_group = walk.last_group
        m.d.comb += last_group.eq(walk.group + 1 == self.groups)
        last_entry = entry + 1 == self.count
        onward = Signal()
        later = clock.read - 1 if self.config.pipeline == "short" else 0
        with m.If(delayed(m, onward, later, "onward")[-1]):
            m.d.sync += walk.group_address.eq(walk.group_address + self.stride)
        next_group = [
            walk.group.eq(walk.group + 1),
            walk.neuron.eq(walk.neuron + self.config.parallel),
            entry.eq(0),
        ]
        m.d.comb += [self.index.eq(entry), self.read.eq(walk.issue)]
        with m.If(self.capture):
            m.d.sync += in_flight.eq(0)
        with m.If(walk.issue):
            m.d.sync += [entry.eq(entry + 1), self.words.eq(self.words + 1)]
            with m.If(self.verb == Verb.UPDATE):
                m.d.sync += self.updates.eq(self.updates + walk.some_in_use)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        self.busy.eq(1),
                        walk.group.eq(0),
                        walk.group_address.eq(self.weight_base),
                        walk.neuron.eq(0),
                        entry.eq(0),
                        drain.eq(Mux(self.verb == Verb.UPDATE, early, 0)),
                        walk.visited.eq(0),
                        self.words.eq(0),
                        self.skipped.eq(0),
                        self.updates.eq(0),
                    ]
                    with m.If(scatter):
                        m.next = "CAPTURE"
                        with m.If(self.count != 0):
                            m.next = "STREAM"
                    with m.Elif(self.count == 0):
                        m.next = "DRAIN"
                    with m.Else():
                        m.next = "FETCH"
            with m.State("STREAM"):
                m.d.comb += walk.issue.eq(turn)
                with m.If(last_entry & turn):
                    with m.If(scatter):
                        m.next = "CAPTURE"
                    with m.Else():
                        m.d.comb += onward.eq(1)
                        m.d.sync += next_group
                        m.next = "FETCHED"
                        with m.If(last_group):
                            m.next = "DRAIN"
            with m.State("CAPTURE"):
                with m.If(self.fire_idle & ~in_flight):
                    m.d.comb += [walk.issue_capture.eq(1), onward.eq(1)]
                    m.d.sync += [
                        in_flight.eq(1),
                        self.fire_group.eq(self.state_base + walk.group),
                        self.fire_neuron.eq(walk.neuron),
                        *next_group,
                    ]
                    with m.If(last_group):
                        m.next = "DRAIN"
                    with m.Elif(self.count != 0):
                        m.next = "STREAM"
            with m.State("FETCH"):
                m.d.comb += walk.fetch.eq(1)
                m.d.sync += walk.fetch_group.eq(walk.group)
                m.next = "FETCHED"
            with m.State("FETCHED"):
                with m.If(walk.fetched):
                    visit = (self.verb == Verb.GATHER) & last_group
                    if hasattr(self, "all_groups"):
                        visit |= self.all_groups
                    with m.If((walk.some == 0) & ~visit):
                        m.d.comb += onward.eq(1)
                        m.d.sync += [self.skipped.eq(self.skipped + self.count), *next_group]
                        m.next = "FETCH"
                        with m.If(last_group):
                            m.next = "DRAIN"
                    with m.Else():
                        m.d.comb += walk.issue_swap.eq(1)
                        m.d.sync += [
                            walk.some_in_use.eq(walk.some),
                            walk.visited.eq(1),
                            walk.add.eq(walk.visited),
                            walk.swap_neuron.eq(walk.neuron),
                            walk.fetch_group.eq(walk.group + 1),
                            walk.more.eq(~last_group),
                        ]
                        m.next = "STREAM"
            with m.State("DRAIN"):
                m.d.sync += drain.eq(drain + 1)
                with m.If((drain >= drained) & self.fire_idle & ~in_flight):
                    m.d.sync += self.busy.eq(0)
                    m.next = "IDLE"
                with m.If(drain == drained):
                    m.d.sync += drain.eq(drain)

    def _prefetch(self, m: Module, walk: _Walk) -> None:
        """Bring a group's factors into the lanes' chain, lane after lane; count the nonzero ones."""
        lanes = self.config.lanes
        lane = Signal(range(lanes))
        reading = Signal()
        arriving = Signal()
        begin = walk.fetch | (self.swap & walk.more)
        m.d.sync += arriving.eq(reading)
        m.d.comb += [
            self.factor_read.eq(reading),
            self.factor_state.eq(((self.state_base + walk.fetch_group) << ceil_log2(lanes)) + lane),
            self.factor_shift.eq(arriving),
        ]
        with m.If(walk.issue_swap):
            m.d.sync += walk.fetched.eq(0)
        with m.If(begin):
            m.d.sync += [reading.eq(1), walk.fetched.eq(0), lane.eq(0), walk.some.eq(0)]
        with m.Elif(reading):
            m.d.sync += lane.eq(lane + 1)
            with m.If(lane == lanes - 1):
                m.d.sync += reading.eq(0)
        with m.If(arriving):
            m.d.sync += walk.some.eq(walk.some + self.factor_some)
            with m.If(~reading):
                m.d.sync += walk.fetched.eq(1)

    def _addresses(self, m: Module, walk: _Walk, row: list[Value], valid: list[Value]) -> list[Value]:
        """The address of a row's word from the clock of its read to that of its write."""
        config = self.config
        clock = timing(config)
        address = Signal(config.weight_address_bits)
        if config.pipeline == "long":
            base = delayed(m, walk.group_address, 1, "base")[1]
            m.d.sync += address.eq(base + self.row)
            return delayed(m, address, clock.write - 2, "address")[clock.read - 2 :]
        # The group's base changes when its last row is past.
        with m.If(valid[clock.read - 1]):
            m.d.sync += address.eq(walk.group_address + row[clock.read - 1])
        # On a single port no other word of an UPDATE comes between a word's read and its write.
        return delayed(m, address, int(config.weight_memory == "dual"), "address")

    def _pipeline(self, m: Module, walk: _Walk) -> None:
        """Delay lines from the issue to the last write."""
        config = self.config
        clock = timing(config)
        stage = domain(config)
        hashed, write_clock, sum_clock = clock.hashed, clock.write, clock.total
        # Only MODULATE needs the noise of a GATHER: it is made late, and so waits nowhere.
        late_hash = sum_clock + clock.noise - config.noise_latency
        scatter = self.verb == Verb.SCATTER
        update = self.verb == Verb.UPDATE
        gather = self.verb == Verb.GATHER

        valid = delayed(m, walk.issue, max(sum_clock, write_clock), "valid")
        swap = delayed(m, walk.issue_swap, sum_clock - 1, "swap")
        capture = delayed(m, walk.issue_capture, clock.capture, "capture")
        row = [Signal(1), *delayed(m, self.row, max(sum_clock, late_hash) - 1, "row")]
        amount = [Signal(1), *delayed(m, self.amount, sum_clock - 1, "amount")]
        address = self._addresses(m, walk, row, valid)
        word = [*([Signal(1)] * hashed), *delayed(m, self.noise_word, write_clock - hashed, "word")]

        neuron = Signal(config.row_bits + 1)
        # Of the group that is on its way to the sum, and of the one that is there.
        coming, now = (Signal(data.StructLayout({"add": 1, "last": 1}), name=name) for name in ("coming", "summed"))
        with m.If(swap[hashed - 1]):
            m.d.sync += [neuron.eq(walk.swap_neuron), coming.add.eq(walk.add), coming.last.eq(~walk.more)]
        row_word = word[hashed]
        noise = [
            wire(m, value, f"group_noise_{index}")
            for index, value in enumerate(group_words(m, row_word, neuron, config.parallel))
        ]
        for lane_word, value in zip(self.noise, noise, strict=True):
            m.d.sync += lane_word.eq(value)
        m.d.sync += self.row_noise.eq(row_noise(row_word))
        if config.products == "shift":
            beyond = Signal(RUN_BITS)
            exponent = Signal(range(FACTOR_BITS + 1))
            # In a short pipeline all of it is made of the row's word within a clock.
            own, common = (list(self.noise), self.row_noise) if stage == "sync" else (noise, row_noise(row_word))
            m.d[stage] += [
                beyond.eq(leading_ones(m, common) + OWN_BITS),
                exponent.eq(pow2_exponent(m, amount[hashed], round_noise(row_word))),
            ]
            m.d.sync += self.reach.eq(exponent - self.rate_shift)
            if config.has("shadow"):
                idle = delayed(m, amount[hashed] == 0, between(config, 1), "idle")[-1]
                with m.If(idle):
                    m.d.sync += self.reach.eq(REACH_MIN)
            ladders = [ones_ladder(m, value, stage=stage) for value in own]
            for offset in range(config.parallel):
                run = run_of_ones(m, ladders[offset >> 5], 31 - (offset & 31), beyond, f"run_{offset}")
                m.d.sync += self.runs[offset].eq(run)
        m.d.comb += [
            self.address.eq(address[0]),
            self.read_weights.eq(valid[clock.read]),
            self.swap.eq(swap[hashed + 1]),
            self.trace.eq(amount[hashed + 1]),
            self.rate_room.eq(RATE_SHIFT_MAX - self.rate_shift),
            self.valid.eq(valid[clock.word] & ~update),
            self.scatter.eq(scatter),
            self.event_shift.eq(amount[clock.word]),
            self.capture.eq(capture[-1]),
            self.moving.eq(valid[clock.moving] & update),
            self.write.eq(valid[write_clock] & update),
            self.write_address.eq(address[-1]),
            self.write_row_noise.eq(word[write_clock]),
            self.write_neuron.eq(delayed(m, neuron, write_clock - hashed, "neuron")[-1]),
        ]
        with m.If(swap[sum_clock - 1]):
            m.d.sync += [self.ahead_index.eq(0), now.eq(coming)]
        with m.Elif(valid[sum_clock - 1]):
            m.d.sync += self.ahead_index.eq(self.ahead_index + 1)
        m.d.comb += [
            self.ahead.eq(valid[sum_clock - 1] & gather),
            self.gather.eq(valid[sum_clock] & gather),
            self.gather_index.eq(delayed(m, self.ahead_index, 1, "index")[1]),
            self.gather_add.eq(now.add),
            self.gather_last.eq(now.last),
            self.gather_row.eq(row[sum_clock]),
            self.gather_psi.eq(amount[sum_clock]),
            self.noise_row.eq(Mux(gather, row[late_hash], self.row)),
        ]
        if config.has("eligibility"):
            m.d.comb += [
                self.late_fresh.eq(delayed(m, self.fresh, hashed + 2, "fresh")[-1]),
                self.late_old.eq(delayed(m, self.old, hashed + 2, "old")[-1]),
            ]
        if config.has("post-trace"):
            m.d.comb += self.gather_post.eq(delayed(m, self.post, sum_clock - 1, "post")[-1])
