#!/usr/bin/env python3
"""Makes a runnable VGG-19 from the `light_vgg19.onnx` that the onnx package ships.

The light models hold ConstantOfShape nodes instead of weights. Each becomes an initializer: He-normal (variance 2 / fan-in) for
matrices and filters, small normal values for biases, from one seeded generator, so that every run makes the same file.

    python3 make.py vgg19.onnx [--model vgg19] [--seed 0] [--logits]
"""

import argparse
import os
import tempfile

import numpy as np
import onnx
import onnx.backend.test
from onnx import numpy_helper


def weights(role, shape, rng):
    """He-normal by fan-in, scales and variances around 1, other vectors small: signals keep their size through any depth."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if role in ("scale", "variance"):
        return np.abs(np.float32(1.0) + np.float32(0.1) * noise)
    if len(shape) == 1:
        return np.float32(0.1) * noise
    fan_in = int(np.prod(shape[1:]))
    return noise * np.float32(np.sqrt(2.0 / fan_in))


def roles(graph):
    """What batch norms use a tensor for, by its name."""
    found = {}
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            found[node.input[1]], found[node.input[4]] = "scale", "variance"
    # DenseNet's scales and shifts follow as Mul and Add of [channels, 1, 1] tensors.
    made = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type == "Mul":
            for name in node.input:
                while name in made and made[name].op_type in ("Unsqueeze", "Reshape"):
                    name = made[name].input[0]
                if name in made and made[name].op_type == "ConstantOfShape":
                    found.setdefault(name, "scale")
    return found


def fill(model, seed):
    """Replaces every ConstantOfShape over a constant shape by seeded weights; returns the model."""
    rng = np.random.default_rng(seed)
    graph = model.graph
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    role = roles(graph)
    kept, filled = [], []
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in constants:
            shape = tuple(int(d) for d in constants[node.input[0]])
            value = weights(role.get(node.output[0]), shape, rng)
            filled.append(numpy_helper.from_array(np.ascontiguousarray(value), node.output[0]))
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(filled)
    return model


def cut_softmax(model):
    """Makes the value before the last Softmax, if there is one, the output: Softmax leaves little to compare."""
    graph = model.graph
    softmax = [node for node in graph.node if node.op_type == "Softmax"]
    if not softmax:
        return model
    last = softmax[-1]
    graph.node.remove(last)
    for output in graph.output:
        if output.name == last.output[0]:
            output.name = last.input[0]
            output.type.tensor_type.ClearField("shape")
    return model


def light_folder():
    return os.path.join(os.path.dirname(onnx.backend.test.__file__), "data", "light")


def light_models():
    """Names of the light models that the package ships."""
    files = sorted(os.listdir(light_folder()))
    return [f[len("light_") : -len(".onnx")] for f in files if f.startswith("light_") and f.endswith(".onnx")]


def light_model(name):
    return onnx.load(os.path.join(light_folder(), f"light_{name}.onnx"))


def write(model, path):
    """Writes to a temporary file first: an interrupted run leaves no half of a model."""
    data = model.SerializeToString()
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as f:
        f.write(data)
    os.replace(f.name, path)
    print(f"{path}: {len(data) / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="a file; with --model all, a folder")
    parser.add_argument("--model", default="vgg19", help="any of the package's light models, or all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logits", action="store_true", help="end before the last Softmax")
    a = parser.parse_args()
    for name in light_models() if a.model == "all" else [a.model]:
        model = fill(light_model(name), a.seed)
        path = os.path.join(a.output, f"{name}.onnx") if a.model == "all" else a.output
        write(cut_softmax(model) if a.logits else model, path)


if __name__ == "__main__":
    main()
