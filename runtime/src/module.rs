//! A bundle's code on a device, ready to be instantiated.
//!
//! The central type is [`Module`]: cheap to clone, shared between threads.

use crate::bound::{self, Bound};
use crate::bundle::Bundle;
use crate::cpu_device::CpuProgram;
use crate::cuda::CudaProgram;
use crate::device::Device;
use crate::instance::Instance;
use crate::symbols::{self, NamedShape};
use std::sync::Arc;
use tricot_plan::{Manifest, TargetPlan};
use tricot_types::{Bindings, Diagnostic};

/// Loaded code. See the module page.
#[derive(Clone)]
pub struct Module {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub bundle: Arc<Bundle>,
    pub target: String,
    pub device: Device,
    pub program: Program,
}

/// The code by kind of device.
pub(crate) enum Program {
    Cpu(CpuProgram),
    Cuda(CudaProgram),
    #[cfg(feature = "sim")]
    Sim(crate::sim_device::SimProgram),
}

impl Program {
    /// Whether inputs, outputs and workspace are host memory.
    pub fn in_host_memory(&self) -> bool {
        !matches!(self, Program::Cuda(_))
    }
}

impl Inner {
    pub fn plans(&self) -> &TargetPlan {
        &self.bundle.manifest().targets[&self.target]
    }

    /// The plan for `values`, evaluated and checked.
    pub fn bound(&self, values: &Bindings) -> Result<Bound, Vec<Diagnostic>> {
        let manifest = self.bundle.manifest();
        let problems = symbols::check(&manifest.symbols, values);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (variant, bound) = bound::bind(manifest, &self.plans().variants, values)?;
        tracing::debug!(variant, workspace = bound.workspace_bytes, steps = bound.steps.len(), "bound");
        Ok(bound)
    }
}

impl Module {
    /// Loads a bundle whose code you trust.
    ///
    /// # Errors
    /// TC0711 the bundle has no code for the device; TC0708 a damaged entry; TC0850 the processor lacks a feature;
    /// TC082x no driver, no device, code the driver refuses.
    ///
    /// # Safety
    /// Running the bundle executes the code in it with the rights of this process. Nothing verifies that code:
    /// whoever wrote the file must be trusted like a shared library's author, as with wasmtime's `deserialize`.
    pub unsafe fn load_trusted(bundle: impl Into<Arc<Bundle>>, device: Device) -> Result<Module, Vec<Diagnostic>> {
        let bundle = bundle.into();
        let target = choose_target(&bundle, device)?;
        let features = &bundle.manifest().targets[&target].features;
        let program = match device {
            Device::Cpu => Program::Cpu(CpuProgram::load(&bundle, features)?),
            Device::Cuda(ordinal) => Program::Cuda(CudaProgram::load(&bundle, &target, ordinal)?),
            #[cfg(feature = "sim")]
            Device::Sim => Program::Sim(crate::sim_device::SimProgram::load(&bundle)?),
            #[cfg(not(feature = "sim"))]
            Device::Sim => return Err(vec![no_simulator()]),
        };
        tracing::info!(bundle = bundle.name(), %target, %device, "loaded");
        Ok(Module { inner: Arc::new(Inner { bundle, target, device, program }) })
    }

    /// Loads a bundle after checking that it is the one with this digest ([`Bundle::digest`]), which you got from
    /// a source you trust; the digest covers every byte of code and weights. TC0709 when it is another.
    pub fn load(bundle: impl Into<Arc<Bundle>>, device: Device, digest: &[u8; 32]) -> Result<Module, Vec<Diagnostic>> {
        let bundle = bundle.into();
        if bundle.digest() != *digest {
            let want = blake3::Hash::from_bytes(*digest).to_hex();
            return Err(vec![
                Diagnostic::error("TC0709", format!("`{}` has digest {}", bundle.name(), bundle.digest_hex()))
                    .with_note(format!("expected {want}"))
                    .with_help("this is not the bundle you trust; do not run it"),
            ]);
        }
        // SAFETY: the caller vouches for the digest, and code is hashed against the manifest before it is used.
        unsafe { Module::load_trusted(bundle, device) }
    }

    pub fn bundle(&self) -> &Bundle {
        &self.inner.bundle
    }

    pub fn manifest(&self) -> &Manifest {
        self.inner.bundle.manifest()
    }

    pub fn device(&self) -> Device {
        self.inner.device
    }

    /// Name of the bundle's target in use.
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// Symbol values from input shapes; see [`symbols::infer`].
    pub fn infer(&self, shapes: &[NamedShape], given: &Bindings) -> Result<Bindings, Vec<Diagnostic>> {
        symbols::infer(self.manifest(), shapes, given)
    }

    /// Bytes of workspace a run with these symbol values needs: arena and scratch.
    pub fn workspace_bytes(&self, symbols: &Bindings) -> Result<u64, Vec<Diagnostic>> {
        Ok(self.inner.bound(symbols)?.workspace_bytes)
    }

    /// An instance that binds symbols when it first runs.
    pub fn instance(&self) -> Instance {
        Instance::new(self.inner.clone())
    }

    /// An instance with memory ready for these symbol values.
    pub fn bind(&self, symbols: &Bindings) -> Result<Instance, Vec<Diagnostic>> {
        let mut instance = self.instance();
        instance.bind(symbols)?;
        Ok(instance)
    }
}

#[cfg(not(feature = "sim"))]
fn no_simulator() -> Diagnostic {
    Diagnostic::error("TC0829", "this build has no simulator")
        .with_help("build `tricot-runtime` with the feature `sim`")
}

/// The target whose code runs on the device.
fn choose_target(bundle: &Bundle, device: Device) -> Result<String, Diagnostic> {
    let targets = &bundle.manifest().targets;
    let (found, runs) = match device {
        Device::Cpu => (targets.contains_key("cpu").then(|| "cpu".to_string()), "cpu".to_string()),
        Device::Sim => (targets.contains_key("sm_90a").then(|| "sm_90a".to_string()), "sm_90a".to_string()),
        Device::Cuda(ordinal) => {
            let (major, minor) = crate::cuda::capability(ordinal)?;
            let fits = |t: &&String| crate::cuda::target_fits(t, major, minor);
            (targets.keys().rfind(fits).cloned(), format!("sm_{major}{minor}"))
        }
    };
    found.ok_or_else(|| {
        let have: Vec<_> = targets.keys().map(String::as_str).collect();
        let have = if have.is_empty() { "none".into() } else { have.join(", ") };
        Diagnostic::error("TC0711", format!("`{}` holds no code for {device} ({runs})", bundle.name()))
            .with_note(format!("its targets: {have}"))
            .with_help("build it again with `--target`, or choose another `--device`")
    })
}
