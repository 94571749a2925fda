# SPDX-License-Identifier: Apache-2.0
"""`trifactor ping`: what is at the other end of a serial line."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from ..arch.array import UNITS
from ..arch.errors import DeviceError
from ..arch.link import LinkConfig
from ..arch.packets import LINK_SPACE, LinkRegister
from ..arch.registers import BY_NAME, IDENTITY, OFFSET_BITS
from .options import Json, Verbose
from .output import Output, thousands

ASKED = ("identity", "version", "shape", "units", "sample")
TIMES = 20


def ping(
    port: Annotated[str, typer.Option(help="/dev/ttyUSB1, COM3, socket://HOST:PORT.")],
    baud: Annotated[int | None, typer.Option(min=300, help="Bits a second.", show_default="3000000")] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Say hello to a board: which array it holds, which build, how long an answer takes."""
    from .line import SerialLine
    from .link import LinkSession

    output = Output(as_json=json_output, verbosity=verbose)
    line = SerialLine(port, baud or round(LinkConfig().baud))
    try:
        session = LinkSession(line)
        session.hello()
        own = session.read(LINK_SPACE << OFFSET_BITS, len(LinkRegister))
        known = {name: int(session.read(BY_NAME[name].offset, 1)[0]) for name in ASKED}
        begun = time.perf_counter()
        for _ in range(TIMES):
            session.poll()
        seconds = (time.perf_counter() - begun) / TIMES
    finally:
        line.close()
    if known["identity"] != IDENTITY:
        raise DeviceError(f"{port}: something answers, but not an array", "is it another gateware?")
    shape = known["shape"]
    package = int(own[LinkRegister.PACKAGE])
    found: dict[str, Any] = {
        "port": port,
        "build": f"{int(own[LinkRegister.HASH_HIGH]) << 32 | int(own[LinkRegister.HASH_LOW]):016x}",
        "package": f"{package >> 16}.{package >> 8 & 255}.{package & 255}",
        "protocol": int(own[LinkRegister.PROTOCOL]),
        "register_map": known["version"],
        "clock_hz": int(own[LinkRegister.CLOCK]),
        "cores": shape & 255,
        "lanes": shape >> 8 & 255,
        "weight_bits": shape >> 16 & 255,
        "units": [unit for bit, unit in enumerate(UNITS) if known["units"] >> bit & 1],
        "sample": known["sample"],
        "frames_damaged": int(own[LinkRegister.FRAMES_DAMAGED]),
        "frames_refused": int(own[LinkRegister.FRAMES_REFUSED]),
        "answer_ms": round(1e3 * seconds, 3),
    }
    output.table(
        f"the board at {port}",
        ("what", "value"),
        [
            ("array", f"{found['cores']} cores of {found['lanes']} lanes, {found['weight_bits']}-bit weights"),
            ("units", ", ".join(found["units"]) or "none"),
            ("clock", f"{thousands(found['clock_hz'] / 1e6, 1)} MHz"),
            ("build", f"{found['build']}, by trifactor {found['package']}"),
            ("samples learned or run", thousands(found["sample"])),
            ("frames damaged, refused", f"{found['frames_damaged']}, {found['frames_refused']}"),
            ("an answer takes", f"{found['answer_ms']} ms"),
        ],
    )
    output.result(found)
