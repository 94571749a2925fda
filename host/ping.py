# SPDX-License-Identifier: Apache-2.0
"""`trifactor ping`: what is at the other end of a serial line."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from ..arch.array import UNITS
from ..arch.errors import ConfigurationError, DeviceError
from ..arch.registers import BY_NAME, IDENTITY
from .identify import Identity, identity
from .link import LinkSession
from .options import Json, Port, Verbose
from .output import Output, thousands
from .ports import COMMON_BAUDS, resolved

ASKED = ("identity", "version", "shape", "units", "sample")
TIMES = 20
AUTO_PATIENCE, AUTO_TRIES = 0.1, 3


def ping(
    port: Port,
    baud: Annotated[
        str | None,
        typer.Option(help="Bits a second; auto: find out.", show_default="the board's, or 3000000"),
    ] = None,
    json_output: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Say hello to a board: which array it holds, which build, how long an answer takes."""
    output = Output(as_json=json_output, verbosity=verbose)
    if baud not in (None, "auto") and not str(baud).isdigit():
        raise ConfigurationError(f"--baud {baud!r} is not a number", "write --baud 115200, or --baud auto")
    url, rate = resolved(port, int(baud) if baud and baud != "auto" else None)
    session, rate = _any_rate(output, url, rate) if baud == "auto" else (begun(url, rate), rate)
    try:
        found, _ = asked(session, url, rate)
    finally:
        session.line.close()
    output.table(f"the board at {url}", ("what", "value"), rows(found))
    output.result(found)


def begun(url: str, baud: int, **settings: Any) -> LinkSession:
    """A session on a port; the port is given back where none begins."""
    from .line import SerialLine

    session = LinkSession(SerialLine(url, baud), **settings)
    try:
        session.hello()
    except BaseException:
        session.line.close()
        raise
    return session


def asked(session: LinkSession, url: str, baud: int) -> tuple[dict[str, Any], Identity]:
    """What a board says of itself, and how long an answer takes. Raises `DeviceError` if it is no array."""
    own = identity(session)
    known = {name: int(session.read(BY_NAME[name].offset, 1)[0]) for name in ASKED}
    if known["identity"] != IDENTITY:
        raise DeviceError(f"{url}: something answers, but not an array", "is it another gateware?")
    start = time.perf_counter()
    for _ in range(TIMES):
        session.poll()
    seconds = (time.perf_counter() - start) / TIMES
    shape = known["shape"]
    found = {
        "port": url,
        "baud": baud,
        "build": f"{own.build:016x}",
        "package": own.package,
        "protocol": own.protocol,
        "register_map": known["version"],
        "clock_hz": own.clock,
        "cores": shape & 255,
        "lanes": shape >> 8 & 255,
        "weight_bits": shape >> 16 & 255,
        "units": [unit for bit, unit in enumerate(UNITS) if known["units"] >> bit & 1],
        "sample": known["sample"],
        "frames_damaged": own.damaged,
        "frames_refused": own.refused,
        "answer_ms": round(1e3 * seconds, 3),
    }
    return found, own


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for a person."""
    return [
        ("array", f"{found['cores']} cores of {found['lanes']} lanes, {found['weight_bits']}-bit weights"),
        ("units", ", ".join(found["units"]) or "none"),
        ("clock", f"{thousands(found['clock_hz'] / 1e6, 1)} MHz"),
        ("line", f"{thousands(found['baud'])} bits a second"),
        ("build", f"{found['build']}, by trifactor {found['package']}"),
        ("samples learned or run", thousands(found["sample"])),
        ("frames damaged, refused", f"{found['frames_damaged']}, {found['frames_refused']}"),
        ("an answer takes", f"{found['answer_ms']} ms"),
    ]


def _any_rate(output: Output, url: str, first: int) -> tuple[LinkSession, int]:
    """A session at the first rate at which the board answers."""
    rates = list(dict.fromkeys((first, *COMMON_BAUDS)))
    for rate in rates:
        output.note(f"trying {thousands(rate)} bits a second")
        try:
            return begun(url, rate, patience=AUTO_PATIENCE, tries=AUTO_TRIES), rate
        except DeviceError as error:
            if "does not answer" not in error.message:
                raise
    raise DeviceError(f"{url}: no answer at {', '.join(map(str, rates))} bits a second", "is it the right port?")
