"""From what people have (a path, an ONNX model, graph text, a torch module) to a compiled module."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _native, _tools
from ._error import error

Target = str | Sequence[str]


def compile(
    model: Any,
    *,
    target: Target = "cpu",
    symbols: Mapping[str, int] | None = None,
    max_rel_err: float = 0.0,
    winograd: str = "auto",
    buckets: Iterable[Mapping[str, int]] = (),
    native_cpu: bool = False,
    example_inputs: tuple[Any, ...] | None = None,
    weights: Sequence[str | os.PathLike[str]] = (),
) -> _native.Module:
    """Compiles a model.

    Args:
        model: a path to ``*.onnx`` or graph text (``*.tri``); an ``onnx.ModelProto`` or its bytes; graph text itself (it has
            more than one line); a :class:`tricot.Graph`; a ``torch.export.ExportedProgram``; or a ``torch.nn.Module``, which
            is exported with ``example_inputs``.
        target: ``"cpu"`` (x86-64), ``"sm_90a"`` (NVIDIA Hopper), or a list of both. A call runs where its tensors are.
        symbols: sizes to fix now, by symbol, such as ``{"batch": 4}``.
        max_rel_err: error budget beyond the model's own rounding, as relative L2 error between 0 and 1.
        winograd: ``"auto"``, ``"off"``, ``"f23"`` or ``"f43"``.
        buckets: sizes for which a variant of its own is built.
        native_cpu: use every feature of this machine's processor.
        example_inputs: tensors to export a ``torch.nn.Module`` with.
        weights: safetensors files that graph text refers to.

    Raises:
        tricot.Error: with every problem found in the model.
    """
    targets = [target] if isinstance(target, str) else list(target)
    if not targets:
        raise error("TC0930", "no target is given", "targets: cpu, sm_90a")
    graph = to_graph(model, symbols=symbols, example_inputs=example_inputs, weights=weights)
    return graph.compile(
        targets=targets,
        max_rel_err=float(max_rel_err),
        winograd=winograd,
        buckets=[dict(b) for b in buckets],
        native_cpu=native_cpu,
        sm90_program=_tools.sm90_program(),
        ptxas=_tools.ptxas() if "sm_90a" in targets else None,
    )


def load(path: str | os.PathLike[str], *, digest: str | None = None) -> _native.Module:
    """Opens a ``.tricot`` bundle.

    Opening checks every byte that is read, and is safe for any file. *Calling* the module runs the machine code in it with the
    rights of this process: load bundles you trust, as with a shared library, or give the ``digest`` (64 hex digits, as
    ``module.inspect()["digest"]``) of the one you mean.

    Raises:
        tricot.Error: TC07xx for a file that is no bundle or another one.
    """
    return _native.open(Path(path), digest)


def to_graph(
    model: Any,
    *,
    symbols: Mapping[str, int] | None = None,
    example_inputs: tuple[Any, ...] | None = None,
    weights: Sequence[str | os.PathLike[str]] = (),
) -> _native.Graph:
    """The model as a graph; arguments as in :func:`compile`."""
    sizes = dict(symbols or {})
    if isinstance(model, _native.Graph):
        return _native.Graph.from_text(model.text(), "<graph>", sizes) if sizes else model
    if isinstance(model, str) and "\n" in model:
        return _native.Graph.from_text(model, "<text>", sizes)
    if isinstance(model, (str, os.PathLike)):
        return _native.Graph.from_path(Path(model), [Path(w) for w in weights], sizes)
    if isinstance(model, (bytes, bytearray)):
        return _native.Graph.from_onnx(bytes(model), "<memory>", sizes)
    if hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        name = getattr(model.graph, "name", "") or "<ModelProto>"
        return _native.Graph.from_onnx(model.SerializeToString(), name, sizes)
    exported = _export(model, example_inputs)
    if exported is not None:
        return _native.Graph.from_onnx(exported, type(model).__name__, sizes)
    raise error(
        "TC0901",
        f"a `{type(model).__name__}` is no model",
        "pass a path, an onnx.ModelProto, graph text, a tricot.Graph or a torch.nn.Module",
    )


def _export(model: Any, example_inputs: tuple[Any, ...] | None) -> bytes | None:
    """A torch model as serialised ONNX; None for anything else."""
    # Whoever has a torch model has imported torch; nobody else shall pay for it.
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, (torch.nn.Module, torch.export.ExportedProgram)):
        return None
    if isinstance(model, torch.nn.Module):
        if example_inputs is None:
            raise error(
                "TC0901",
                f"`{type(model).__name__}` needs example inputs to be exported",
                "pass `example_inputs=(x, ...)`, or the result of `torch.export.export`",
            )
        model = torch.export.export(model, tuple(example_inputs))
    try:
        program = torch.onnx.export(model, dynamo=True, verbose=False)
    except ImportError as missing:
        raise error("TC0901", f"torch cannot export to ONNX: {missing}", "pip install onnx onnxscript") from missing
    return program.model_proto.SerializeToString()
