"""Runs the recording programs on a Hopper GPU and stores what the hardware answers.

Needs Python 3, CuPy and the NVIDIA driver. First, anywhere (RECORDING is any folder):

    cargo run --release -p tricot-ptx-numerics --example recording_programs -- RECORDING
    for part in scalar matrix timings; do ptxas -arch sm_90a RECORDING/$part.ptx -o RECORDING/$part.cubin; done

then on the GPU machine:

    python3 record.py RECORDING OUTPUT

OUTPUT receives `scalar.out` and `matrix.out` (results in the order of programs.json, little-endian, no gaps),
`maps.out` (one driver return code a byte, 255 for a code beyond a byte), `timings.out` (the cycles of an access pattern in
four bytes, the least of several launches) and `recording.json` (device, driver, rows, sizes, hashes).
Each part runs in a process of its own under a time limit, and each kernel has 10 seconds.
"""

import ctypes
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

KERNEL_SECONDS = 10
PART_SECONDS = {"scalar": 80, "matrix": 80, "maps": 30, "timings": 30}
HUNG = 3
LAUNCHES = 5  # of an access pattern; the first has cold caches


def load(directory, part):
    import cupy

    cubin = directory / f"{part}.cubin"
    if cubin.exists():
        try:
            module = cupy.RawModule(path=str(cubin))
            module.get_function(f"{part[0]}0")  # loading is lazy
            return module
        except Exception as error:  # A cubin of another toolkit: the driver's own assembler takes the PTX.
            print(f"{part}: {error}; assembling the PTX with the driver", flush=True)
    return cupy.RawModule(path=str(directory / f"{part}.ptx"))


def wait(stream, name):
    """Waits for the stream; a kernel that hangs ends the process."""
    limit = time.monotonic() + KERNEL_SECONDS
    while not stream.done:
        if time.monotonic() > limit:
            print(f"{name} did not end within {KERNEL_SECONDS} s", flush=True)
            os._exit(HUNG)
        time.sleep(0.0002)
    stream.synchronize()


def scalar(directory, programs):
    import cupy
    import numpy

    module, stream = load(directory, "scalar"), cupy.cuda.Stream(non_blocking=True)
    sets = programs["sets"]
    inputs = numpy.fromfile(directory / "scalar.bin", dtype=numpy.uint64).reshape(len(programs["scalar"]), sets, 4)
    out = bytearray()
    with stream:
        device = cupy.asarray(inputs)
        for i, row in enumerate(programs["scalar"]):
            result = cupy.zeros(sets, dtype=cupy.uint64)
            module.get_function(f"s{i}")((1,), (sets,), (device[i], result))
            wait(stream, row["opcode"])
            words = result.get()
            out += words.astype({2: numpy.uint16, 4: numpy.uint32, 8: numpy.uint64}[row["bytes"]]).tobytes()
    return bytes(out)


def matrix(directory, programs):
    import cupy
    import numpy

    module, stream = load(directory, "matrix"), cupy.cuda.Stream(non_blocking=True)
    inputs = numpy.fromfile(directory / "matrix.bin", dtype=numpy.uint8)
    out = bytearray()
    with stream:
        for i, form in enumerate(programs["matrix"]):
            images = cupy.zeros(max(form["words"] - form["images"], 16), dtype=cupy.uint8)
            if form["words"] > form["images"]:
                images.set(inputs[form["images"] : form["words"]])
            words = cupy.asarray(inputs[form["words"] : form["end"]])
            result = cupy.zeros(form["output_words"], dtype=cupy.uint32)
            module.get_function(f"m{i}")((form["trials"],), (form["threads"],), (images, words, result))
            wait(stream, form["opcode"])
            out += result.get().tobytes()
    return bytes(out)


def maps(directory, programs):
    import cupy

    cupy.cuda.Device(0).use()
    memory = cupy.zeros(1 << 20, dtype=cupy.uint8)
    base = (memory.data.ptr + 4095) // 4096 * 4096
    driver = ctypes.CDLL("libcuda.so.1")
    encode = driver.cuTensorMapEncodeTiled
    encode.restype = ctypes.c_int
    out = bytearray()
    for case in programs["maps"]:
        storage = (ctypes.c_uint64 * 32)()
        aligned = (ctypes.addressof(storage) + 127) // 128 * 128  # a CUtensorMap is 128 bytes, aligned to 64
        code = encode(
            ctypes.c_void_p(aligned),
            ctypes.c_uint(case["data_type"]),
            ctypes.c_uint32(case["rank"]),
            ctypes.c_void_p(base + case["address"]),
            (ctypes.c_uint64 * 8)(*case["dims"]),
            (ctypes.c_uint64 * 8)(*case["strides"]),
            (ctypes.c_uint32 * 8)(*case["boxes"]),
            (ctypes.c_uint32 * 8)(*case["steps"]),
            ctypes.c_uint(case["interleave"]),
            ctypes.c_uint(case["swizzle"]),
            ctypes.c_uint(case["l2"]),
            ctypes.c_uint(case["fill"]),
        )
        out.append(min(code, 255))
    return bytes(out)


def timings(directory, programs):
    import cupy
    import numpy

    module, stream = load(directory, "timings"), cupy.cuda.Stream(non_blocking=True)
    parameters = programs["timings"]
    out = bytearray()
    with stream:
        buffer = cupy.zeros(parameters["buffer"], dtype=cupy.uint8)
        for i, pattern in enumerate(parameters["patterns"]):
            offsets = cupy.asarray(numpy.array(pattern["offsets"], dtype=numpy.uint32))
            result = cupy.zeros(parameters["threads"], dtype=cupy.uint32)
            cycles = []
            for _ in range(LAUNCHES):
                module.get_function(f"t{i}")((1,), (parameters["threads"],), (offsets, buffer, result))
                wait(stream, pattern["name"])
                cycles.append(int(result[0].get()))
            print(f"{min(cycles):8} {max(cycles):8} {pattern['name']}", flush=True)
            out += min(cycles).to_bytes(4, "little")
    return bytes(out)


def describe():
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(0)
    return {
        "device": properties["name"].decode(),
        "driver": cupy.cuda.runtime.driverGetVersion(),
        "runtime": cupy.cuda.runtime.runtimeGetVersion(),
    }


PARTS = {"scalar": scalar, "matrix": matrix, "maps": maps, "timings": timings}


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--part":
        part, directory, output = sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
        programs = json.loads((directory / "programs.json").read_text())
        (output / f"{part}.out").write_bytes(PARTS[part](directory, programs))
        (output / "device.json").write_text(json.dumps(describe()))
        return 0
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    directory, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    programs = json.loads((directory / "programs.json").read_text())
    failed = False
    for part, seconds in PART_SECONDS.items():
        start = time.monotonic()
        try:
            command = [sys.executable, os.path.abspath(__file__), "--part", part, str(directory), str(output)]
            code = subprocess.run(command, timeout=seconds).returncode
        except subprocess.TimeoutExpired:
            code = f"none within {seconds} s"
        print(f"{part}: exit {code}, {time.monotonic() - start:.1f} s", flush=True)
        failed |= code != 0
    if failed:
        return 1
    recording = json.loads((output / "device.json").read_text())
    (output / "device.json").unlink()
    recording["scalar"] = [row["opcode"] for row in programs["scalar"]]
    recording["matrix"] = [form["opcode"] for form in programs["matrix"]]
    recording["blake2b"] = {p: hashlib.blake2b((output / f"{p}.out").read_bytes(), digest_size=16).hexdigest() for p in PARTS}
    (output / "recording.json").write_text(json.dumps(recording, indent=1))
    print({p: (output / f"{p}.out").stat().st_size for p in PARTS})
    return 0


if __name__ == "__main__":
    sys.exit(main())
