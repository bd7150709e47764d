//! One kernel launch: encoding parameters and tensor maps, starting the grid.
//!
//! The central type is [`Encoded`]: parameters by value, ready to pass. Sources: CUDA driver API,
//! `cuLaunchKernelEx` and `cuTensorMapEncodeTiled`.

use super::driver::{check, describe};
use crate::bound::{BoundGpu, BoundMap, BoundParam};
use cudarc::driver::sys::{self, CUresult, CUtensorMapDataType, CUtensorMapSwizzle};
use std::ffi::c_void;
use tricot_plan::Swizzle;
use tricot_types::{DType, Diagnostic};

/// Room for any parameter; a CUtensorMap wants 64-byte alignment.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Slot([u64; 16]);

/// A launch's parameters with addresses filled in.
pub(super) struct Encoded {
    slots: Vec<Slot>,
}

impl Encoded {
    /// Encodes for these buffer addresses. TC0826 when the driver refuses a tensor map.
    pub fn new(gpu: &BoundGpu, pointers: &[u64], scratch: u64) -> Result<Encoded, Diagnostic> {
        let slot = |param: &BoundParam| {
            let mut slot = Slot([0; 16]);
            match param {
                BoundParam::Buffer(b) => slot.0[0] = pointers[*b],
                BoundParam::Value(v) => slot.0[0] = *v as u64,
                BoundParam::Scratch => slot.0[0] = scratch,
                BoundParam::TensorMap(map) => slot.0 = encode(map, pointers[map.buffer], &gpu.kernel)?,
            }
            Ok(slot)
        };
        Ok(Encoded { slots: gpu.params.iter().map(slot).collect::<Result<_, Diagnostic>>()? })
    }

    /// Pointers to the parameters, as the driver wants them; valid while `self` is neither moved nor changed.
    fn list(&mut self) -> Vec<*mut c_void> {
        self.slots.iter_mut().map(|s| s.0.as_mut_ptr().cast()).collect()
    }

    /// Queues the launch on a stream.
    ///
    /// # Safety
    /// The context is current, `function` takes these parameters, and addresses and code are trusted.
    pub unsafe fn launch(
        &mut self,
        gpu: &BoundGpu,
        function: sys::CUfunction,
        stream: sys::CUstream,
    ) -> Result<(), Diagnostic> {
        let mut attributes = vec![];
        if gpu.cluster != [1, 1, 1] {
            let [x, y, z] = gpu.cluster;
            attributes.push(sys::CUlaunchAttribute {
                id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                pad: [0; 4],
                value: sys::CUlaunchAttributeValue {
                    clusterDim: sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x, y, z },
                },
            });
        }
        let config = sys::CUlaunchConfig {
            gridDimX: gpu.grid[0],
            gridDimY: gpu.grid[1],
            gridDimZ: gpu.grid[2],
            blockDimX: gpu.block[0],
            blockDimY: gpu.block[1],
            blockDimZ: gpu.block[2],
            sharedMemBytes: gpu.shared_bytes,
            hStream: stream,
            attrs: attributes.as_mut_ptr(),
            numAttrs: attributes.len() as u32,
        };
        let mut list = self.list();
        // SAFETY: config, attributes and parameters live through the call, which copies them.
        let result = unsafe { sys::cuLaunchKernelEx(&config, function, list.as_mut_ptr(), std::ptr::null_mut()) };
        if result == CUresult::CUDA_SUCCESS {
            return Ok(());
        }
        let shape = format!("grid {:?}, block {:?}, cluster {:?}", gpu.grid, gpu.block, gpu.cluster);
        Err(Diagnostic::error("TC0824", format!("cannot launch kernel `{}`: {}", gpu.kernel, describe(result)))
            .at_name(gpu.place(), format!("{shape}, {} bytes of shared memory", gpu.shared_bytes))
            .with_help("an error of an earlier kernel can surface here: run again with TRICOT_CUDA_BLOCKING=1"))
    }

    /// Replaces the parameters of a captured kernel node.
    ///
    /// # Safety
    /// As [`Encoded::launch`]; `node` is the node this launch was captured as in the graph of `exec`.
    pub unsafe fn patch(
        &mut self,
        gpu: &BoundGpu,
        function: sys::CUfunction,
        exec: sys::CUgraphExec,
        node: sys::CUgraphNode,
    ) -> Result<(), Diagnostic> {
        let mut list = self.list();
        let params = sys::CUDA_KERNEL_NODE_PARAMS_v2 {
            func: function,
            gridDimX: gpu.grid[0],
            gridDimY: gpu.grid[1],
            gridDimZ: gpu.grid[2],
            blockDimX: gpu.block[0],
            blockDimY: gpu.block[1],
            blockDimZ: gpu.block[2],
            sharedMemBytes: gpu.shared_bytes,
            kernelParams: list.as_mut_ptr(),
            extra: std::ptr::null_mut(),
            kern: std::ptr::null_mut(),
            ctx: std::ptr::null_mut(),
        };
        // SAFETY: the parameters live through the call, which copies them.
        let result = unsafe { sys::cuGraphExecKernelNodeSetParams_v2(exec, node, &params) };
        check(result, &format!("patching kernel `{}` in a graph", gpu.kernel))
    }
}

fn data_type(dtype: DType) -> Option<CUtensorMapDataType> {
    use CUtensorMapDataType::*;
    Some(match dtype {
        DType::F64 => CU_TENSOR_MAP_DATA_TYPE_FLOAT64,
        DType::F32 => CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        DType::F16 => CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        DType::BF16 => CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        DType::I64 => CU_TENSOR_MAP_DATA_TYPE_INT64,
        DType::U64 => CU_TENSOR_MAP_DATA_TYPE_UINT64,
        DType::I32 => CU_TENSOR_MAP_DATA_TYPE_INT32,
        DType::U32 => CU_TENSOR_MAP_DATA_TYPE_UINT32,
        DType::I16 | DType::U16 => CU_TENSOR_MAP_DATA_TYPE_UINT16,
        DType::F8E4M3 | DType::F8E5M2 | DType::I8 | DType::U8 | DType::Bool => CU_TENSOR_MAP_DATA_TYPE_UINT8,
        DType::I4 | DType::U4 => return None,
    })
}

/// The 128 bytes of a tiled CUtensorMap: out-of-bounds elements read as zero, L2 promotion 128 bytes.
fn encode(map: &BoundMap, buffer: u64, kernel: &str) -> Result<[u64; 16], Diagnostic> {
    let refused = |why: String| {
        let recipe = format!("{} dims {:?} strides {:?} box {:?}", map.dtype, map.dims, map.strides, map.tile);
        Diagnostic::error("TC0826", format!("no tensor map for kernel `{kernel}`: {why}"))
            .with_note(format!("{recipe} swizzle {:?} at {:#x} + {}", map.swizzle, buffer, map.offset))
    };
    let address = buffer.wrapping_add(map.offset);
    if !address.is_multiple_of(16) {
        return Err(
            refused("the address is not 16-byte aligned".into()).with_help("give tensors 16-byte aligned memory")
        );
    }
    let dtype = data_type(map.dtype).ok_or_else(|| refused("there is no tensor map of this element type".into()))?;
    let mut out = sys::CUtensorMap { opaque: [0; 16] };
    let steps = [1u32; 5];
    // SAFETY: all arrays have `rank` (strides: one less) elements and live through the call.
    let result = unsafe {
        sys::cuTensorMapEncodeTiled(
            &mut out,
            dtype,
            map.dims.len() as u32,
            address as *mut c_void,
            map.dims.as_ptr(),
            map.strides.as_ptr(),
            map.tile.as_ptr(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            match map.swizzle {
                Swizzle::None => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_NONE,
                Swizzle::B32 => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_32B,
                Swizzle::B64 => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_64B,
                Swizzle::B128 => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
            },
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    match result {
        CUresult::CUDA_SUCCESS => Ok(out.opaque),
        other => Err(refused(describe(other))),
    }
}
