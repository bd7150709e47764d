#!/usr/bin/env python3
"""Makes weights.safetensors for ffn24.tri: two seeded matrices, pruned 2:4 by magnitude along the input axis and compressed.

Values hold the two survivors of every four, in order; metadata holds one nibble a group, `first | second << 2`, the lower group in
the low nibble. Needs numpy.
"""

import json
import struct
import sys

import numpy as np


def bf16(x):
    """Rounds float32 to bfloat16 (nearest, ties to even), as uint16."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def compress(w):
    """[m, k] -> values [m, k/2], meta u8 [m, k/8]."""
    m, k = w.shape
    groups = w.reshape(m, k // 4, 4)
    keep = np.sort(np.argsort(-np.abs(groups), axis=-1, kind="stable")[..., :2], axis=-1)
    values = np.take_along_axis(groups, keep, axis=-1).reshape(m, k // 2)
    nibbles = (keep[..., 0] | keep[..., 1] << 2).astype(np.uint8)
    return values, nibbles[:, 0::2] | nibbles[:, 1::2] << 4


def save(path, tensors):
    header, offset = {}, 0
    for name, (dtype, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(data.shape), "data_offsets": [offset, offset + data.nbytes]}
        offset += data.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, data in tensors.values():
            f.write(data.tobytes())


def main():
    rng = np.random.default_rng(0)
    tensors = {}
    for name, (m, k) in {"up": (512, 256), "down": (256, 512)}.items():
        values, meta = compress(rng.standard_normal((m, k), dtype=np.float32) * np.float32((2 / k) ** 0.5))
        tensors[f"{name}.values"] = ("BF16", bf16(values))
        tensors[f"{name}.meta"] = ("U8", meta)
    save(sys.argv[1] if len(sys.argv) > 1 else "weights.safetensors", tensors)


if __name__ == "__main__":
    main()
