"""JAX's Mosaic GPU kernels as a peer: a worker process that tunes and times them, driven over pipes.

The central type is `Remote`, which stands where `measure.Timed` does. The worker (`jax_worker.py`) gets the same data through files and is idle
outside its slices. Its times are wall-clock between two completions in one queue of launches that never runs empty.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from measure import Contender, Missing

ANSWER = 240  # Seconds a worker may take for one answer; compiling its configurations is part of the first.


def _save(tensor, path):
    """bf16 has no numpy type: the bits travel as int16."""
    bits = tensor.detach().contiguous()
    np.save(path, (bits.view(torch.int16) if bits.dtype == torch.bfloat16 else bits).cpu().numpy())


class Remote:
    """A tuned kernel in a worker."""

    mode = "worker"

    def __init__(self, kind, inputs, params, sets, seconds):
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.log = tempfile.TemporaryFile("w+")
        environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        worker = Path(__file__).with_name("jax_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )
        atexit.register(self.close)
        paths = []
        for at, tensor in enumerate(inputs):
            paths.append(f"{self.folder.name}/{at}.npy")
            _save(tensor, paths[-1])
        self.result = f"{self.folder.name}/out.npy"
        answer = self.ask(cmd="setup", kind=kind, inputs=paths, params=params, sets=sets, seconds=seconds, out=self.result)
        self.op = answer["seconds"]
        self.contender = Contender("Mosaic", run=None, version=answer["version"], config=answer["config"])
        for path in paths:
            os.unlink(path)

    def ask(self, **message):
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], ANSWER)
            line = self.process.stdout.readline() if ready else ""
        except OSError:
            line = ""
        if not line:
            self.log.seek(0)
            tail = " ".join(self.log.read()[-400:].split())
            self.close()
            raise Missing(f"the JAX worker {'gave no answer' if self.process.poll() is None else 'ended'}: {tail}")
        answer = json.loads(line)
        if "error" in answer:
            self.close()
            raise Missing(answer["error"])
        return answer

    def slice(self, length, discard):
        answer = self.ask(cmd="slice", length=length, discard=discard)
        return answer["seconds"], answer["start"], answer["end"]

    def error(self, check):
        """Of the output of set 0, written by the function that is timed."""
        bits = torch.from_numpy(np.load(self.result))
        out = bits.view(torch.bfloat16) if bits.dtype == torch.int16 else bits
        return check(0, (out.to("cuda"),), self.contender)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def matmul(inputs, protocol):
    return [_remote("matmul", inputs, {}, protocol)]


def attention(inputs, causal, protocol):
    # The kernel knows f16 alone and has no scale of its own: queries carry it.
    scaled = [[(q.float() * q.shape[-1] ** -0.5).half(), k.half(), v.half()] for q, k, v in inputs[:1]]
    found = _remote("attention", scaled * len(inputs), {"causal": causal}, protocol)
    found.contender.note = "f16, as the kernel has no bf16"
    return [found]


def _remote(kind, inputs, params, protocol):
    if inputs[0][0].device.type == "cpu":
        raise Missing("Mosaic GPU needs a GPU")
    return Remote(kind, inputs[0], params, len(inputs), protocol.tuning)
