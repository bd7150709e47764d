//! Compiling for C: a model's path or bytes in, a bundle out.

use crate::memory;
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;
use tricot_capi::arguments::{Out, TricotBinding, bindings, reference, slice, text, wrong};
use tricot_capi::bundle::TricotBundle;
use tricot_capi::error::{TricotError, c_string, guard};
use tricot_capi::options::{TricotCancel, check_size};
use tricot_compiler::{Cache, Compiler, Options, Report, Source, cache, dump, error};
use tricot_dialects::OpSet;
use tricot_kernel::Backend;
use tricot_runtime::Bundle;
use tricot_types::stop::{Stop, within};
use tricot_types::{Bindings, Diagnostic};

/// Use every feature of this machine's processor; the bundle may not run on another.
pub const TRICOT_COMPILE_NATIVE_CPU: u32 = 1;
/// Use no Winograd transform. By default those are used that pay within the error budget.
pub const TRICOT_COMPILE_NO_WINOGRAD: u32 = 2;

/// Hears what is being done, such as `rewriting for cpu`. The string is valid during the call only. It is called on the
/// thread that compiles. It must not call Tricot, except to set a cancel flag, and must not throw or jump out.
pub type TricotProgressCallback = Option<unsafe extern "C" fn(user: *mut c_void, what: *const c_char)>;

/// How a model is compiled. Set all of it to zero first, then `struct_size`; zero is the default of every field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TricotCompileOptions {
    /// `sizeof(TricotCompileOptions)`.
    pub struct_size: usize,
    /// `TRICOT_COMPILE_` flags, or 0.
    pub flags: u32,
    /// Names of targets, `cpu` and `sm_90a` (the latter where the library was built with it); `cpu` where there are none.
    pub targets: *const *const c_char,
    /// Number of targets.
    pub target_count: usize,
    /// Symbols fixed at compile time; they are gone from the bundle.
    pub symbols: *const TricotBinding,
    /// Number of symbols.
    pub symbol_count: usize,
    /// Paths of safetensors files that graph text refers to.
    pub weights: *const *const c_char,
    /// Number of weight files.
    pub weight_count: usize,
    /// Error budget beyond the model's own rounding, relative L2; 0 allows no lossy choice.
    pub max_rel_err: f64,
    /// Most bytes the compilation may hold, 0 for any number. What is counted is all memory that this library allocates
    /// in the meantime, other threads' work included, but not LLVM's. It is looked at often, not at every allocation: a single
    /// step may go beyond for a moment. Above it the compilation ends with `TC0932`.
    pub memory_limit: u64,
    /// Ends the compilation with `TC0931` when it is set; null for none. May be freed as soon as the call is under way.
    pub cancel: *const TricotCancel,
    /// Hears what is being done; null for none.
    pub progress: TricotProgressCallback,
    /// Handed to `progress`.
    pub progress_user: *mut c_void,
    /// Folder of compiled bundles, looked up before and added to after compiling; null for none. It is made if need be and must
    /// be the user's own. Any number of processes may share it.
    pub cache: *const c_char,
    /// Most bytes of bundles the folder keeps, 0 for 4 GiB. Those used longest ago go first.
    pub cache_limit: u64,
    /// Declarations of ops that the model may use, as graph text (`op @dialect.name(…) { … }`, with kernels where there are any);
    /// null for none. A node `name` of the ONNX domain `dialect` is a call of such an op.
    pub ops: *const c_char,
}

/// What C asked for, read and checked.
struct Request {
    options: Options,
    symbols: Bindings,
    weights: Vec<std::path::PathBuf>,
    library: OpSet,
    stop: Stop,
    progress: TricotProgressCallback,
    progress_user: *mut c_void,
    cache: Option<Cache>,
}

/// # Safety
/// `pointer` is null, misaligned or valid for `count` strings, each null or NUL-terminated.
unsafe fn texts<'a>(pointer: *const *const c_char, count: usize, what: &str) -> Result<Vec<&'a str>, Diagnostic> {
    // SAFETY: as the caller promises.
    let list = unsafe { slice(pointer, count, what) }?;
    // SAFETY: as the caller promises.
    list.iter().enumerate().map(|(i, t)| unsafe { text(*t, &format!("{what}[{i}]")) }).collect()
}

/// # Safety
/// `options` is null or valid for reading, with pointers that are null or valid as its fields say.
unsafe fn read(options: *const TricotCompileOptions) -> Result<Request, Vec<Diagnostic>> {
    let mut request = Request {
        options: Options::default(),
        symbols: Bindings::new(),
        weights: vec![],
        library: OpSet::default(),
        stop: Stop::new(|| None),
        progress: None,
        progress_user: std::ptr::null_mut(),
        cache: None,
    };
    if options.is_null() {
        return Ok(request);
    }
    // SAFETY: as the caller promises.
    let given = unsafe { reference(options, "options") }?;
    check_size::<TricotCompileOptions>(given.struct_size, "options")?;
    let known = TRICOT_COMPILE_NATIVE_CPU | TRICOT_COMPILE_NO_WINOGRAD;
    if given.flags & !known != 0 {
        return Err(vec![wrong(format!("`options.flags` is {:#x}, flags are {known:#x}", given.flags))]);
    }
    if !(given.max_rel_err >= 0.0) {
        return Err(vec![wrong(format!("`options.max_rel_err` is {}, it must be 0 or more", given.max_rel_err))]);
    }
    // SAFETY: as the caller promises.
    unsafe {
        let targets = texts(given.targets, given.target_count, "options.targets")?;
        if !targets.is_empty() {
            request.options.targets = targets.into_iter().map(str::to_string).collect();
        }
        request.symbols = bindings(given.symbols, given.symbol_count)?;
        let weights = texts(given.weights, given.weight_count, "options.weights")?;
        request.weights = weights.into_iter().map(Into::into).collect();
        if !given.ops.is_null() {
            let declarations = text(given.ops, "options.ops")?;
            request.library = tricot_dialects::text::parse_ops("options.ops", declarations, &OpSet::default())?;
        }
        if !given.cache.is_null() {
            let limit = if given.cache_limit == 0 { cache::DEFAULT_LIMIT } else { given.cache_limit };
            request.cache = Some(Cache::open(text(given.cache, "options.cache")?, limit)?);
        }
        let cancel = match given.cancel.is_null() {
            true => None,
            false => Some(reference(given.cancel, "options.cancel")?.cancel.clone()),
        };
        let (limit, start) = (given.memory_limit, memory::live());
        request.stop = Stop::new(move || {
            if cancel.as_ref().is_some_and(|c| c.is_cancelled()) {
                return Some(Diagnostic::error("TC0931", "the compilation was cancelled"));
            }
            let held = memory::live().saturating_sub(start);
            (limit != 0 && held > limit).then(|| {
                Diagnostic::error("TC0932", format!("the compilation holds {held} bytes of memory"))
                    .with_note(format!("its limit is {limit} bytes"))
                    .with_help("raise `memory_limit`, fix symbols, or compile a smaller model")
            })
        });
    }
    request.options.max_rel_err = given.max_rel_err;
    request.options.native_cpu = given.flags & TRICOT_COMPILE_NATIVE_CPU != 0;
    if given.flags & TRICOT_COMPILE_NO_WINOGRAD != 0 {
        request.options.winograd = tricot_rewrite::Winograd::Off;
    }
    (request.progress, request.progress_user) = (given.progress, given.progress_user);
    Ok(request)
}

fn backends() -> Vec<Box<dyn Backend>> {
    #[allow(unused_mut, reason = "more backends join by feature")]
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(tricot_cpu::CpuBackend)];
    #[cfg(feature = "sm90")]
    backends.push(Box::new(tricot_codegen::Sm90Backend));
    backends
}

/// The bundle of the model that `load` reads.
fn compile(
    request: Request,
    name: &str,
    load: impl FnOnce(&Source, &Bindings) -> Result<tricot_dialects::Module, Vec<Diagnostic>>,
) -> Result<TricotBundle, Vec<Diagnostic>> {
    let Request { options, symbols, weights, library, stop, progress, progress_user, cache } = request;
    let say = |what: &str| {
        hear(progress, progress_user, what);
        tricot_types::stop::check();
    };
    let source = Source { path: name.into(), weights, library };
    let bundle = within(stop, || {
        error::guard(
            "compile",
            || format!("compiling {name}\n"),
            || {
                let compiler = Compiler::new(options, backends())?;
                say("reading the model");
                let graph = load(&source, &symbols)?;
                let mut report = Report::default();
                match &cache {
                    Some(cache) => Ok(compiler.compile_cached(graph, cache, &mut report, &say)?.bundle),
                    None => {
                        let bytes = compiler.compile(graph, &mut report, &say)?.bundle_bytes()?;
                        Bundle::from_bytes(name, &bytes)
                    }
                }
            },
        )
    })?;
    Ok(TricotBundle::new(Arc::new(bundle)))
}

fn hear(progress: TricotProgressCallback, user: *mut c_void, what: &str) {
    if let Some(callback) = progress {
        let what = c_string(what);
        // SAFETY: the caller gave this function for this purpose; the string lives until it returns.
        unsafe { callback(user, what.as_ptr()) };
    }
}

/// Compiles a model file: ONNX (`*.onnx`) or graph text. `options` may be null. `*bundle` is the caller's, to be freed by
/// `tricot_bundle_free`; null after an error. Nothing is written but the cache, where one is given. Any thread.
///
/// # Safety
/// `path` is null or NUL-terminated UTF-8; `options` is null or valid as its fields say; `bundle` is null or valid for
/// writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_compile_path(
    path: *const c_char,
    options: *const TricotCompileOptions,
    bundle: *mut *mut TricotBundle,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, path, request) = unsafe { (Out::handle(bundle, "bundle")?, text(path, "path")?, read(options)?) };
        out.give(compile(request, path, |source, symbols| source.load_at(symbols))?);
        Ok(())
    })
}

/// The same for a model in memory; `bytes` stays the caller's. It is ONNX if `name` ends in `.onnx`, else graph text; apart from
/// that the name is for messages. Any thread.
///
/// # Safety
/// `name` is null or NUL-terminated UTF-8; `bytes` is null or valid for `count` bytes; the others as for
/// `tricot_compile_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_compile_bytes(
    name: *const c_char,
    bytes: *const u8,
    count: usize,
    options: *const TricotCompileOptions,
    bundle: *mut *mut TricotBundle,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, name, bytes, request) = unsafe {
            (Out::handle(bundle, "bundle")?, text(name, "name")?, slice(bytes, count, "bytes")?, read(options)?)
        };
        out.give(compile(request, name, |source, symbols| source.load_bytes(bytes, symbols))?);
        Ok(())
    })
}

/// Writes a bundle to a file, whole or not at all; an older file is replaced in one step. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle; `path` is null or NUL-terminated UTF-8.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_save(bundle: *const TricotBundle, path: *const c_char) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bundle, path) = unsafe { (reference(bundle, "bundle")?, text(path, "path")?) };
        Ok(dump::write_whole(Path::new(path), bundle.bytes())?)
    })
}
