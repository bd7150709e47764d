//! CUDA graphs of bound plans: captured on a stream of ours, replayed on the caller's, patched when a pointer
//! changes.
//!
//! The central type is [`CudaBinding`]: what one symbol vector keeps on the device. The first run is launched
//! plainly; later ones replay. A graph belongs to a set of buffer addresses. When the addresses are new, the
//! least recently used graph gets new parameters in just the kernels that use a changed buffer; a changed buffer
//! in a copy or a fill makes it be captured again.

use super::context::{Context, CudaMemory, Stream};
use super::driver::check;
use super::launch::Encoded;
use super::program::CudaProgram;
use crate::bound::{Bound, BoundParam, BoundStep};
use cudarc::driver::sys;
use std::sync::Arc;
use tricot_types::Diagnostic;

/// Graphs kept per symbol vector.
const MAX_GRAPHS: usize = 4;
/// Address sets remembered to tell a returning one from a new one.
const MAX_SEEN: usize = 8;

/// Fields drop in this order: graphs, then the stream (which waits), then the memory it used.
#[derive(Default)]
pub(crate) struct CudaBinding {
    /// Most recently used last.
    graphs: Vec<Graph>,
    seen: Vec<Vec<u64>>,
    ran: bool,
    pub(super) stream: Option<Stream>,
    /// Device copies of host tensors.
    pub(super) staging: Option<CudaMemory>,
}

impl CudaBinding {
    /// Drops graphs that hold addresses about to become invalid.
    pub fn forget_graphs(&mut self) {
        self.graphs.clear();
        self.seen.clear();
        self.ran = false;
    }
}

struct Graph {
    context: Arc<Context>,
    /// Owns the nodes that `nodes` names.
    graph: sys::CUgraph,
    exec: sys::CUgraphExec,
    pointers: Vec<u64>,
    scratch: u64,
    /// The node of every step that launches a kernel.
    nodes: Vec<Option<sys::CUgraphNode>>,
}

// SAFETY: driver handles may be used from any thread, one at a time.
unsafe impl Send for Graph {}

impl Drop for Graph {
    fn drop(&mut self) {
        if let Ok(_entered) = self.context.enter() {
            // SAFETY: created in this context; a running graph is destroyed after it ends (driver API).
            unsafe {
                let _ = sys::cuGraphExecDestroy(self.exec);
                let _ = sys::cuGraphDestroy(self.graph);
            }
        }
    }
}

impl CudaProgram {
    /// Replays a graph for these addresses; `false` when the run should be launched plainly instead.
    ///
    /// # Safety
    /// As [`CudaProgram::run`]; the context is current and `stream` is not being captured.
    pub(super) unsafe fn replay(
        &self,
        bound: &Bound,
        binding: &mut CudaBinding,
        pointers: &[u64],
        scratch: u64,
        stream: sys::CUstream,
    ) -> Result<bool, Diagnostic> {
        if bound.steps.len() < 2 {
            return Ok(false); // A graph of one node costs more than the launch.
        }
        let first = !std::mem::replace(&mut binding.ran, true);
        let known = binding.seen.iter().any(|s| s == pointers);
        if !known {
            if binding.seen.len() == MAX_SEEN {
                binding.seen.remove(0);
            }
            binding.seen.push(pointers.to_vec());
        }
        if first {
            return Ok(false);
        }
        let hit = binding.graphs.iter().position(|g| g.pointers == pointers && g.scratch == scratch);
        let graph = match hit {
            Some(i) => binding.graphs.remove(i),
            None => {
                let room = binding.graphs.is_empty() || known && binding.graphs.len() < MAX_GRAPHS;
                let old = if room { None } else { Some(binding.graphs.remove(0)) };
                // SAFETY: passed on.
                match old.map(|old| unsafe { self.patch(bound, old, pointers, scratch) }).transpose()?.flatten() {
                    Some(patched) => patched,
                    None => {
                        let own = self.own_stream(binding)?;
                        // SAFETY: passed on; the stream is ours alone.
                        match unsafe { self.capture(bound, pointers, scratch, own) } {
                            Ok(graph) => graph,
                            Err(d) => {
                                tracing::warn!("launching without a CUDA graph: {d}");
                                return Ok(false);
                            }
                        }
                    }
                }
            }
        };
        // SAFETY: the graph's addresses are those of this run.
        let launched = check(unsafe { sys::cuGraphLaunch(graph.exec, stream) }, "launching a CUDA graph");
        binding.graphs.push(graph);
        launched.map(|()| true)
    }

    /// Captures all steps on `own`.
    unsafe fn capture(
        &self,
        bound: &Bound,
        pointers: &[u64],
        scratch: u64,
        own: sys::CUstream,
    ) -> Result<Graph, Diagnostic> {
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let mut nodes = vec![];
        let mut graph = std::ptr::null_mut();
        // SAFETY: nothing runs during a capture; every path below ends it.
        unsafe {
            check(sys::cuStreamBeginCapture_v2(own, mode), "starting to capture a CUDA graph")?;
            let mut captured = Ok(());
            for step in &bound.steps {
                captured = self.step(bound, step, pointers, scratch, own);
                if captured.is_err() {
                    break;
                }
                nodes.push(if matches!(step, BoundStep::Gpu(_)) { last_node(own) } else { None });
            }
            let ended = check(sys::cuStreamEndCapture(own, &mut graph), "capturing a CUDA graph");
            let mut exec = std::ptr::null_mut();
            let made = captured.and(ended).and_then(|()| {
                check(sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0), "instantiating a CUDA graph")
            });
            if let Err(d) = made {
                if !graph.is_null() {
                    let _ = sys::cuGraphDestroy(graph);
                }
                return Err(d);
            }
            tracing::debug!(steps = nodes.len(), "captured a CUDA graph");
            let context = self.context.clone();
            Ok(Graph { context, graph, exec, pointers: pointers.to_vec(), scratch, nodes })
        }
    }

    /// The graph with new addresses; `None` when it must be captured again.
    unsafe fn patch(
        &self,
        bound: &Bound,
        mut graph: Graph,
        pointers: &[u64],
        scratch: u64,
    ) -> Result<Option<Graph>, Diagnostic> {
        if graph.scratch != scratch {
            return Ok(None);
        }
        let changed: Vec<bool> = graph.pointers.iter().zip(pointers).map(|(old, new)| old != new).collect();
        for (step, node) in bound.steps.iter().zip(&graph.nodes) {
            match (step, node) {
                (BoundStep::Copy { from, to, .. }, _) if changed[*from] || changed[*to] => return Ok(None),
                (BoundStep::Zero { buffer, .. }, _) if changed[*buffer] => return Ok(None),
                (BoundStep::Gpu(gpu), node) => {
                    let uses = |p: &BoundParam| match p {
                        BoundParam::Buffer(b) => changed[*b],
                        BoundParam::TensorMap(map) => changed[map.buffer],
                        BoundParam::Value(_) | BoundParam::Scratch => false,
                    };
                    if gpu.params.iter().any(uses) {
                        let Some(node) = node else { return Ok(None) };
                        let function = self.function(&gpu.kernel)?;
                        // SAFETY: the node was captured from this very launch.
                        unsafe { Encoded::new(gpu, pointers, scratch)?.patch(gpu, function, graph.exec, *node)? };
                    }
                }
                _ => {}
            }
        }
        graph.pointers = pointers.to_vec();
        Ok(Some(graph))
    }
}

/// The node captured last on a stream: the one the next would depend on.
unsafe fn last_node(stream: sys::CUstream) -> Option<sys::CUgraphNode> {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    let (mut id, mut graph, mut nodes, mut count) = (0, std::ptr::null_mut(), std::ptr::null(), 0);
    // SAFETY: the out-pointers are valid; the list lives until the stream is used again.
    unsafe {
        let result = sys::cuStreamGetCaptureInfo_v2(stream, &mut status, &mut id, &mut graph, &mut nodes, &mut count);
        (result == sys::CUresult::CUDA_SUCCESS && count == 1).then(|| *nodes)
    }
}
