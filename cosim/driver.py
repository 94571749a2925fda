# SPDX-License-Identifier: Apache-2.0
"""Drives an array through its streams: networks, weights and samples in, states and counters out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arch.array import ArrayConfig
from ..arch.content import content_hash, content_words
from ..arch.device import DeviceState, IntArray
from ..arch.errors import ConfigurationError, DeviceError
from ..arch.formats import FACTOR_BITS
from ..arch.gate import open_steps
from ..arch.network import Network
from ..arch.noise import WORD_MASK
from ..arch.registers import (
    BY_NAME,
    CONTENT_WORDS,
    COUNTERS,
    CYCLE_COUNTERS,
    IDENTITY,
    MAP_VERSION,
    OFFSET_BITS,
    SIGNATURES,
    Space,
    descriptor_words,
    equal_but_rates,
    error_word,
    shape_word,
    table_words,
    units_word,
)
from . import backdoor
from .image import Image, sample_items
from .port import HangError, Port, Words

STEPWISE = frozenset({"spikes", "membranes", "traces", "post_traces", "signatures", "weights", "cycles"})
"""What can be recorded: all of it stops after every step."""

CLEAR_MEMORIES, CLEAR_COUNTERS = 1, 2
_FAULTS = ("an event list overflowed", "a row was out of range or out of order", "an item was out of place")
_POLLS = 1000


class ArrayDriver:
    """One array behind a `Port`. Methods that touch a network need `configure` first."""

    def __init__(self, port: Port, array: ArrayConfig) -> None:
        self.array = array
        self._port = port
        self._image: Image | None = None
        self._seed = 0

    async def reset(self, *, clear: bool = True) -> None:
        """Reset, check that the array is the one expected; unless told not to, clear memories, counters, signatures."""
        await self._port.reset()
        names = ("identity", "version", "shape", "units")
        said = [await self._registers(name) for name in names]
        if said != [IDENTITY, MAP_VERSION, shape_word(self.array), units_word(self.array)]:
            answer = ", ".join(f"{name} {word:#x}" for name, word in zip(names, said, strict=True))
            raise DeviceError(f"array answers {answer}", "is it another build?")
        if clear:
            await self.command(CLEAR_MEMORIES | CLEAR_COUNTERS)

    async def command(self, bits: int) -> None:
        """Write the command register and wait until the array is no longer busy."""
        await self.write_register("command", bits)
        for _ in range(_POLLS):
            if not await self._registers("status") & 1:
                return
        raise DeviceError(f"array still busy after command {bits}", "a fault of the hardware: record waves")

    async def configure(self, network: Network) -> None:
        """Write the descriptors, the surrogate table and the error settings of `network`."""
        self._image = Image(network, self.array)
        await self._write_content("")
        for index, words in enumerate(descriptor_words(network, self._image.placement)):
            await self._write(Space.DESCRIPTORS, index * len(words), words)
        await self._write(Space.SURROGATE, 0, network.surrogate)
        await self.write_register("layers", len(network.layers))
        await self.write_register("error", error_word(network))
        await self.write_register("apply", int(network.apply == "sample"))
        if self.array.has("thresholds"):
            own = [np.asarray(layer.thresholds or (layer.threshold,) * layer.outputs) for layer in network.layers]
            for core, words in enumerate(self._image.pack_states(own)):
                await self._write(Space.THRESHOLDS, self._image.state_offset(core), words)

    async def attach(self, network: Network) -> None:
        """As `configure`, of an array that has `network` already: nothing is written.

        Raises `DeviceError` if it has another one; rates are not looked at, they fall while it learns.
        """
        image = Image(network, self.array)
        wanted = [word for words in descriptor_words(network, image.placement) for word in words]
        found = await self._read(Space.DESCRIPTORS, 0, len(wanted))
        layers = await self._registers("layers")
        if layers != len(network.layers) or not equal_but_rates(found.tolist(), wanted):
            raise DeviceError("the board holds another network than this model's", "give the model it was loaded with")
        self._image = image

    async def load(self, weights: Sequence[IntArray], *, seed: int, sample: int) -> None:
        """Write weights, seed and sample number, then their hash; zero counters and signatures."""
        image = self._loaded()
        await self._write_content("")
        for core, words in enumerate(image.pack_weights(weights)):
            await self._write(
                Space.WEIGHTS, image.weight_offset(core), words.reshape(-1), run=image.chunks, skip=image.weight_skip
            )
        self._seed = seed
        await self.write_register("seed", seed)
        await self.write_register("sample", sample)
        await self.command(CLEAR_COUNTERS)
        state = DeviceState(weights=list(weights), seed=seed, sample=sample)
        await self._write_content(content_hash(self.array, image.network, state))

    async def content(self) -> str:
        """The first digits of the hash (`arch/content.py`) of what was loaded last; empty if that never ended."""
        if not await self._registers("layers"):
            return ""  # since power came on: memories hold anything
        words = await self._read(Space.DESCRIPTORS, table_words(self.array), CONTENT_WORDS)
        return "".join(f"{int(word):08x}" for word in words) if any(words) else ""

    async def _write_content(self, digits: str) -> None:
        """Keep a hash on the array, or that there is none."""
        words = content_words(digits) if digits else [0] * CONTENT_WORDS
        await self._write(Space.DESCRIPTORS, table_words(self.array), words)

    async def run(
        self,
        inputs: IntArray,
        labels: Sequence[int] | IntArray | None,
        *,
        learn: bool,
        record: Collection[str],
    ) -> dict[str, Any]:
        """Run samples of shape (B, T, inputs).

        Returns `readout` (B, classes) and what `record` names of `STEPWISE`: `spikes`, `membranes`, `traces`,
        `post_traces` and `weights` as one array of shape (B, T, ...) per layer, `signatures` (B, T, 3) and `cycles` (B,
        T). With nothing to record the samples are poured in without a pause.
        """
        if "spikes" in record:
            self._need_probes("spikes")
        await self.write_register("record", int("spikes" in record))
        first = await self.sample()
        samples = [
            self._items(sample, 0 if labels is None else int(labels[index]), learn=learn, number=first + index)
            for index, sample in enumerate(inputs)
        ]
        snapshots = await self._work(samples, record, learn=learn)
        answer: dict[str, Any] = {"readout": self._readouts(len(inputs))}
        await self._check()
        for name in record:
            values = [snapshot[name] for snapshot in snapshots]
            if name in ("signatures", "cycles"):
                answer[name] = np.stack(values).reshape(*inputs.shape[:2], *np.shape(values[0]))
            else:
                layers = (np.stack(layer) for layer in zip(*values, strict=True))
                answer[name] = [layer.reshape(*inputs.shape[:2], *layer.shape[1:]) for layer in layers]
        return answer

    async def begin(self, sample: IntArray, label: int, *, learn: bool) -> None:
        """Pour in one sample of shape (T, inputs) and leave the array at work on it."""
        steps = self._items(sample, label, learn=learn, number=await self.sample())
        await self._port.items(np.concatenate(steps), settle=False)

    async def read_weights(self, *, front: bool = False) -> list[IntArray]:
        """Stored weights, shape (inputs, outputs) per layer; by requests if `front` or in need."""
        return self._loaded().unpack_weights(await self._weight_words(front=front))

    async def read_active(self, *, front: bool = False) -> list[IntArray]:
        """Active weights of a `shadow` array; `front` as in `read_weights`."""
        return self._loaded().unpack_active(await self._weight_words(front=front))

    async def _weight_words(self, *, front: bool) -> Words | npt.NDArray[np.uint8]:
        """All weight words, (cores, words, chunks), or bytes."""
        image = self._loaded()
        if not front and await self._port.dump("weights"):
            bits = self.array.lane_bits * self.array.lanes
            return self._dumped("weights", image.placement.weight_words, bits)
        count = image.placement.weight_words * image.chunks
        cores = []
        for core in range(self.array.cores):
            words = await self._read(
                Space.WEIGHTS, image.weight_offset(core), count, run=image.chunks, skip=image.weight_skip
            )
            cores.append(words.reshape(-1, image.chunks))
        return np.stack(cores)

    async def read_membranes(self, *, front: bool = False) -> list[IntArray]:
        """Membranes after the reset, per layer; `front` as in `read_weights`."""
        return (await self._read_membrane_words(front=front))[0]

    async def read_currents(self, *, front: bool = False) -> list[IntArray]:
        """Synaptic currents per layer, of an array whose neurons have them; `front` as in `read_weights`."""
        return (await self._read_membrane_words(front=front))[1]

    async def _read_membrane_words(self, *, front: bool) -> list[list[IntArray]]:
        """v, and c where there is one, per layer."""
        image, bits = self._loaded(), self.array.membrane_bits
        count = 1 + self.array.has("cuba")
        if not front and await self._port.dump("membranes"):
            raw = self._dumped("membranes", image.placement.groups * self.array.lanes, bits * count)
            padded = np.zeros((*raw.shape[:2], 4), np.uint8)
            padded[..., : raw.shape[2]] = raw
            words, apart = padded.view("<u4")[..., 0].astype(np.int64), bits
        else:
            words, apart = await self._read_words(Space.MEMBRANES), 16
        values = [words >> (apart * part) & ((1 << bits) - 1) for part in range(count)]
        return [image.unpack_states(value - (value >> (bits - 1) << bits)) for value in values]

    async def read_post_traces(self, *, front: bool = False) -> list[IntArray]:
        """Post traces per layer, of an array that has them; `front` as in `read_weights`."""
        image = self._loaded()
        if not front and await self._port.dump("post_traces"):
            raw = self._dumped("post_traces", image.placement.groups * self.array.lanes, FACTOR_BITS)
            return image.unpack_states(raw[..., 0].astype(np.int64))
        return image.unpack_states(await self._read_words(Space.POST_TRACES))

    async def read_traces(self, *, front: bool = False) -> list[IntArray]:
        """Pre traces per layer; `front` as in `read_weights`."""
        image = self._loaded()
        if not front and await self._port.dump("traces"):
            size, bits = self.array.traces_per_word, FACTOR_BITS + self.array.has("shadow")
            words = backdoor.contents(Path("traces_0.hex"), words=image.placement.axons // size, bits=bits * size)
            flat = np.unpackbits(words, axis=-1, bitorder="little")[:, : bits * size].reshape(-1, bits)
            traces = np.packbits(flat[:, :FACTOR_BITS], axis=-1, bitorder="little")
            return image.unpack_traces(traces.reshape(-1).astype(np.uint32))
        self._need_probes("traces")
        return image.unpack_traces(await self._read(Space.TRACES, 0, image.placement.axons))

    async def counters(self) -> dict[str, int]:
        """All counters, those of cycles included; none of an array without."""
        if not self.array.counters:
            return {}
        names = [name for name, _ in (*COUNTERS, *CYCLE_COUNTERS)]
        words = await self._read(Space.REGISTERS, BY_NAME[names[0]].offset, len(names))
        return dict(zip(names, map(int, words), strict=True))

    async def signatures(self) -> IntArray:
        """The write signatures: weights, neurons, traces."""
        words = await self._read(Space.REGISTERS, BY_NAME[SIGNATURES[0][0]].offset, len(SIGNATURES))
        return words.astype(np.int64)

    async def sample(self) -> int:
        """Number of the next sample."""
        return await self._registers("sample")

    async def write_register(self, name: str, value: int) -> None:
        """Write one register."""
        await self._write(Space.REGISTERS, BY_NAME[name].offset, [value])

    async def read_register(self, name: str) -> int:
        """Read one register."""
        return await self._registers(name)

    def _items(self, inputs: IntArray, label: int, *, learn: bool, number: int) -> list[Words]:
        gate = open_steps(self._loaded().network, len(inputs), seed=self._seed, sample=number & WORD_MASK)
        return sample_items(inputs, label=label, learn=learn, event_bits=self.array.event_bits, gate=gate)

    async def _work(
        self, samples: Sequence[Sequence[Words]], record: Collection[str], *, learn: bool
    ) -> list[dict[str, Any]]:
        """Pour samples in, step by step with a snapshot after each if there is something to `record`."""
        steps = [step for steps in samples for step in steps]
        if not record:
            await self._pour(np.concatenate(steps))
            return []
        snapshots = []
        for items in steps:
            await self._pour(items)
            snapshots.append(await self._snapshot(record, learn=learn))
        return snapshots

    async def _pour(self, items: Words) -> None:
        """Items, and all that comes of them."""
        try:
            await self._port.items(items, settle=True)
        except HangError as error:
            status = await self._registers("status")
            raise DeviceError(f"{error.message}, status {status:#x}", error.hint) from error

    async def _snapshot(self, record: Collection[str], *, learn: bool) -> dict[str, Any]:
        image = self._loaded()
        taken: dict[str, Any] = {}
        if "spikes" in record:
            taken["spikes"] = image.spikes(self._port.take_events())
        if "membranes" in record:
            taken["membranes"] = await self.read_membranes()
        if "traces" in record:
            still = [np.zeros(layer.rows, np.int64) for layer in image.network.layers]
            taken["traces"] = await self.read_traces() if learn else still
        if "post_traces" in record:
            taken["post_traces"] = await self.read_post_traces()
        if "weights" in record:
            taken["weights"] = await self.read_weights()
        if "signatures" in record:
            taken["signatures"] = await self.signatures()
        if "cycles" in record:
            taken["cycles"] = await self._registers("cycles")
        return taken

    def _readouts(self, samples: int) -> IntArray:
        """The readout's membranes, (samples, outputs), from the result stream, which must be in order and complete."""
        outputs = self._loaded().network.outputs
        words = self._port.take_results().astype(np.int64)
        bits = self.array.membrane_bits
        index, last = words >> bits & 0xFFFF, words >> (bits + 16)
        expected = np.tile(np.arange(outputs), samples)
        if not np.array_equal(index, expected) or not np.array_equal(last, expected == outputs - 1):
            raise DeviceError(
                f"results of {samples} samples carry indices {index.tolist()}, last {last.tolist()}",
                f"expected 0 to {outputs - 1} in order, of each sample",
            )
        values = words & ((1 << bits) - 1)
        return (values - (values >> (bits - 1) << bits)).reshape(samples, outputs)

    async def _check(self) -> None:
        """Raise `DeviceError` on a fault that the array or the harness noticed."""
        self._port.check()
        status = await self._registers("status")
        for bit, text in enumerate(_FAULTS, start=1):
            if status >> bit & 1:
                raise DeviceError(f"array: {text} (status {status:#x})", "check the inputs against the network")

    async def _read_words(self, space: Space) -> IntArray:
        """Words of every core's neurons, (cores, groups * lanes)."""
        self._need_probes(space.name.lower().replace("_", " "))
        image = self._loaded()
        count = image.placement.groups * self.array.lanes
        cores = [await self._read(space, image.state_offset(core), count) for core in range(self.array.cores)]
        return np.stack(cores).astype(np.int64)

    def _dumped(self, name: str, words: int, bits: int) -> npt.NDArray[np.uint8]:
        """What the simulator wrote of a memory of every core, (cores, words, bytes)."""
        files = (Path(f"{name}_{core}.hex") for core in range(self.array.cores))
        return np.stack([backdoor.contents(file, words=words, bits=bits) for file in files])

    async def _registers(self, name: str) -> int:
        return int((await self._read(Space.REGISTERS, BY_NAME[name].offset, 1))[0])

    async def _write(self, space: Space, offset: int, words: Any, *, run: int = 0, skip: int = 0) -> None:
        await self._port.write(space << OFFSET_BITS | offset, np.asarray(words, np.uint32), run=run, skip=skip)

    async def _read(self, space: Space, offset: int, count: int, *, run: int = 0, skip: int = 0) -> Words:
        return await self._port.read(space << OFFSET_BITS | offset, count, run=run, skip=skip)

    def _need_probes(self, what: str) -> None:
        if not self.array.probes:
            raise ConfigurationError(f"this array shows no {what}", "build it with probes = true")

    def _loaded(self) -> Image:
        if self._image is None:
            raise DeviceError("the array has no network yet", "call configure first")
        return self._image
