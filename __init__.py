# SPDX-License-Identifier: Apache-2.0
"""trifactor: a fixed-point LIF core array that learns on the chip by three-factor rules."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "ArrayConfig": "arch.array",
    "DeviceState": "arch.device",
    "Layer": "arch.network",
    "Network": "arch.network",
    "RULES": "arch.rules",
    "network_for": "arch.rules",
    "GoldenDevice": "golden.device",
    "FloatDevice": "golden.floating.device",
    "RtlDevice": "cosim.device",
    "BoardDevice": "host.board",
    "VirtualBoard": "cosim.virtual_board",
    "LinkConfig": "arch.link",
    "from_nir": "host.nir",
    "from_snntorch": "host.torch_modules",
    "from_torch": "host.torch_modules",
    "to_nir": "host.nir_export",
    "quantise": "golden.quantise",
    "QuantisedNetwork": "golden.aware",
    "read_samples": "host.rasters",
    "write_results": "host.results",
    "Array": "rtl.array",
    "synthesise": "boards.synth",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - the names are the keys above


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that `import trifactor` stays light."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'trifactor' has no attribute {name!r}")
    return getattr(import_module(f"trifactor.{_PUBLIC[name]}"), name)
