//! Reading what C hands over. Everything that can be checked is checked, and named in the message.
//!
//! Codes: TC0890 a null or misaligned pointer, TC0891 text that is not UTF-8, TC0892 a number that cannot be, TC0893 an
//! index or a buffer that does not fit. A pointer to memory that is not there cannot be told from a good one.

use std::ffi::{CStr, c_char};
use tricot_types::{Bindings, Diagnostic, Symbol};

/// Most dimensions a tensor may have here.
pub const TRICOT_MAX_RANK: usize = 64;

/// TC0892.
pub fn wrong(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("TC0892", message)
}

fn check<T>(pointer: *const T, what: &str) -> Result<(), Diagnostic> {
    if pointer.is_null() {
        return Err(Diagnostic::error("TC0890", format!("`{what}` is null")));
    }
    if !pointer.is_aligned() {
        let message =
            format!("`{what}` is at {:#x}, {}-byte alignment is needed", pointer.addr(), std::mem::align_of::<T>());
        return Err(Diagnostic::error("TC0890", message)
            .with_help("pass the address of an object of the declared type, unchanged"));
    }
    Ok(())
}

/// A handle or structure that is read.
///
/// # Safety
/// `pointer` is null, misaligned or valid for `'a`.
pub unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Diagnostic> {
    check(pointer, what)?;
    // SAFETY: not null, aligned, and valid as the caller promises.
    Ok(unsafe { &*pointer })
}

/// A place for one result. It may be uninitialised, so it is only written to.
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `pointer` is null, misaligned or valid for writing until [`Out::set`].
    pub unsafe fn new(pointer: *mut T, what: &str) -> Result<Out<T>, Diagnostic> {
        check(pointer, what)?;
        Ok(Out(pointer))
    }

    pub fn set(self, value: T) {
        // SAFETY: checked when made.
        unsafe { self.0.write(value) }
    }
}

impl<T> Out<*mut T> {
    /// The same for a handle. It is null until it is set, so that a caller who ignores an error holds nothing.
    ///
    /// # Safety
    /// As [`Out::new`].
    pub unsafe fn handle(pointer: *mut *mut T, what: &str) -> Result<Out<*mut T>, Diagnostic> {
        check(pointer, what)?;
        // SAFETY: not null, aligned, and valid as the caller promises.
        unsafe { pointer.write(std::ptr::null_mut()) };
        Ok(Out(pointer))
    }

    /// Gives the value away to C.
    pub fn give(self, value: T) {
        self.set(Box::into_raw(Box::new(value)))
    }
}

/// `count` values; null is fine where there are none.
///
/// # Safety
/// `pointer` is null, misaligned or valid for `count` values for `'a`.
pub unsafe fn slice<'a, T>(pointer: *const T, count: usize, what: &str) -> Result<&'a [T], Diagnostic> {
    if count == 0 {
        return Ok(&[]);
    }
    check(pointer, what)?;
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(wrong(format!("`{what}` cannot have {count} elements")));
    }
    // SAFETY: not null, aligned, of a possible size, and valid as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// NUL-terminated text. TC0891 when it is not UTF-8.
///
/// # Safety
/// `pointer` is null or a NUL-terminated string that is valid for `'a`.
pub unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Diagnostic> {
    check(pointer, what)?;
    // SAFETY: as the caller promises.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|e| {
        Diagnostic::error("TC0891", format!("`{what}` is not UTF-8 from byte {} on", e.valid_up_to()))
            .with_note(format!("it reads {:?}", bytes.to_string_lossy()))
    })
}

/// A symbol and its value.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TricotBinding {
    /// The symbol's name, NUL-terminated.
    pub name: *const c_char,
    /// Its value.
    pub value: i64,
}

/// Symbol values; a symbol named twice with different values is an error.
///
/// # Safety
/// As [`slice`], and every name is null or valid text.
pub unsafe fn bindings(pointer: *const TricotBinding, count: usize) -> Result<Bindings, Vec<Diagnostic>> {
    let (mut out, mut problems) = (Bindings::new(), vec![]);
    // SAFETY: as the caller promises.
    for (i, binding) in unsafe { slice(pointer, count, "symbols") }?.iter().enumerate() {
        // SAFETY: as the caller promises.
        match unsafe { text(binding.name, &format!("symbols[{i}].name")) } {
            Err(problem) => problems.push(problem),
            Ok(name) => match Symbol::new(name) {
                None => problems.push(Diagnostic::error("TC0805", format!("there is no symbol `{name}`"))),
                Some(symbol) => {
                    let before = out.insert(symbol, binding.value);
                    if before.is_some_and(|v| v != binding.value) {
                        problems.push(wrong(format!("symbol `{name}` is given two values")));
                    }
                }
            },
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

/// Copies values into a caller's array and says how many there are. TC0893 when they do not fit; `count` is set even then.
///
/// # Safety
/// `to` is null, misaligned or valid for writing `capacity` values; `count` as for [`Out::new`].
pub unsafe fn fill<T: Copy>(values: &[T], to: *mut T, capacity: usize, count: *mut usize) -> Result<(), Diagnostic> {
    // SAFETY: as the caller promises.
    unsafe { Out::new(count, "count") }?.set(values.len());
    if values.len() > capacity {
        let message = format!("{} values do not fit into the caller's {capacity}", values.len());
        return Err(Diagnostic::error("TC0893", message).with_help("give an array of `count` elements"));
    }
    if !values.is_empty() {
        check(to, "values")?;
        // SAFETY: not null, aligned, and valid for `capacity` values as the caller promises.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), to, values.len()) };
    }
    Ok(())
}

/// An element by its index. TC0893 when there is none.
pub fn item<'a, T>(items: &'a [T], index: usize, what: &str) -> Result<&'a T, Diagnostic> {
    items.get(index).ok_or_else(|| {
        Diagnostic::error("TC0893", format!("there is no {what} {index}"))
            .with_note(format!("there are {}, numbered from 0", items.len()))
    })
}
