"""What the memory of this GPU gives in this run: read-only, copy, and reads from the cache; the ceilings that rates are held against.

The central function is `measure`, in GB/s. Plain Triton kernels; cache reads go over private lines (each block its own) and shared ones.
Imported only where there is a GPU.
"""

import functools

import torch
import triton
import triton.language as tl


@triton.jit
def add_up(x, out, repeats, stride, BLOCK: tl.constexpr, STEP: tl.constexpr, CACHED: tl.constexpr):
    """Each program adds up `STEP` blocks from its place, `repeats` times over; cached reads are volatile, so that each is made."""
    acc = tl.zeros([BLOCK], tl.float32)
    base = tl.program_id(0).to(tl.int64) * stride
    for _ in range(repeats):
        for at in tl.static_range(STEP):
            acc += tl.load(x + base + at * BLOCK + tl.arange(0, BLOCK), volatile=CACHED)
    tl.store(out + tl.program_id(0), tl.sum(acc, 0))


def _seconds(work, times=10):
    work()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(times):
        work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1e-3 / times


@functools.cache
def measure(device):
    """{"read", "copy", "l2_private", "l2_shared"} in GB/s, best of a few block sizes; once a process."""
    sms = torch.cuda.get_device_properties(device).multi_processor_count
    big = torch.randn(1 << 29, device=device)
    sums = torch.empty(1 << 20, device=device)
    found = {"read": 0.0, "l2_private": 0.0, "l2_shared": 0.0}
    for block, step in ((1024, 4), (2048, 4), (4096, 2), (2048, 8)):
        chunk = block * step
        programs = big.numel() // chunk
        read = lambda: add_up[(programs,)](big, sums, 1, chunk, BLOCK=block, STEP=step, CACHED=False, num_warps=8)
        found["read"] = max(found["read"], programs * chunk * 4 / _seconds(read) / 1e9)
        # 4 programs an SM of at most 32 KB each: together inside the cache.
        blocks, repeats = 4 * sms, 64
        for name, stride in (("l2_private", chunk), ("l2_shared", 0)):
            if chunk <= 8192:
                cached = lambda: add_up[(blocks,)](big, sums, repeats, stride, BLOCK=block, STEP=step, CACHED=True, num_warps=8)
                found[name] = max(found[name], blocks * repeats * chunk * 4 / _seconds(cached) / 1e9)
    other = torch.empty_like(big)
    found["copy"] = 2 * big.numel() * 4 / _seconds(lambda: other.copy_(big)) / 1e9
    return {name: round(rate) for name, rate in found.items()}
