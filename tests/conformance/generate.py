"""Writes the ONNX backend node cases into a folder that the conformance runner reads.

Usage: python tests/conformance/generate.py FOLDER   (needs the `onnx` package)

For each case: FOLDER/<name>/model.onnx, input_<i>.pb, output_<i>.pb and tolerance.txt ("rtol atol").
A value that is no tensor (a sequence, an optional) is written as an empty file with the ending .other.
"""

import os
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def collect():
    """All node cases, whatever arguments this version's `collect_testcases` takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return collect_testcases(None)
        except TypeError:
            return collect_testcases()


def write_value(path, value, info):
    """One input or output; `info` names it and gives its declared type."""
    if isinstance(value, onnx.TensorProto):
        tensor = value
    elif isinstance(value, (np.ndarray, np.generic, int, float)) and info.type.HasField("tensor_type"):
        tensor = numpy_helper.from_array(np.asarray(value), info.name)
    else:
        open(path + ".other", "wb").close()
        return
    with open(path + ".pb", "wb") as file:
        file.write(tensor.SerializeToString())


def main(folder):
    cases = sorted(collect(), key=lambda case: case.name)
    seen = set()
    for case in cases:
        if case.model is None or case.data_sets is None or case.name in seen:
            continue
        seen.add(case.name)
        place = os.path.join(folder, case.name)
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, "model.onnx"), "wb") as file:
            file.write(case.model.SerializeToString())
        inputs, outputs = case.data_sets[0]
        for i, (value, info) in enumerate(zip(inputs, case.model.graph.input)):
            write_value(os.path.join(place, f"input_{i}"), value, info)
        for i, (value, info) in enumerate(zip(outputs, case.model.graph.output)):
            write_value(os.path.join(place, f"output_{i}"), value, info)
        with open(os.path.join(place, "tolerance.txt"), "w") as file:
            file.write(f"{case.rtol!r} {case.atol!r}\n")
    open(os.path.join(folder, "complete"), "wb").close()
    print(f"{len(seen)} cases, onnx {onnx.__version__}")


if __name__ == "__main__":
    main(sys.argv[1])
