"""Runs the recording programs on a Hopper GPU and stores what the hardware answers.

Needs Python 3, CuPy and the NVIDIA driver. First, anywhere (RECORDING is any folder):

    cargo run --release -p tricot-ptx-numerics --example recording_programs -- RECORDING
    for part in scalar matrix copies timings; do ptxas -arch sm_90a RECORDING/$part.ptx -o RECORDING/$part.cubin; done

then on the GPU machine:

    python3 record.py RECORDING OUTPUT

OUTPUT receives `scalar.out` and `matrix.out` (results in the order of programs.json, little-endian, no gaps),
`maps.out` (one driver return code a byte, 255 for a code beyond a byte), `copies.out` (a status of two bytes
and, if it is zero, bytes of shared memory or of the tensor), `timings.out` (the cycles of an access pattern in
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
PART_SECONDS = {"scalar": 80, "matrix": 80, "maps": 30, "copies": 60, "timings": 30}
FAILED, AGAIN = 3, 4  # exit codes of a part
NOT_READY, ILLEGAL = 600, 715  # cudaErrorNotReady, cudaErrorIllegalInstruction
WARM_SECONDS = 1
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


def wait(stream, name, expected=(0,)):
    """Waits for the stream and returns its status; a kernel that hangs or ends in another way ends the process."""
    import cupy

    limit = time.monotonic() + KERNEL_SECONDS
    while (status := cupy.cuda.runtime.streamQuery(stream.ptr)) == NOT_READY:
        if time.monotonic() > limit:
            print(f"{name} did not end within {KERNEL_SECONDS} s", flush=True)
            os._exit(FAILED)
        time.sleep(0.0002)
    if status not in expected:
        print(f"{name} ended with error {status}", flush=True)
        os._exit(FAILED)
    return status


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


def encode(case, base):
    """The driver's return code for a map of a tensor at `base`, and the map's 128 bytes."""
    driver = ctypes.CDLL("libcuda.so.1")
    storage = (ctypes.c_uint64 * 32)()
    aligned = (ctypes.addressof(storage) + 127) // 128 * 128  # a CUtensorMap is 128 bytes, aligned to 64
    tensor = [
        ctypes.c_void_p(aligned),
        ctypes.c_uint(case["data_type"]),
        ctypes.c_uint32(case["rank"]),
        ctypes.c_void_p(base + case["address"]),
        (ctypes.c_uint64 * 8)(*case["dims"]),
        (ctypes.c_uint64 * 8)(*case["strides"]),
    ]
    modes = [ctypes.c_uint(case[field]) for field in ("interleave", "swizzle", "l2", "fill")]
    steps = (ctypes.c_uint32 * 8)(*case["steps"])
    if im2col := case["im2col"]:
        corners = [(ctypes.c_int * 8)(*im2col["lower"]), (ctypes.c_int * 8)(*im2col["upper"])]
        counts = [ctypes.c_uint32(im2col["channels"]), ctypes.c_uint32(im2col["pixels"])]
        code = driver.cuTensorMapEncodeIm2col(*tensor, *corners, *counts, steps, *modes)
    else:
        code = driver.cuTensorMapEncodeTiled(*tensor, (ctypes.c_uint32 * 8)(*case["boxes"]), steps, *modes)
    return code, ctypes.string_at(aligned, 128)


def maps(directory, programs):
    import cupy

    cupy.cuda.Device(0).use()
    memory = cupy.zeros(1 << 20, dtype=cupy.uint8)
    base = (memory.data.ptr + 4095) // 4096 * 4096
    return bytes(min(encode(case, base)[0], 255) for case in programs["maps"])


def copies(directory, programs, output):
    """A status of two bytes for each copy and, if it is zero, the result. An illegal one costs its process: each goes on
    where the last one ended."""
    import cupy
    import numpy

    module, stream = load(directory, "copies"), cupy.cuda.Stream(non_blocking=True)
    inputs = numpy.fromfile(directory / "copies.bin", dtype=numpy.uint8)
    done = json.loads((output / "copies.json").read_text()) if (output / "copies.json").exists() else 0
    at = 0
    with stream, open(output / "copies.out", "ab") as out:
        for i, copy in enumerate(programs["copies"]):
            start, source_at, at = at, at + copy["tensor"], at + copy["tensor"] + copy["source"]
            if i < done:
                continue
            (output / "copies.json").write_text(json.dumps(i + 1))
            tensor, source = cupy.asarray(inputs[start:source_at]), cupy.asarray(inputs[source_at:at])
            code, bytes_of_map = encode(copy["map"], tensor.data.ptr)
            if code != 0:
                raise ValueError(f"{copy['name']}: the driver refuses the map with code {code}")
            device_map = cupy.asarray(numpy.frombuffer(bytes_of_map, dtype=numpy.uint8))
            result = cupy.zeros(copy["bytes"], dtype=cupy.uint8)
            module.get_function(f"c{i}")((1,), (1,), (device_map, source, result))
            status = wait(stream, copy["name"], (0, ILLEGAL))
            out.write(status.to_bytes(2, "little"))
            if status == ILLEGAL:
                out.flush()
                os._exit(AGAIN)
            out.write((tensor if copy["store"] else result).get().tobytes()[: copy["bytes"]])


def timings(directory, programs):
    import cupy
    import numpy

    module, stream = load(directory, "timings"), cupy.cuda.Stream(non_blocking=True)
    parameters = programs["timings"]
    out = bytearray()
    with stream:
        # Clocks of an idle device are low, and those of its parts do not rise together.
        numbers, start = cupy.ones(1 << 26, dtype=cupy.float32), time.monotonic()
        while time.monotonic() < start + WARM_SECONDS:
            numbers = cupy.sin(numbers)
            stream.synchronize()
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


PARTS = {"scalar": scalar, "matrix": matrix, "maps": maps, "copies": copies, "timings": timings}


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--part":
        part, directory, output = sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
        programs = json.loads((directory / "programs.json").read_text())
        if part == "copies":
            copies(directory, programs, output)
        else:
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
    for stale in ("copies.out", "copies.json"):
        (output / stale).unlink(missing_ok=True)
    for part, seconds in PART_SECONDS.items():
        start = time.monotonic()
        try:
            command = [sys.executable, os.path.abspath(__file__), "--part", part, str(directory), str(output)]
            while (code := subprocess.run(command, timeout=seconds).returncode) == AGAIN:
                pass
        except subprocess.TimeoutExpired:
            code = f"none within {seconds} s"
        print(f"{part}: exit {code}, {time.monotonic() - start:.1f} s", flush=True)
        failed |= code != 0
    if failed:
        return 1
    recording = json.loads((output / "device.json").read_text())
    (output / "device.json").unlink()
    (output / "copies.json").unlink()
    recording["scalar"] = [row["opcode"] for row in programs["scalar"]]
    recording["matrix"] = [form["opcode"] for form in programs["matrix"]]
    recording["copies"] = [copy["name"] for copy in programs["copies"]]
    recording["timings"] = [pattern["name"] for pattern in programs["timings"]["patterns"]]
    recording["blake2b"] = {p: hashlib.blake2b((output / f"{p}.out").read_bytes(), digest_size=16).hexdigest() for p in PARTS}
    (output / "recording.json").write_text(json.dumps(recording, indent=1))
    print({p: (output / f"{p}.out").stat().st_size for p in PARTS})
    return 0


if __name__ == "__main__":
    sys.exit(main())
