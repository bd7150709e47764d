//! A kernel under construction: the module around it, its parameters, and the sizes it was launched with.
//!
//! The central type is [`Kernel`], what a [`crate::Family`] gets to emit into. It maps launch parameters to values and
//! evaluates polynomials over the kernel's symbols. It knows no anchor.

use crate::emit::{Builder, Elem, Ty, Val};

use mlir_sys::*;
use tricot_kernel::{Access, KernelDesc};
use tricot_plan::{GpuLaunch, Param};
use tricot_types::{Atom, Poly, Symbol};

/// A kernel's entry function, open for emission.
pub struct Kernel<'a> {
    pub b: Builder,
    pub desc: &'a KernelDesc,
    params: &'a [Param],
    args: Vec<Val>,
}

/// The symbol of dynamic shared memory; its start is 1024-byte aligned.
const SHARED: &str = "shared";

/// Builds the MLIR module of one kernel: a `gpu.module` with one `llvm.func` marked `nvvm.kernel`.
///
/// Parameters follow `launch.params`: pointers are `!llvm.ptr<1>` (`noalias`, `readonly` when the buffer is only read), sizes i64,
/// tensor maps 128 bytes by value, 64-byte aligned and `grid_constant`, seen as a generic pointer.
/// The returned module is owned by the caller.
///
/// # Safety
/// `ctx` must be a live context with all dialects loaded.
pub(crate) unsafe fn build<E>(
    ctx: MlirContext,
    desc: &KernelDesc,
    launch: &GpuLaunch,
    emit: impl FnOnce(&Kernel) -> Result<(), E>,
) -> (MlirModule, Result<(), E>) {
    let module = unsafe { mlirModuleCreateEmpty(mlirLocationUnknownGet(ctx)) };
    let top = unsafe { Builder::new(ctx, mlirModuleGetBody(module)) };
    top.raw_attr(unsafe { mlirModuleGetOperation(module) }, "gpu.container_module", top.unit_attr());

    let (device, _) = top.new_block(&[]);
    let target = top.parse_attr(&format!(
        "[#nvvm.target<chip = \"{}\", features = \"{}\", O = 3>]",
        crate::lower::CHIP,
        crate::lower::FEATURES
    ));
    let attrs = [("sym_name", top.str_attr("device")), ("targets", target)];
    let region = unsafe {
        let region = mlirRegionCreate();
        mlirRegionAppendOwnedBlock(region, device);
        region
    };
    top.raw_op("gpu.module", &[], &[], &attrs, vec![region]);

    let types: Vec<Ty> = launch.params.iter().map(param_type).collect();
    let (entry, args) = top.new_block(&types);
    top.inside(device, || {
        let shared = top.parse_attr("!llvm.array<0 x i8>");
        let attrs = [
            ("sym_name", top.str_attr(SHARED)),
            ("global_type", shared),
            ("linkage", top.parse_attr("#llvm.linkage<external>")),
            ("addr_space", top.int_attr(Ty::I32, 3)),
            ("alignment", top.int_attr(Ty::I64, 1024)),
        ];
        top.raw_op("llvm.mlir.global", &[], &[], &attrs, vec![unsafe { mlirRegionCreate() }]);
        top.raw_op(
            "llvm.func",
            &[],
            &[],
            &function_attrs(&top, desc, launch),
            vec![unsafe {
                let region = mlirRegionCreate();
                mlirRegionAppendOwnedBlock(region, entry);
                region
            }],
        );
    });

    let kernel = Kernel { b: unsafe { Builder::new(ctx, entry) }, desc, params: &launch.params, args };
    let result = emit(&kernel);
    kernel.b.op0("llvm.return", &[], &[]);
    (module, result)
}

fn param_type(param: &Param) -> Ty {
    match param {
        Param::Buffer(_) | Param::Scratch => Ty::GLOBAL,
        Param::Symbol(_) | Param::Value(_) => Ty::I64,
        Param::Word(_) => Ty::I32,
        Param::TensorMap(_) => Ty::PTR,
    }
}

fn function_attrs<'n>(b: &Builder, desc: &KernelDesc, launch: &GpuLaunch) -> Vec<(&'n str, MlirAttribute)> {
    let type_name = |p: &Param| match param_type(p).elem {
        Elem::Ptr(0) => "ptr",
        Elem::Ptr(_) => "ptr<1>",
        _ if matches!(p, Param::Word(_)) => "i32",
        _ => "i64",
    };
    let types = launch.params.iter().map(type_name).collect::<Vec<_>>().join(", ");
    let arg_attrs = launch.params.iter().map(|p| match p {
        Param::Buffer(i) => {
            let read_only = desc.buffers.get(*i as usize).is_some_and(|b| b.access == Access::Read);
            // Every buffer of a plan starts at a multiple of 16 bytes or more, see `Storage`.
            format!("{{llvm.noalias, llvm.align = 16 : i64{}}}", if read_only { ", llvm.readonly" } else { "" })
        }
        Param::Scratch => "{llvm.noalias, llvm.align = 256 : i64}".into(),
        Param::Symbol(_) | Param::Value(_) | Param::Word(_) => "{}".into(),
        Param::TensorMap(_) => "{llvm.byval = !llvm.array<128 x i8>, llvm.align = 64 : i64, nvvm.grid_constant}".into(),
    });
    let threads: u32 = launch.block.iter().product();
    let mut attrs = vec![
        ("sym_name", b.str_attr(&desc.name)),
        ("function_type", b.parse_attr(&format!("!llvm.func<void ({types})>"))),
        ("linkage", b.parse_attr("#llvm.linkage<external>")),
        ("CConv", b.parse_attr("#llvm.cconv<ccc>")),
        ("arg_attrs", b.parse_attr(&format!("[{}]", arg_attrs.collect::<Vec<_>>().join(", ")))),
        ("nvvm.kernel", b.unit_attr()),
        ("nvvm.maxntid", b.i32s_attr(&[threads as i32])),
        // Without it ptxas ignores `setmaxnreg`.
        ("nvvm.minctasm", b.int_attr(Ty::I32, 1)),
    ];
    if launch.cluster != [1, 1, 1] {
        attrs.push(("nvvm.cluster_dim", b.i32s_attr(&launch.cluster.map(|c| c as i32))));
    }
    attrs
}

impl Builder {
    fn raw_attr(&self, op: MlirOperation, name: &str, value: MlirAttribute) {
        unsafe { mlirOperationSetAttributeByName(op, crate::emit::string_ref(name), value) }
    }
}

impl<'a> Kernel<'a> {
    /// The same kernel seen as another description of the same symbols and buffers, for families that rewrite their anchor.
    pub(crate) fn with_desc<'d>(&'d self, desc: &'d KernelDesc) -> Kernel<'d> {
        Kernel { b: self.b.again(), desc, params: self.params, args: self.args.clone() }
    }

    fn arg(&self, is: impl Fn(&Param) -> bool, what: &str) -> Val {
        match self.params.iter().position(is) {
            Some(at) => self.args[at],
            None => panic!("the launch of `{}` has no parameter for {what}", self.desc.name),
        }
    }

    /// Launch parameter number `index`, whatever it is.
    pub fn param(&self, index: usize) -> Val {
        self.args[index]
    }

    /// The global pointer to buffer `index`; the launch must have a [`Param::Buffer`] for it.
    pub fn buffer(&self, index: u32) -> Val {
        self.arg(|p| *p == Param::Buffer(index), &format!("buffer {index}"))
    }

    /// The global pointer to scratch memory.
    pub fn scratch(&self) -> Val {
        self.arg(|p| *p == Param::Scratch, "scratch")
    }

    /// The generic pointer to the `nth` tensor map of the launch.
    pub fn tensor_map(&self, nth: usize) -> Val {
        let maps = self.params.iter().enumerate().filter(|(_, p)| matches!(p, Param::TensorMap(_)));
        let at = maps.map(|(at, _)| at).nth(nth).expect("tensor map number within the launch");
        self.args[at]
    }

    /// The start of dynamic shared memory, 1024-byte aligned, `!llvm.ptr<3>`.
    pub fn shared(&self) -> Val {
        self.b.address_of(SHARED, Ty::SHARED)
    }

    /// The value of a symbol, i64.
    pub fn symbol(&self, symbol: &Symbol) -> Val {
        let at = self.desc.symbols.iter().position(|s| s == symbol);
        let at = at.unwrap_or_else(|| panic!("`{symbol}` is not a symbol of `{}`", self.desc.name)) as u32;
        self.arg(|p| *p == Param::Symbol(at), &format!("symbol `{symbol}`"))
    }

    /// The value of a polynomial over the kernel's symbols, i64. A [`Param::Value`] of that polynomial is used if there is one.
    pub fn poly(&self, poly: &Poly) -> Val {
        let b = &self.b;
        if let Some(at) = self.params.iter().position(|p| matches!(p, Param::Value(v) if v == poly)) {
            return self.args[at];
        }
        let mut sum: Option<Val> = None;
        for (monomial, coefficient) in poly.terms() {
            let mut product: Option<Val> = None;
            for (atom, exponent) in monomial {
                let base = match atom {
                    Atom::Symbol(s) => self.symbol(s),
                    Atom::FloorDiv(p, d) => {
                        let value = self.poly(p);
                        b.floor_div_s(value, b.i64(*d))
                    }
                };
                for _ in 0..*exponent {
                    product = Some(product.map_or(base, |p| b.mul(p, base)));
                }
            }
            let term = match product {
                None => b.i64(coefficient),
                Some(p) if coefficient == 1 => p,
                Some(p) => b.mul(p, b.i64(coefficient)),
            };
            sum = Some(sum.map_or(term, |s| b.add(s, term)));
        }
        sum.unwrap_or_else(|| b.i64(0))
    }
}
