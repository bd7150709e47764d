"""The parts of a module that read better in Python: its stages as a mapping, its manifest as a dictionary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from . import _native

STAGES = ("graph", "rewrite", "schedule", "mlir", "llvm", "ptx", "sass", "plan")


class Stages(Mapping):
    """The text of every stage of a module's compilation, made when it is first asked for.

    ``graph``, ``rewrite``, ``schedule`` and ``plan`` are texts; ``mlir``, ``llvm``, ``ptx`` and ``sass`` are dictionaries from
    kernel to text. Of several targets, the first that has the stage is shown; ``module.stage(name, target)`` names one.
    """

    def __init__(self, module: _native.Module) -> None:
        self._module = module
        self._texts: dict[str, Any] = {}

    def __getitem__(self, name: str) -> str | dict[str, str]:
        if name not in STAGES:
            raise KeyError(f"there is no stage {name!r}; the stages are {', '.join(STAGES)}")
        if name not in self._texts:
            targets = self._module.targets
            gpu_only = name in ("llvm", "ptx") and "sm_90a" in targets
            self._texts[name] = self._module.stage(name, "sm_90a" if gpu_only else targets[0])
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(STAGES)

    def __len__(self) -> int:
        return len(STAGES)


def stages(module: _native.Module) -> Stages:
    """The stages of the module, from graph to plan; see :class:`Stages`."""
    return Stages(module)


def inspect(module: _native.Module) -> dict[str, Any]:
    """What the bundle holds: name, digest, inputs and outputs (name, dtype, shape), symbols with their ranges, and per target its
    plans; entries with their sizes and hashes."""
    text, digest = module._inspect()
    return {"digest": digest, **json.loads(text)}
