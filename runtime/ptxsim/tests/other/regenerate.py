#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the kernels of this folder with compilers other than Tricot and describes how each is launched.

    python regenerate.py triton        needs Triton 3.6.0 (PyPI: triton==3.6.0, torch==2.11.0); no GPU
    python regenerate.py nvcc          needs nvcc 13.0.88 (--nvcc PATH)
    python regenerate.py clang         needs clang 22.1.8 (--clang PATH; Debian: clang-22); no CUDA installation
    python regenerate.py clang_plain   the same without optimisation
    python regenerate.py instructions  writes INSTRUCTIONS.md from the PTX files
    python regenerate.py               all of these, in this order

nvcc 13.0.88 can be put together from wheels: download nvidia-cuda-nvcc==13.0.88, nvidia-cuda-crt==13.0.88,
nvidia-nvvm==13.0.88, nvidia-cuda-runtime==13.0.96 and nvidia-cuda-cccl==13.0.85 with `pip download --no-deps`, unpack
them over each other, `chmod +x nvidia/cu13/bin/* nvidia/cu13/nvvm/bin/*`; the compiler is nvidia/cu13/bin/nvcc.

The output is the same on every machine: nothing of its folders remains in it (`clean` below).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.chdir(HERE)  # the compilers see relative paths

NVCC_FLAGS = ["-arch=sm_90a", "-std=c++17", "-O3", "-lineinfo", "-ptx"]
CLANG_FLAGS = [
    "-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch=sm_90a", "-nocudainc", "-nocudalib",
    "-Xclang", "-target-feature", "-Xclang", "+ptx86",
    "-std=c++17", "-gline-tables-only", "-fdebug-compilation-dir=.", "-S",
]  # fmt: skip


# --- what a compiler wrote, without the machine that it ran on ---------------------------------------------------------


def clean(ptx, folders):
    """Cuts the folders of this machine from file names and the path hash from nvcc's internal names."""
    # Longest first, so that a folder inside another is cut whole.
    for folder in sorted(folders, key=len, reverse=True):
        ptx = ptx.replace(folder.rstrip("/") + "/", "")
    ptx = re.sub(r"(\"|// |@\[ )[^\s\"]*/include/", r"\1include/", ptx).replace('"./cuda/', '"cuda/')
    return re.sub(r"(?m)(^\.b8 .*\n)+", lambda run: neutral_bytes(run.group(0)), ptx)


def neutral_bytes(run):
    """A run of `.b8` lines with nvcc's hash of the source path (`_INTERNAL_<hash>_`) replaced by zeros."""
    numbers = list(re.finditer(r"(?<=[ ,])\d+(?=[,\n \t]|$)", re.sub(r"//.*", lambda m: " " * len(m.group(0)), run)))
    text = "".join(chr(int(n.group(0))) for n in numbers)
    plain = re.sub(r"(?<=_INTERNAL_)[0-9a-f]{8}(?=_)", "0" * 8, text)
    for number, letter in reversed(list(zip(numbers, plain))):
        run = run[: number.start()] + str(ord(letter)) + run[number.end() :]
    return run


def refuse_machine_paths(name, ptx):
    """Fails when an absolute path is left, in the text or spelled out in a `.b8` run."""
    spelled = "".join(chr(int(b)) for b in re.findall(r"(?<=[ ,])\d{1,3}(?=[,\n ])", re.sub(r"//.*", "", ptx)))
    for found in re.findall(r"(?<![\w.])/(?:tmp|home|work|usr|opt|root|var)/[\w./-]*", ptx + spelled):
        sys.exit(f"{name}: {found} is a path of this machine")


def write(path, text):
    path = HERE / path
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    print(path.relative_to(HERE))


def write_launches(path, source, compiler, ptx, kernels):
    document = {"ptx": ptx, "source": source, "compiler": compiler, "kernels": kernels}
    write(path, compact(document) + "\n")


def compact(value, indent=0):
    """JSON with short values on one line."""
    line = json.dumps(value)
    if len(line) + indent <= 110 or not isinstance(value, (dict, list)):
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(key)}: {compact(item, indent + 2)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + compact(item, indent + 2) for item in value) + "\n" + " " * indent + "]"


# --- Triton ------------------------------------------------------------------------------------------------------------

TRITON_SOURCES = [
    "vector_add",
    "softmax",
    "layer_norm",
    "matmul_host_descriptors",
    "matmul_device_descriptors",
    "matmul_pointers",
    "attention",
]
SWIZZLES = {0: "none", 1: "32b", 2: "64b", 3: "128b"}
# Numbers that Triton's driver hands to cuTensorMapEncodeTiled after its mapping from the device numbering.
MAP_TYPES = {0: "uint8", 1: "uint16", 2: "uint32", 3: "int32", 4: "uint64", 5: "int64", 6: "float16", 7: "float32"}
MAP_TYPES |= {8: "float64", 9: "bfloat16"}
SCALAR_TYPES = {"i32": "i32", "i64": "i64", "fp32": "f32"}


def load_triton_source(name):
    """Runs a source under its relative path, which is the one that the line tables then hold."""
    path = f"triton/{name}.py"
    space = {"__name__": name, "__file__": path}
    exec(compile(Path(path).read_text(), path, "exec"), space)
    return space["KERNELS"]


def triton_all():
    os.environ["TRITON_ALWAYS_COMPILE"] = "1"
    os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp()
    import triton

    if triton.__version__ != "3.6.0":
        sys.exit(f"Triton {triton.__version__} is not 3.6.0")
    package = str(Path(triton.__file__).resolve().parent.parent)
    for name in TRITON_SOURCES:
        for kernel in load_triton_source(name):
            # Triton orders some of these by their address in memory: keep the first in text order of what it gives.
            tries = 16 if kernel.unstable else 1
            compiled = min((triton_compile(kernel) for _ in range(tries)), key=lambda result: result.asm["ptx"])
            ptx = clean(compiled.asm["ptx"], [package, str(HERE)])
            refuse_machine_paths(kernel.file, ptx)
            write(f"triton/{kernel.file}.ptx", ptx)
            meta = compiled.metadata
            described = {
                "entry": meta.name,
                "block": [32 * meta.num_warps, 1, 1],
                "cluster": [meta.num_ctas, 1, 1],
                "dynamic_shared": meta.shared,
                "cases": [triton_case(kernel, case, meta) for case in kernel.cases],
            }
            ptx_file, source = f"triton/{kernel.file}.ptx", f"triton/{name}.py"
            write_launches(f"triton/{kernel.file}.json", source, "Triton 3.6.0", ptx_file, [described])


def triton_compile(kernel):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = kernel.fn.arg_names
    signature = {}
    for name in names:
        if name in kernel.constants:
            signature[name] = "constexpr"
        elif kernel.signature[name].startswith("desc:"):
            signature[name] = f"tensordesc<{kernel.signature[name][5:]}>"
        else:
            signature[name] = kernel.signature[name]
    for name in divisible(kernel):
        for case in kernel.cases:
            assert not isinstance(case.args[name], int) or case.args[name] % 16 == 0, (kernel.file, case.name, name)
    source = ASTSource(
        kernel.fn,
        signature,
        constexprs={(names.index(name),): value for name, value in kernel.constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in divisible(kernel)},
    )
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=kernel.options)


def divisible(kernel):
    """Arguments that the just-in-time launcher would find to be multiples of 16: by default every pointer."""
    if kernel.divisible is not None:
        return kernel.divisible
    return [name for name, kind in kernel.signature.items() if kind.startswith("*")]


def triton_case(kernel, case, meta):
    """The arguments in the order of the PTX parameters, with those that Triton's launcher adds."""
    buffers, arguments = {}, []
    maps = list(meta.tensordesc_meta)
    for name in kernel.fn.arg_names:
        if name in kernel.constants:
            continue
        kind, value = kernel.signature[name], case.args[name]
        if kind.startswith("desc:"):
            buffers[name] = value
            box = {"block_size": kernel.boxes[name]} if name in kernel.boxes else {}
            arguments += descriptor_arguments(name, value, maps.pop(0) | box)
        elif isinstance(value, dict):
            arguments.append(argument(name, value, buffers))
        else:
            arguments.append({"name": name, "kind": "scalar", "dtype": SCALAR_TYPES[kind], "value": value})
    blocks = case.grid[0] * case.grid[1] * case.grid[2] * meta.num_ctas
    arguments.append(scratch("global_scratch", meta.global_scratch_size * blocks, meta.global_scratch_align))
    arguments.append(scratch("profile_scratch", meta.profile_scratch_size * blocks, meta.profile_scratch_align))
    grid = [case.grid[0] * meta.num_ctas, case.grid[1], case.grid[2]]
    return case_json(case, grid, buffers, arguments)


def argument(name, value, buffers):
    """A scalar as it is; a buffer is kept apart and passed by its address."""
    if value["kind"] == "scalar":
        return {"name": name} | value
    buffers[name] = value
    return {"name": name, "kind": "pointer", "buffer": name}


def case_json(case, grid, buffers, arguments):
    plain = {name: {key: item for key, item in value.items() if key != "kind"} for name, value in buffers.items()}
    result = case.result.json()
    return {"name": case.name, "grid": grid, "buffers": plain, "arguments": arguments, "result": result}


def descriptor_arguments(name, value, meta):
    """A tensor descriptor becomes a tensor map, its shape and its strides."""
    value_strides = [1]
    for extent in reversed(value["shape"][1:]):
        value_strides.insert(0, value_strides[0] * extent)
    size = meta["elem_size"]
    element_type = {8: 10, 9: 8, 10: 9}.get(meta["elem_type"], meta["elem_type"])
    tensor_map = {
        "name": f"{name}_map",
        "kind": "tensor_map",
        "buffer": name,
        "dtype": MAP_TYPES[element_type],
        "dims": value["shape"][::-1],
        "strides": [size * stride for stride in value_strides[:-1][::-1]],
        "box": list(meta["block_size"])[::-1],
        "element_strides": [1] * len(value["shape"]),
        "interleave": "none",
        "swizzle": SWIZZLES[meta["swizzle"]],
        "l2_promotion": "128b",
        "oob_fill": "none",
    }
    shape = [scalar_argument(f"{name}_shape_{i}", "i32", n) for i, n in enumerate(value["shape"])]
    strides = [scalar_argument(f"{name}_stride_{i}", "i64", n) for i, n in enumerate(value_strides)]
    return [tensor_map] + shape + strides


def scalar_argument(name, dtype, value):
    return {"name": name, "kind": "scalar", "dtype": dtype, "value": value}


def scratch(name, size, align):
    if size == 0:
        return {"name": name, "kind": "null"}
    return {"name": name, "kind": "scratch", "bytes": size, "align": align}


# --- CUDA C++ ----------------------------------------------------------------------------------------------------------


def cuda_all(compiler, command, flags, folder, version):
    from cuda.launches import SOURCES

    stated = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout
    stated = re.search(r"(?:V|clang version )(\d+\.\d+\.\d+)", stated).group(1)
    if stated != version:
        sys.exit(f"{compiler} {stated} is not {version}")
    for source, kernels in SOURCES.items():
        with tempfile.TemporaryDirectory() as temporary:
            out = Path(temporary) / "out.ptx"
            subprocess.run([command, *flags, "-o", str(out), f"cuda/{source}.cu"], check=True)
            ptx = clean(out.read_text(), [str(HERE)])
        ptx_file = f"{folder}/{source}.ptx"
        refuse_machine_paths(ptx_file, ptx)
        write(ptx_file, ptx)
        for kernel in kernels:
            assert re.search(rf"\.entry {re.escape(kernel.entry)}\(", ptx), kernel.entry
        described = [
            {
                "entry": kernel.entry,
                "block": list(kernel.block),
                "cluster": list(kernel.cluster),
                "dynamic_shared": kernel.dynamic_shared,
                "cases": [cuda_case(case) for case in kernel.cases],
            }
            for kernel in kernels
        ]
        command_line = f"{compiler} {stated}: {' '.join(flags)}"
        write_launches(f"{folder}/{source}.json", f"cuda/{source}.cu", command_line, ptx_file, described)


def cuda_case(case):
    buffers = {}
    arguments = [argument(name, value, buffers) for name, value in case.args.items()]
    return case_json(case, list(case.grid), buffers, arguments)


# --- the list of instructions ------------------------------------------------------------------------------------------

# What the files have to cover between them: a name and the pattern of a statement.
REQUIRED = [
    ("wgmma, first operand in shared memory", r"wgmma\.mma_async\S*\s*\{[^}]*\},\s*%"),
    ("wgmma, first operand in registers", r"wgmma\.mma_async\S*\s*\{[^}]*\},\s*\{"),
    ("cp.async", r"cp\.async\.c[ag]\."),
    ("cp.async arriving at an mbarrier", r"cp\.async\.mbarrier\."),
    ("bulk copy to shared memory", r"cp\.async\.bulk\.shared::cluster\.global"),
    ("bulk copy to global memory", r"cp\.async\.bulk\.global\.shared::cta"),
    ("TMA load", r"cp\.async\.bulk\.tensor\.\dd\.shared::cluster\.global"),
    ("TMA store", r"cp\.async\.bulk\.tensor\.\dd\.global\.shared::cta"),
    ("TMA reduction", r"cp\.reduce\.async\.bulk\.tensor"),
    ("mbarrier", r"mbarrier\."),
    ("ldmatrix", r"ldmatrix\."),
    ("stmatrix", r"stmatrix\."),
    ("mma.sync", r"mma\.sync\."),
    ("tensormap.replace", r"tensormap\.replace\."),
    ("tensormap proxy fence", r"fence\.proxy\.tensormap"),
    ("setmaxnreg", r"setmaxnreg\."),
    ("distributed shared memory", r"mapa\."),
    ("cluster barrier", r"barrier\.cluster\."),
    ("warp shuffle", r"shfl\.sync\."),
    ("match", r"match\.any\."),
    ("redux", r"redux\.sync\."),
    ("elect", r"elect\.sync"),
    ("atomics on generic addresses", r"atom\.(add|inc)\."),
    ("atomics on shared memory", r"(atom|red)\.shared\."),
    ("atomics on global memory", r"(atom|red)\.global\."),
    ("call", r"call(\.uni)?\s"),
]


def statements(ptx):
    """The instructions of a PTX text, one string each; directives, labels and guards are left out."""
    text = re.sub(r"//.*|/\*.*?\*/", "", ptx)
    text = re.sub(r'(?m)^\s*\.(file|loc|section|pragma)\b.*$', "", text)
    for piece in re.split(r";|(?<=:)\s|(?m:^\s*[{}]\s*$)", text):
        piece = re.sub(r"^[\s{}]*(@!?[%\w]+\s+)?", "", piece)
        if re.match(r"[a-z][a-z0-9]*([.:][\w:.]+)?(\s|$)", piece) and not piece.rstrip().endswith(":"):
            yield " ".join(piece.split())


def instructions():
    files = sorted(str(p.relative_to(HERE)) for p in HERE.glob("*/*.ptx"))
    found = {file: list(statements((HERE / file).read_text())) for file in files}
    lines = [
        "# Instructions that the files cover",
        "",
        "Written by `regenerate.py instructions` from the PTX files.",
        "",
        "## By subject",
        "",
        "| subject | files |",
        "| --- | --- |",
    ]
    for subject, pattern in REQUIRED:
        having = [file for file in files if any(re.match(pattern, s) for s in found[file])]
        if not having:
            sys.exit(f"no file has {subject}")
        lines.append(f"| {subject} | {', '.join(f'`{file}`' for file in having)} |")
    opcodes = {file: sorted({s.split()[0] for s in found[file]}) for file in files}
    every = sorted(set().union(*opcodes.values()))
    lines += ["", f"## All {len(every)} opcodes with their modifiers", "", "| opcode | number of files |", "| --- | --- |"]
    lines += [f"| `{op}` | {sum(op in opcodes[file] for file in files)} |" for op in every]
    lines += ["", "## By file", ""]
    for file in files:
        lines += [f"### {file}", "", " ".join(f"`{op}`" for op in opcodes[file]), ""]
    write("INSTRUCTIONS.md", "\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", default=["triton", "nvcc", "clang", "clang_plain", "instructions"])
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--clang", default="clang-22")
    options = parser.parse_args()
    for part in options.part:
        if part == "triton":
            triton_all()
        elif part == "nvcc":
            os.environ["PATH"] = str(Path(options.nvcc).parent) + os.pathsep + os.environ["PATH"]
            cuda_all("nvcc", options.nvcc, NVCC_FLAGS, "nvcc", "13.0.88")
        elif part in ("clang", "clang_plain"):
            level = "-O3" if part == "clang" else "-O0"
            cuda_all("clang", options.clang, [*CLANG_FLAGS, level], part, "22.1.8")
        elif part == "instructions":
            instructions()
        else:
            sys.exit(f"no part {part}")


if __name__ == "__main__":
    main()
