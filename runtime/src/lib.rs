//! The runtime: opens bundles and runs them on the host's processor, a CUDA device or a simulated one.
//!
//! The way through: [`Bundle::open`] checks a file, [`Module::load`] takes its code onto a [`Device`],
//! [`Instance`] owns memory, binds symbols and runs. It knows no graph and no compiler, and compiles nothing
//! except PTX without a cubin.
//!
//! ```no_run
//! use tricot_runtime::{Bundle, Device, HostTensor, Module, RunOptions};
//!
//! # fn main() -> Result<(), Vec<tricot_runtime::Diagnostic>> {
//! let bundle = Bundle::open("model.tricot")?;
//! // SAFETY: we built this bundle ourselves.
//! let module = unsafe { Module::load_trusted(bundle, Device::best())? };
//! let x = HostTensor::from_slice(&[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
//! let (outputs, _) = module.instance().run(&[("x", &x)], &RunOptions::default())?;
//! println!("{:?}", outputs[0].as_slice::<f32>());
//! # Ok(())
//! # }
//! ```
//!
//! **Trust.** Opening and inspecting a bundle is safe for any bytes. Running one executes the machine code in
//! it, so [`Module::load_trusted`] is `unsafe`, and [`Module::load`] asks for the digest of the bundle you mean.
//!
//! **Threads.** [`Bundle`] and [`Module`] are `Send + Sync`; share them. An [`Instance`] (arena, graph cache) is
//! `Send` and used by one thread at a time; make one per thread or stream.
//!
//! **Errors** are [`Diagnostic`]s, all that were found at once: TC07xx about bundles, TC08xx about running.

mod bound;
pub mod bundle;
#[cfg(target_arch = "x86_64")]
pub mod cpu;
mod cpu_device;
pub mod cuda;
mod device;
pub mod doctor;
mod instance;
mod module;
mod options;
#[cfg(feature = "sim")]
mod sim_device;
pub mod symbols;
pub mod tensor;
mod workspace;

pub use bound::{ARENA_ALIGN, BoundPort, StepWork};
pub use bundle::Bundle;
pub use device::Device;
pub use instance::Instance;
pub use module::Module;
pub use options::{Cancel, RunOptions, RunReport, StepTime, Timing};
pub use tensor::{Element, HostTensor, TensorRef};
pub use tricot_plan as plan;
pub use tricot_types::{Bindings, DType, Diagnostic, Symbol};
pub use workspace::Allocator;
