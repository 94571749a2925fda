# SPDX-License-Identifier: Apache-2.0
"""Ports by the name of a board, from what pyserial lists."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from serial.tools import list_ports

from trifactor.arch.errors import ConfigurationError, DeviceError
from trifactor.boards.catalog import BOARDS
from trifactor.host.cli import call
from trifactor.host.ports import COMMON_BAUDS, find, is_port, resolved

KNOWN = {"one": ((0x0403, 0x6015, 0),), "two": ((0x0403, 0x6010, 1), (0x1D50, 0x602B, 0))}


def port(device: str, vid: int | None, pid: int | None, location: str | None = None, serial: str = "") -> Any:
    return SimpleNamespace(device=device, vid=vid, pid=pid, location=location, serial_number=serial)


BUILT_IN = port("/dev/ttyS0", None, None)
FTDI = port("/dev/ttyUSB0", 0x0403, 0x6015, "1-2:1.0", "D00")
A, B = (port(f"/dev/ttyUSB{n}", 0x0403, 0x6010, f"1-3:1.{n - 1}") for n in (1, 2))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("/dev/ttyUSB0", True), ("COM3", True), ("socket://h:1", True), ("ulx3s-25f", False), ("COMx", False)],
)
def test_what_a_port_looks_like(name: str, is_one: bool) -> None:
    assert is_port(name) == is_one


def test_the_board_s_interface_is_found_among_others() -> None:
    ports = [BUILT_IN, A, B, FTDI]
    assert find("one", KNOWN, ports, ask=None) == "/dev/ttyUSB0"
    assert find("two", KNOWN, ports, ask=None) == "/dev/ttyUSB2"
    assert find("two", KNOWN, [A, port("/dev/ttyACM0", 0x1D50, 0x602B, "1-4")], ask=None) == "/dev/ttyACM0"


def test_nothing_there_says_what_was_looked_for_and_what_there_is() -> None:
    with pytest.raises(DeviceError, match=r"no two is plugged in: .* 0403:6010 interface 1 or 1d50:602b") as caught:
        find("two", KNOWN, [BUILT_IN, FTDI], ask=None)
    assert caught.value.hint == "ports there: /dev/ttyS0, /dev/ttyUSB0 0403:6015 D00"
    with pytest.raises(DeviceError) as caught:
        find("one", KNOWN, [], ask=None)
    assert caught.value.hint == "ports there: none"


def test_two_of_them_are_refused_or_asked_about() -> None:
    # Where the system does not tell an interface's number, each may be it.
    ports = [port(f"/dev/cu.usbserial-{n}", 0x0403, 0x6010, "20-2") for n in (0, 1)]
    with pytest.raises(DeviceError, match=r"which two\? /dev/cu.usbserial-0 0403:6010, /dev/cu.usbserial-1") as caught:
        find("two", KNOWN, ports, ask=None)
    assert "--port /dev/cu.usbserial-0" in caught.value.hint
    assert find("two", KNOWN, ports, ask=lambda paths: paths[1]) == "/dev/cu.usbserial-1"


def test_a_name_that_is_nothing_is_a_wrong_word() -> None:
    with pytest.raises(ConfigurationError, match="'on' is neither a port nor a board"):
        find("on", KNOWN, [], ask=None)


def test_a_board_brings_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ports, "comports", lambda: [FTDI, A, B])
    assert resolved("ulx3s-25f", None) == ("/dev/ttyUSB0", 3_000_000)
    assert resolved("ulx3s-25f", 115_200) == ("/dev/ttyUSB0", 115_200)
    assert resolved("icebreaker", None)[0] == "/dev/ttyUSB2"
    assert resolved("/dev/ttyUSB7", None) == ("/dev/ttyUSB7", 3_000_000)
    assert {board.baud for board in BOARDS.values()} <= set(COMMON_BAUDS)


@pytest.mark.parametrize(
    "words",
    [
        ["ping", "--port", "ulx3s-25f"],
        ["info", "--port", "ulx3s-25f"],
        ["learn", "--dataset", "digits", "--layers", "64-16-10", "--limit", "20", "--device", "ulx3s-25f"],
    ],
)
def test_a_board_that_is_not_plugged_in_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(list_ports, "comports", lambda: [BUILT_IN])
    assert call(words) == 6
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert errors == ["error: no ulx3s-25f is plugged in: no serial port on USB is 0403:6015 interface 0"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ping", "--port", "ulx3s-25"], "'ulx3s-25' is neither a port nor a board"),
        (["run", "--model", "m.npz", "--device", "ulx3s-25"], "no device is called 'ulx3s-25'"),
        (["run", "--model", "m.npz", "--baud", "9600"], "--baud belongs to a port"),
        (["ping", "--port", "/dev/x", "--baud", "fast"], "--baud 'fast' is not a number"),
        (["verify", "--port", "/dev/x"], "--port compares a model on a board"),
        (["verify", "--baud", "9600"], "--baud and --run belong to --port"),
    ],
)
def test_wrong_words_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert call(words) == 2
    assert says in capsys.readouterr().err
