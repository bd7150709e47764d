"""``torch.compile(backend="tricot")``: takes the subgraphs Tricot supports, leaves the rest to eager, and says which and why.

The graph arrives through AOT autograd, so forward and backward come functional and in ATen ops. Each op is lowered on trial; the
nodes that pass are grouped into the largest subgraphs that make no cycle. The central type is :class:`Report`.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Callable

import torch
from torch.fx import GraphModule, Node

from .. import _native
from .._compile import compile
from .._error import Error
from . import _aten
from ._run import dtype_name, target

log = logging.getLogger("tricot.torch")

#: Subgraphs with fewer ops that compute are not worth a call.
MIN_COMPUTE = 1


@dataclass
class Report:
    """What became of one graph."""

    #: Nodes of each compiled subgraph.
    subgraphs: list[int] = field(default_factory=list)
    #: Op and reason of what was left to eager, with the number of nodes.
    left: dict[tuple[str, str], int] = field(default_factory=dict)
    #: The compiled subgraphs.
    modules: list[_native.Module] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.subgraphs)} subgraphs compiled, {sum(self.subgraphs)} ops"]
        lines += [f"left to eager: {op} ({n} times): {why}" for (op, why), n in sorted(self.left.items())]
        return "\n".join(lines)


_reports: deque[Report] = deque(maxlen=64)


def reports() -> list[Report]:
    """Reports of the graphs compiled last, oldest first."""
    return list(_reports)


def backend(gm: GraphModule, example_inputs: list[Any], **_: Any) -> Callable[..., Any]:
    """The backend; use it as ``torch.compile(model, backend="tricot")``."""
    from torch._dynamo.backends.common import aot_autograd
    from torch._functorch.aot_autograd import make_boxed_func

    def compiler(gm: GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        return make_boxed_func(_compile_any(gm, inputs))

    return aot_autograd(fw_compiler=compiler, bw_compiler=compiler, decompositions=_decompositions())(gm, example_inputs)


def _decompositions() -> dict[Any, Callable[..., Any]]:
    """Torch's own, but for ops that Tricot takes whole."""
    from torch._decomp import core_aten_decompositions

    table = dict(core_aten_decompositions())
    return {op: f for op, f in table.items() if getattr(op, "overloadpacket", op) not in _aten.TABLE}


def _compile_any(gm: GraphModule, inputs: list[Any]) -> Callable[..., Any]:
    if all(isinstance(i, torch.Tensor) and all(isinstance(d, int) for d in i.shape) for i in inputs):
        return _compile_static(gm)
    # Sizes are symbolic: compile for each combination of sizes that comes.
    known: dict[Any, Callable[..., Any]] = {}

    def run(*arguments: Any) -> Any:
        key = tuple((a.shape, a.dtype) if isinstance(a, torch.Tensor) else a for a in arguments)
        if key not in known:
            known[key] = _compile_static(_at_these_sizes(gm, arguments))
        return known[key](*arguments)

    return run


def _at_these_sizes(gm: GraphModule, arguments: tuple[Any, ...]) -> GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad():
        return make_fx(gm, tracing_mode="fake")(*arguments)


def _compile_static(gm: GraphModule) -> Callable[..., Any]:
    from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
    from torch.fx.passes.operator_support import OperatorSupportBase

    report = Report()
    _reports.append(report)
    reasons = _reasons(gm)

    class Support(OperatorSupportBase):
        def is_node_supported(self, _submodules: Any, node: Node) -> bool:
            return node.op == "call_function" and node not in reasons

    partitioner = CapabilityBasedPartitioner(gm, Support(), allows_single_node_partition=True)
    partitions = [p for p in partitioner.propose_partitions() if sum(map(_aten.computes, p.nodes)) >= MIN_COMPUTE]
    fused = partitioner.fuse_partitions(partitions)
    for name, submodule in list(fused.named_children()):
        if not name.startswith("fused_"):
            continue
        ops = sum(n.op == "call_function" for n in submodule.graph.nodes)
        try:
            compiled = Subgraph(submodule, name)
        except Error as problem:
            why = f"{problem.code} {problem.diagnostics[0].message}"
            report.left[(name, why)] = ops
            continue
        setattr(fused, name, compiled)
        report.subgraphs.append(ops)
        report.modules.append(compiled.module)
    counted = Counter((str(node.target), why) for node, why in reasons.items() if why is not None)
    report.left.update(counted)
    for (op, why), count in report.left.items():
        log.warning("left to eager: %s (%d times): %s", op, count, why)
    log.info("%s", report)
    fused.recompile()
    return fused


def _reasons(gm: GraphModule) -> dict[Node, str | None]:
    """Nodes that stay in eager, and why; None for those that compute nothing, such as taking a part of a tuple."""
    nodes = [n for n in gm.graph.nodes if n.op == "call_function"]
    if any("as_strided" in str(n.target) for n in nodes):
        # It reads memory by the layout eager would have chosen.
        return {n: "the graph uses as_strided, which depends on memory layout" for n in nodes}
    reasons: dict[Node, str | None] = {}
    for node in nodes:
        why = _aten.why_not(node)
        if why is not None:
            reasons[node] = why
    for node in nodes:
        # A part of a tuple goes where the tuple is made.
        if _aten.is_part(node) and node.args[0] in reasons:
            reasons[node] = None
    return reasons


class Subgraph(torch.nn.Module):
    """A compiled subgraph in the place of its nodes."""

    def __init__(self, submodule: GraphModule, name: str) -> None:
        super().__init__()
        graph = _native.Graph(name)
        env: dict[Node, Any] = {}
        device = torch.device("cpu")
        results: tuple[Any, ...] = ()
        for node in submodule.graph.nodes:
            if node.op == "placeholder":
                value = node.meta["val"]
                device = value.device
                env[node] = graph.input(node.name, dtype_name(value.dtype), list(value.shape))
            elif node.op == "output":
                results = node.args[0] if isinstance(node.args[0], (tuple, list)) else (node.args[0],)
                self._single = not isinstance(node.args[0], (tuple, list))
            else:
                env[node] = _aten.lower(graph, node, env)
        for i, result in enumerate(results):
            graph.output(f"y{i}", env[result])
        self.module = compile(graph, target=target(device))

    def forward(self, *tensors: torch.Tensor) -> Any:
        result = self.module(*(t.detach().contiguous() for t in tensors))
        return result if self._single or isinstance(result, tuple) else (result,)
