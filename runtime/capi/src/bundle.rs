//! Bundles for C: opened from a path or memory, asked about inputs, outputs, symbols and targets.
//!
//! The central type is [`TricotBundle`]. Opening any bytes is safe; no code of a bundle runs here.

use crate::arguments::{Out, item, reference, slice, text};
use crate::dtype::{TricotDType, to_c};
use crate::error::{TricotError, c_string, guard};
use std::ffi::{CString, c_char};
use std::sync::Arc;
use tricot_plan::{Manifest, Port};
use tricot_runtime::Bundle;
use tricot_types::Poly;

/// An opened bundle: checked, not loaded. Immutable; any number of threads may use it at once.
pub struct TricotBundle {
    pub(crate) bundle: Arc<Bundle>,
    name: CString,
    version: CString,
    inputs: Vec<PortText>,
    outputs: Vec<PortText>,
    symbols: Vec<(CString, tricot_types::SymbolInfo)>,
    targets: Vec<CString>,
}

/// An input or output. The pointers belong to the bundle and live as long as it does.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TricotPort {
    /// Name, NUL-terminated UTF-8.
    pub name: *const c_char,
    /// Element type.
    pub dtype: TricotDType,
    /// Number of dimensions.
    pub rank: usize,
    /// Sizes of the dimensions; -1 for those that depend on symbols.
    pub sizes: *const i64,
    /// Sizes as text, such as `4*s`.
    pub dims: *const *const c_char,
    /// For an output: index of the input whose memory it may share; -1 for none.
    pub alias: i64,
}

/// A symbol and what a value of it must keep. The name belongs to the bundle and lives as long as it does.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TricotSymbol {
    /// Name, NUL-terminated.
    pub name: *const c_char,
    /// Smallest value.
    pub min: i64,
    /// Largest value; `INT64_MAX` where there is no limit.
    pub max: i64,
    /// Every value is a multiple of this.
    pub multiple: i64,
    /// The value that compilation assumed.
    pub hint: i64,
}

/// What [`TricotPort`] points to.
struct PortText {
    name: CString,
    dtype: TricotDType,
    sizes: Vec<i64>,
    /// Points into `_texts`.
    dims: Vec<*const c_char>,
    _texts: Vec<CString>,
    alias: i64,
}

// SAFETY: the pointers lead to strings that the value itself owns and never changes.
unsafe impl Send for PortText {}
// SAFETY: as above.
unsafe impl Sync for PortText {}

impl PortText {
    fn new(port: &Port, manifest: &Manifest) -> PortText {
        let texts: Vec<CString> = port.shape.iter().map(|d| c_string(&d.to_string())).collect();
        let alias = port.alias.as_ref().and_then(|a| manifest.inputs.iter().position(|i| i.name == *a));
        PortText {
            name: c_string(&port.name),
            dtype: to_c(port.dtype),
            sizes: port.shape.iter().map(|d| Poly::as_constant(d).unwrap_or(-1)).collect(),
            dims: texts.iter().map(|t| t.as_ptr()).collect(),
            _texts: texts,
            alias: alias.map_or(-1, |i| i as i64),
        }
    }

    fn view(&self) -> TricotPort {
        TricotPort {
            name: self.name.as_ptr(),
            dtype: self.dtype,
            rank: self.sizes.len(),
            sizes: self.sizes.as_ptr(),
            dims: self.dims.as_ptr(),
            alias: self.alias,
        }
    }
}

impl TricotBundle {
    /// The archive's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bundle.bytes()
    }

    /// The handle of a bundle.
    pub fn new(bundle: Arc<Bundle>) -> TricotBundle {
        let manifest = bundle.manifest();
        TricotBundle {
            name: c_string(&manifest.name),
            version: c_string(&manifest.tricot),
            inputs: manifest.inputs.iter().map(|p| PortText::new(p, manifest)).collect(),
            outputs: manifest.outputs.iter().map(|p| PortText::new(p, manifest)).collect(),
            symbols: manifest.symbols.iter().map(|(s, info)| (c_string(s.name()), info.clone())).collect(),
            targets: manifest.targets.keys().map(|t| c_string(t)).collect(),
            bundle,
        }
    }
}

/// Opens a bundle file and checks it; safe for any bytes. `*bundle` is the caller's, to be freed by `tricot_bundle_free`;
/// null after an error. The file must stay as it is while the bundle or a module of it lives; replacing it by a rename is
/// fine. Any thread.
///
/// # Safety
/// `path` is null or NUL-terminated UTF-8; `bundle` is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_open(path: *const c_char, bundle: *mut *mut TricotBundle) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, path) = unsafe { (Out::handle(bundle, "bundle")?, text(path, "path")?) };
        out.give(TricotBundle::new(Arc::new(Bundle::open(path)?)));
        Ok(())
    })
}

/// The same from memory. The bytes are copied; `bytes` stays the caller's. `name` is for messages. Weights outside the
/// bundle cannot be found from here (`TC0710` when they are needed). Any thread.
///
/// # Safety
/// `name` is null or NUL-terminated UTF-8; `bytes` is null or valid for `count` bytes; `bundle` is null or valid for
/// writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_from_bytes(
    name: *const c_char,
    bytes: *const u8,
    count: usize,
    bundle: *mut *mut TricotBundle,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, name, bytes) =
            unsafe { (Out::handle(bundle, "bundle")?, text(name, "name")?, slice(bytes, count, "bytes")?) };
        out.give(TricotBundle::new(Arc::new(Bundle::from_bytes(name, bytes)?)));
        Ok(())
    })
}

/// Frees a bundle and every pointer got from it; null is fine. Modules of it live on. Once, from any thread.
///
/// # Safety
/// `bundle` is null or a bundle not yet freed, which no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_free(bundle: *mut TricotBundle) {
    if !bundle.is_null() {
        // SAFETY: made by `Out::give`.
        drop(unsafe { Box::from_raw(bundle) });
    }
}

/// Checks every byte of the bundle against the digests in its manifest; otherwise each entry is checked before its first
/// use. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_verify(bundle: *const TricotBundle) -> *mut TricotError {
    // SAFETY: as the caller promises.
    guard(|| unsafe { reference(bundle, "bundle") }?.bundle.verify())
}

/// Writes the bundle's digest, which stands for all its bytes: 32 bytes of blake3, as `tricot inspect` shows them. Any
/// thread.
///
/// # Safety
/// `bundle` is null or a live bundle; `digest` is null or valid for writing 32 bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_digest(bundle: *const TricotBundle, digest: *mut u8) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bundle, out) = unsafe { (reference(bundle, "bundle")?, Out::new(digest.cast::<[u8; 32]>(), "digest")?) };
        out.set(bundle.bundle.digest());
        Ok(())
    })
}

/// The bundle's own bytes, to be stored or sent; `*bytes` belongs to the bundle. Weights that are files beside the bundle
/// are not among them. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle; `bytes` and `count` are null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_bytes(
    bundle: *const TricotBundle,
    bytes: *mut *const u8,
    count: *mut usize,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bundle, start, length) =
            unsafe { (reference(bundle, "bundle")?, Out::new(bytes, "bytes")?, Out::new(count, "count")?) };
        start.set(bundle.bundle.bytes().as_ptr());
        length.set(bundle.bundle.bytes().len());
        Ok(())
    })
}

/// Name of the model. Belongs to the bundle; null when `bundle` is null. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_name(bundle: *const TricotBundle) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { bundle.as_ref() }.map_or(std::ptr::null(), |b| b.name.as_ptr())
}

/// Version of Tricot that wrote the bundle. Belongs to the bundle; null when `bundle` is null. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_version(bundle: *const TricotBundle) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { bundle.as_ref() }.map_or(std::ptr::null(), |b| b.version.as_ptr())
}

/// Number of inputs; 0 when `bundle` is null. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_input_count(bundle: *const TricotBundle) -> usize {
    // SAFETY: as the caller promises.
    unsafe { bundle.as_ref() }.map_or(0, |b| b.inputs.len())
}

/// Number of outputs; 0 when `bundle` is null. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_output_count(bundle: *const TricotBundle) -> usize {
    // SAFETY: as the caller promises.
    unsafe { bundle.as_ref() }.map_or(0, |b| b.outputs.len())
}

/// Number of symbols; 0 when `bundle` is null. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_symbol_count(bundle: *const TricotBundle) -> usize {
    // SAFETY: as the caller promises.
    unsafe { bundle.as_ref() }.map_or(0, |b| b.symbols.len())
}

/// Number of targets the bundle has code for; 0 when `bundle` is null. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_target_count(bundle: *const TricotBundle) -> usize {
    // SAFETY: as the caller promises.
    unsafe { bundle.as_ref() }.map_or(0, |b| b.targets.len())
}

/// Describes an input. `port`'s pointers belong to the bundle. `TC0893` when there is no such input. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle; `port` is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_input(
    bundle: *const TricotBundle,
    index: usize,
    port: *mut TricotPort,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bundle, out) = unsafe { (reference(bundle, "bundle")?, Out::new(port, "port")?) };
        out.set(item(&bundle.inputs, index, "input")?.view());
        Ok(())
    })
}

/// Describes an output. `port`'s pointers belong to the bundle. `TC0893` when there is no such output. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle; `port` is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_output(
    bundle: *const TricotBundle,
    index: usize,
    port: *mut TricotPort,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bundle, out) = unsafe { (reference(bundle, "bundle")?, Out::new(port, "port")?) };
        out.set(item(&bundle.outputs, index, "output")?.view());
        Ok(())
    })
}

/// Describes a symbol; they are in alphabetical order. `symbol->name` belongs to the bundle. `TC0893` when there is no such
/// symbol. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle; `symbol` is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_bundle_symbol(
    bundle: *const TricotBundle,
    index: usize,
    symbol: *mut TricotSymbol,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bundle, out) = unsafe { (reference(bundle, "bundle")?, Out::new(symbol, "symbol")?) };
        let (name, info) = item(&bundle.symbols, index, "symbol")?;
        let (min, max, multiple, hint) = (info.min, info.max, info.multiple, info.hint);
        out.set(TricotSymbol { name: name.as_ptr(), min, max, multiple, hint });
        Ok(())
    })
}

/// Name of a target, `cpu` or `sm_90a`. Belongs to the bundle; null when there is no such target. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bundle_target(bundle: *const TricotBundle, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    let target = unsafe { bundle.as_ref() }.and_then(|b| b.targets.get(index));
    target.map_or(std::ptr::null(), |t| t.as_ptr())
}
