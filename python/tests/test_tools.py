"""Finding the programs of the `sm_90a` target."""

import sys

import pytest

import tricot
from conftest import layer_graph
from tricot import _tools


def _ptxas(folder, package, version):
    program = folder / "nvidia" / package / "bin" / "ptxas"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {version}, V{version}.33'\n")
    program.chmod(0o755)
    return str(program)


def test_the_newest_ptxas_of_the_installed_wheels_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert _tools.ptxas() is None
    _ptxas(tmp_path, "cuda_nvcc", "12.9")
    assert _tools.ptxas() is None
    _ptxas(tmp_path, "cu13", "13.3")
    newest = _ptxas(tmp_path, "cu14", "14.0")
    broken = tmp_path / "nvidia" / "zz" / "bin"
    broken.mkdir(parents=True)
    (broken / "ptxas").write_text("not a program")
    assert _tools.ptxas() == newest


def test_without_the_code_generator_the_target_does_not_exist(monkeypatch):
    monkeypatch.setattr(_tools, "sm90_program", lambda: None)
    with pytest.raises(tricot.Error) as caught:
        tricot.compile(layer_graph(), target="sm_90a")
    assert caught.value.code == "TC0930"


def test_a_code_generator_that_dies_is_an_error(monkeypatch):
    monkeypatch.setattr(_tools, "sm90_program", lambda: "/bin/false")
    with pytest.raises(tricot.Error) as caught:
        tricot.compile(layer_graph(), target="sm_90a")
    assert caught.value.code == "TC0592"
