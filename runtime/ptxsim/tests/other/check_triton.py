#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the Triton sources in Triton's own interpreter on the CPU and compares them with the reference formulas.

    python check_triton.py [NAME...]     needs Triton 3.6.0, torch 2.11.0, numpy 2.2 and ml_dtypes; no GPU

(Triton's interpreter does not run on numpy 2.4.) It reads the launch descriptions beside the PTX files, so it checks those too: shapes, argument order, data, tolerances.
"""

import json
import math
import os
import re
import sys
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"
HERE = Path(__file__).resolve().parent
os.chdir(HERE)
sys.path.insert(0, str(HERE))

import ml_dtypes  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle  # noqa: E402
from triton.tools.tensor_descriptor import TensorDescriptor  # noqa: E402

from regenerate import TRITON_SOURCES, load_triton_source  # noqa: E402

DTYPES = {
    "f64": np.float64,
    "f32": np.float32,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "i8": np.int8,
    "i32": np.int32,
}


def bits(seed, count):
    """One 64-bit word per element: README.md, section Data."""
    with np.errstate(over="ignore"):
        z = (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64(seed) * np.uint64(0xD1B54A32D192ED03)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def values(described):
    shape, data = described["shape"], described["data"]
    count = math.prod(shape)
    if data["generator"] == "uniform":
        flat = ((bits(data["seed"], count) >> np.uint64(40)).astype(np.float64) - 2**23) * (data["scale"] / 2**23)
    elif data["generator"] == "integers":
        flat = data["low"] + (((bits(data["seed"], count) >> np.uint64(32)) * np.uint64(data["count"])) >> np.uint64(32)).astype(np.int64)
    elif data["generator"] == "zeros":
        flat = np.zeros(count)
    else:
        flat = np.zeros(count) if described["dtype"].startswith("i") else np.full(count, np.nan)
    return flat.astype(DTYPES[described["dtype"]]).reshape(shape)


def as_torch(array, described):
    if described["dtype"] == "e4m3":
        tensor = torch.from_numpy(array.view(np.int8).copy()).view(torch.float8_e4m3fn)
    else:
        # The interpreter does not compute in bf16: f32 memory that holds bf16 values stands in for it.
        tensor = torch.from_numpy(array.astype(np.float32) if described["dtype"] == "bf16" else array.copy())
    if "strides" in described:
        wide = torch.zeros([array.shape[0] * described["strides"][0]], dtype=tensor.dtype)
        view = wide.as_strided(array.shape, described["strides"])
        view.copy_(tensor)
        return view
    return tensor


def reference(result, operand):
    """The formulas of README.md in float64; operand maps a role to its array."""
    options = result["options"]
    if result["formula"] == "add":
        return operand["a"] + operand["b"]
    if result["formula"] == "softmax_rows":
        weight = np.exp(operand["x"] - operand["x"].max(axis=-1, keepdims=True))
        return weight / weight.sum(axis=-1, keepdims=True)
    if result["formula"] == "layer_norm":
        x = operand["x"]
        offset = x - x.mean(axis=-1, keepdims=True)
        scaled = offset / np.sqrt((offset**2).mean(axis=-1, keepdims=True) + options["eps"])
        return scaled * operand["weight"] + operand["bias"]
    if result["formula"] == "matmul":
        b = operand["b"].swapaxes(-1, -2) if options["b_is_nk"] else operand["b"]
        product = operand["a"] @ b
        if "row_scale" in operand:
            product = product * operand["row_scale"][:, None]
        return product.swapaxes(-1, -2) if options.get("c_is_nm") else product
    if result["formula"] == "attention":
        score = operand["q"] @ operand["k"].swapaxes(-1, -2) * options["scale"]
        if options["causal"]:
            score = np.where(np.tri(*score.shape[-2:], dtype=bool), score, -np.inf)
        weight = np.exp(score - score.max(axis=-1, keepdims=True))
        return weight @ operand["v"] / weight.sum(axis=-1, keepdims=True)
    raise ValueError(result["formula"])


def descriptor_reduce(builder, kind, descriptor, value, offsets):
    """The TMA reduction, which the interpreter lacks; its programs run one after the other."""
    old = builder.create_descriptor_load(descriptor, offsets, None, None)
    builder.create_descriptor_store(descriptor, TensorHandle(old.data + value.data, value.dtype), offsets)


InterpreterBuilder.create_descriptor_reduce = descriptor_reduce


def check(kernel, case):
    arrays = {name: values(described) for name, described in case["buffers"].items()}
    tensors = {name: as_torch(array, case["buffers"][name]) for name, array in arrays.items()}
    given = {}
    for argument in case["arguments"]:
        name = argument["name"]
        if argument["kind"] == "tensor_map":
            buffer = argument["buffer"]
            box = [int(n) for n in re.findall(r"\d+", kernel.signature[buffer].split("[")[1])]
            tensor = tensors[buffer]
            given[buffer] = TensorDescriptor(tensor, list(tensor.shape), list(tensor.stride()), box)
        elif argument["kind"] == "pointer":
            given[name] = tensors[argument["buffer"]]
        elif argument["kind"] == "scalar" and name in kernel.signature:
            given[name] = argument["value"]
    kernel.fn[tuple(case["grid"])](**given, **kernel.constants)

    result = case["result"]
    want = reference(result, {role: arrays[name].astype(np.float64) for role, name in result["inputs"].items()})
    got = tensors[result["output"]].to(torch.float64).numpy()
    # The smallest number keeps an exact zero from being 0 / 0.
    return (np.abs(got - want) / (result["abs"] + result["rel"] * np.abs(want) + 1e-300)).max()


def main():
    failed = 0
    for source in TRITON_SOURCES:
        for kernel in load_triton_source(source):
            if sys.argv[1:] and kernel.file not in sys.argv[1:]:
                continue
            for case in json.loads(Path(f"triton/{kernel.file}.json").read_text())["kernels"][0]["cases"]:
                worst = check(kernel, case)
                failed += not worst <= 1.0
                print(f"{kernel.file} {case['name']}: largest error {worst:.3f} of the tolerance", flush=True)
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
