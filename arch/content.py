# SPDX-License-Identifier: Apache-2.0
"""What a device has been loaded with, as one hash: the same in a model file, in a simulation and on a board."""

from __future__ import annotations

import hashlib
import json

from .array import NUMBERS, ArrayConfig
from .device import DeviceState
from .network import Network

SHOWN_DIGITS = 16
"""Hexadecimal digits of it that an array keeps: 64 bits."""


def content_hash(array: ArrayConfig, network: Network, state: DeviceState) -> str:
    """SHA-256, in hexadecimal digits, of all that decides what comes out: number formats, network, weights, seed and
    the next sample's number. Lanes, cores and capacities do not.
    """
    formats = {name: getattr(array, name) for name in sorted(NUMBERS)}
    described = {"formats": formats, "network": network.model_dump(mode="json")}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, separators=(",", ":")).encode())
    for weights in state.weights:
        digest.update(f"{weights.shape[0]} {weights.shape[1]} ".encode())
        digest.update(weights.astype("<i2").tobytes())
    digest.update(f"{state.seed} {state.sample}".encode())
    return digest.hexdigest()


def shown(digits: str) -> str:
    """The digits that an array keeps."""
    return digits[:SHOWN_DIGITS]


def content_words(digits: str) -> list[int]:
    """The words that an array keeps of a hash, the upper half first."""
    return [int(digits[:8], 16), int(digits[8:SHOWN_DIGITS], 16)]
