# SPDX-License-Identifier: Apache-2.0
"""`trifactor check` and `trifactor quantize`, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="needs nir: pip install trifactor[nir]")

from trifactor.golden.checkpoint import load_model  # noqa: E402
from trifactor.golden.device import GoldenDevice  # noqa: E402
from trifactor.host.cli import call  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "host" / "examples"
BRAILLE, SAMPLE = str(EXAMPLES / "braille.nir"), str(EXAMPLES / "braille_sample.npz")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and what was printed with --json."""
    code = call([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_network_that_can_be_placed(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = said(capsys, "check", BRAILLE, "--reset", "zero", "--input", SAMPLE)
    assert code == 0
    assert found["fits"]
    assert found["dt"] == 1e-4
    fidelity = {one["node"]: one["fidelity"] for one in found["findings"]}
    assert fidelity["fc1"] == "faithful"
    assert fidelity["lif2"] == "approximate"
    assert 0 < found["words_per_step"]["on the samples given"] < found["words_per_step"]["at most"]
    assert call(["check", BRAILLE, "--reset", "zero"]) == 0
    assert "leak 0.9 becomes 0.899902" in capsys.readouterr().out


def test_what_a_board_lacks_is_named_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("amaranth_boards", reason="needs amaranth-boards: pip install trifactor[synth]")
    code, found = said(capsys, "check", BRAILLE, "--reset", "zero", "--board", "ulx3s-25f")
    assert code == 3
    assert not found["fits"]
    lacking = {one["reason"] for one in found["findings"] if one["rule"] == "A01"}
    assert lacking == {f"the array has no unit {unit}" for unit in ("cuba", "recurrent", "bias", "thresholds")}
    assert all(row["needed"] <= row["there"] for row in found["memories"])


def test_convolutions_are_read_and_said_to_have_no_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convolution = nir.Conv2d((6, 6), np.ones((3, 1, 3, 3)), 1, 0, 1, 1, np.zeros(3))
    neuron = nir.IF(r=np.ones((3, 4, 4)), v_threshold=np.ones((3, 4, 4)))
    nodes = {"i": nir.Input(np.array([1, 6, 6])), "c": convolution, "n": neuron, "o": nir.Output(np.array([3, 4, 4]))}
    nir.write(tmp_path / "c.nir", nir.NIRGraph(nodes, [("i", "c"), ("c", "n"), ("n", "o")]))
    code, found = said(capsys, "check", str(tmp_path / "c.nir"), "--reset", "subtract")
    assert code == 3
    assert [(one["node"], one["rule"]) for one in found["findings"] if one["fidelity"] == "unsupported"] == [
        ("c", "G05")
    ]


def test_quantized_braille_has_the_spikes_of_snntorch_but_for_one_in_a_hundred(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "braille.npz"
    code, found = said(capsys, "quantize", BRAILLE, "--reset", "zero", "--calib", SAMPLE, "--out", str(out))
    assert code == 0
    assert found["array"]["synapse_bits"] == 8
    assert found["layers"][0]["spikes_equal"] >= 0.99
    stored = load_model(out)
    with np.load(SAMPLE) as sample:
        golden = GoldenDevice(stored.array, stored.network, stored.state)
        _, _, record = golden(sample["input"][None].astype(np.int64), record=("spikes",))
        assert (record.spikes[0][0] == sample["snntorch"]).mean() >= 0.99
        assert record.spikes[0].sum() > 100
    assert stored.rule == "imported"
    assert call(["quantize", BRAILLE, "--reset", "zero", "--calib", SAMPLE]) == 0
    assert "99.07 %" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("sim", ["verilator", "icarus"])
def test_the_hardware_has_every_bit_of_quantized_braille(sim: Any) -> None:
    pytest.importorskip("cocotb", reason="needs cocotb: pip install trifactor[cosim]")
    from trifactor.cosim.device import RtlDevice
    from trifactor.golden.quantise import quantise
    from trifactor.host.nir import from_nir

    made = quantise(from_nir(BRAILLE, reset="zero"))
    with np.load(SAMPLE) as sample:
        inputs = sample["input"][None].astype(np.int64)
    record = ("spikes", "membranes")
    golden = GoldenDevice(made.array, made.network, made.state)(inputs, record=record)
    with RtlDevice(made.array, made.network, made.state, sim=sim) as device:
        rtl = device(inputs, record=record)
    assert np.array_equal(golden[0].readout, rtl[0].readout)
    for name in record:
        for wanted, found in zip(getattr(golden[2], name), getattr(rtl[2], name), strict=True):
            assert np.array_equal(wanted, found), name
    assert golden[2].spikes[0].sum() > 100
    assert golden[2].spikes[1].sum() > 500


def test_one_neuron_spikes_as_recorded_in_sixteen_bits(capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(EXAMPLES / "lif.nir"), "--dt", "1e-4", "--reset", "zero"]
    with np.load(EXAMPLES / "lif_sample.npz") as sample:
        from trifactor.arch.array import ArrayConfig
        from trifactor.golden.quantise import quantise
        from trifactor.host.nir import from_nir

        made = quantise(from_nir(words[0], dt=1e-4, reset="zero"), ArrayConfig(weight_bits=16, decay_bits=12))
        golden = GoldenDevice(made.array, made.network, made.state)
        _, _, record = golden(sample["input"][None, :, None].astype(np.int64), record=("spikes",))
        for backend in ("exact", "norse", "snntorch", "nengo", "spinnaker2"):
            assert np.array_equal(record.spikes[0][0, :, 0], sample[backend]), backend
    assert call(["quantize", *words]) == 0
    assert "0.96 -> 0.96" in capsys.readouterr().out


def test_a_sweep_over_widths(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = said(capsys, "quantize", BRAILLE, "--reset", "zero", "--calib", SAMPLE, "--sweep", "7..8")
    assert code == 0
    assert list(found["sweep"]) == ["7", "8"]
    assert call(["quantize", BRAILLE, "--reset", "zero", "--calib", SAMPLE, "--sweep", "7..8"]) == 0
    assert "bits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["check", "nowhere.nir"], 2, "nowhere.nir: no such file"),
        (["check", BRAILLE], 2, "reset is missing"),
        (["check", BRAILLE, "--reset", "zer"], 2, "reset 'zer' is not known"),
        (["check", BRAILLE, "--reset", "zero", "--input", BRAILLE], 2, "wanted NIRData"),
        (["check", BRAILLE, "--reset", "zero", "--board", "x", "--config", "y"], 2, "leave one of them out"),
        (["quantize", BRAILLE, "--reset", "zero", "--sweep", "4..8"], 2, "--sweep compares spikes"),
        (["quantize", BRAILLE, "--reset", "zero", "--sweep", "8..4", "--calib", SAMPLE], 2, "two widths of 4 to 8"),
        (["quantize", BRAILLE, "--reset", "zero", "--method", "row"], 2, "no method is called 'row'"),
        (["quantize", BRAILLE, "--reset", "zero", "--out", "no/where.npz"], 2, "no"),
    ],
)
def test_errors_are_one_line(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(words) == code
    found = capsys.readouterr().err
    assert message in found
    assert "Traceback" not in found
