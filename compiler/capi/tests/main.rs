//! The compiler's C interface: bundles from paths and bytes, cancellation, the memory limit, progress, the cache, and a C
//! program that compiles as it runs.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::process::Command;
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use tricot::compile::*;
use tricot::tricot_capi::arguments::TricotBinding;
use tricot::tricot_capi::bundle::*;
use tricot::tricot_capi::error::*;
use tricot::tricot_capi::options::*;

/// A chain of layers: compiling it takes long enough to be interrupted.
fn model(layers: usize) -> CString {
    let mut text = String::from("module @chain\nsymbol n\n\nfunc @main(%x: f32[n, 8], %w: f32[8, 8]) {\n");
    let mut last = "x".to_string();
    for i in 0..layers {
        text += &format!("  %h{i} = core.contract %{last}, %w {{dtype = f32, spec = \"ri,io->ro\"}} : f32[n, 8]\n");
        text += &format!("  %r{i} = core.map %h{i} {{fn = \"relu\"}} : f32[n, 8]\n");
        last = format!("r{i}");
    }
    text += &format!("  return \"y\" = %{last}\n}}\n");
    CString::new(text).unwrap()
}

fn options() -> TricotCompileOptions {
    // SAFETY: zero is the default of every field.
    let zero: TricotCompileOptions = unsafe { std::mem::zeroed() };
    TricotCompileOptions { struct_size: size_of::<TricotCompileOptions>(), ..zero }
}

/// Compiles graph text; the code and message of the error, or the bundle.
fn compile(text: &CStr, options: &TricotCompileOptions) -> Result<*mut TricotBundle, (String, String)> {
    let (bytes, mut bundle) = (text.to_bytes(), null_mut());
    // SAFETY: everything is valid.
    let error =
        unsafe { tricot_compile_bytes(c"chain.tri".as_ptr(), bytes.as_ptr(), bytes.len(), options, &mut bundle) };
    taken(error).map_or(Ok(bundle), |e| {
        assert!(bundle.is_null());
        Err(e)
    })
}

fn taken(error: *mut TricotError) -> Option<(String, String)> {
    if error.is_null() {
        return None;
    }
    // SAFETY: just returned, freed once.
    unsafe {
        let read = |text| CStr::from_ptr(text).to_str().unwrap().to_string();
        let out = (read(tricot_error_code(error)), read(tricot_error_message(error)));
        tricot_error_free(error);
        Some(out)
    }
}

fn digest(bundle: *mut TricotBundle) -> [u8; 32] {
    let mut digest = [0; 32];
    // SAFETY: a live bundle, freed once.
    unsafe {
        assert_eq!(taken(tricot_bundle_digest(bundle, digest.as_mut_ptr())), None);
        tricot_bundle_free(bundle);
    }
    digest
}

#[test]
fn a_path_and_bytes_give_the_same_bundle_in_memory_and_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (file, saved) = (folder.path().join("chain.tri"), folder.path().join("chain.tricot"));
    let text = model(2);
    std::fs::write(&file, text.to_bytes()).unwrap();
    let path = |p: &Path| CString::new(p.to_str().unwrap()).unwrap();
    let (mut bundle, mut bytes, mut count) = (null_mut(), null(), 0);
    // SAFETY: everything is valid.
    let stored = unsafe {
        assert_eq!(taken(tricot_compile_path(path(&file).as_ptr(), null(), &mut bundle)), None);
        assert_eq!(taken(tricot_bundle_save(bundle, path(&saved).as_ptr())), None);
        assert_eq!(taken(tricot_bundle_bytes(bundle, &mut bytes, &mut count)), None);
        std::slice::from_raw_parts(bytes, count).to_vec()
    };
    assert_eq!(std::fs::read(&saved).unwrap(), stored);
    assert_eq!(digest(bundle), digest(compile(&text, &options()).unwrap()));
    // SAFETY: everything is valid.
    let error = taken(unsafe { tricot_compile_path(c"/nonexistent.tri".as_ptr(), null(), &mut bundle) }).unwrap();
    assert!(error.0 == "TC0900" && error.1.contains("/nonexistent.tri"), "{error:?}");
}

#[test]
fn symbols_are_fixed_and_targets_checked() {
    let n = TricotBinding { name: c"n".as_ptr(), value: 6 };
    let bundle = compile(&model(1), &TricotCompileOptions { symbols: &n, symbol_count: 1, ..options() }).unwrap();
    // SAFETY: a live bundle, freed once.
    unsafe {
        assert_eq!(tricot_bundle_symbol_count(bundle), 0);
        let mut port = std::mem::zeroed();
        assert_eq!(taken(tricot_bundle_input(bundle, 0, &mut port)), None);
        assert_eq!(std::slice::from_raw_parts(port.sizes, port.rank), [6, 8]);
        tricot_bundle_free(bundle);
    }
    let code = |o: TricotCompileOptions| compile(&model(1), &o).unwrap_err().0;
    let target = c"tpu".as_ptr();
    assert_eq!(code(TricotCompileOptions { targets: &target, target_count: 1, ..options() }), "TC0930");
    assert_eq!(code(TricotCompileOptions { targets: null(), target_count: 1, ..options() }), "TC0890");
    assert_eq!(code(TricotCompileOptions { struct_size: 1, ..options() }), "TC0892");
    assert_eq!(code(TricotCompileOptions { flags: 1 << 9, ..options() }), "TC0892");
    assert_eq!(code(TricotCompileOptions { max_rel_err: f64::NAN, ..options() }), "TC0892");
    let (error, message) =
        compile(c"func @main(%x: f32[2]) {\n  %y = core.nothing %x : f32[2]\n}\n", &options()).unwrap_err();
    assert!(error.starts_with("TC01") && message.contains("chain.tri:"), "{message}");
}

#[test]
fn ops_of_the_callers_own() {
    let main = c"module @m\nsymbol n\n\nfunc @main(%x: f32[n, 8]) {\n  %y = mylib.twice %x : f32[n, 8]\n  return \"y\" = %y\n}\n";
    assert_eq!(compile(main, &options()).unwrap_err().0, "TC0103");
    let op = c"op @mylib.twice(%x: T[a, b]) {\n  %y = core.map %x, %x {fn = \"add\"} : T[a, b]\n  return \"y\" = %y\n}";
    let other =
        c"op @mylib.twice(%x: T[a, b]) {\n  %y = core.map %x, %x {fn = \"mul\"} : T[a, b]\n  return \"y\" = %y\n}";
    let with = |ops: &CStr| digest(compile(main, &TricotCompileOptions { ops: ops.as_ptr(), ..options() }).unwrap());
    assert!(with(op) == with(op) && with(op) != with(other));
    let broken = TricotCompileOptions { ops: c"op @mylib.twice(%x: f32[n]) {\n}".as_ptr(), ..options() };
    let (code, message) = compile(main, &broken).unwrap_err();
    assert!(code == "TC0101" && message.contains("options.ops:"), "{code}: {message}");
    // The cache tells them apart, too.
    let folder = tempfile::tempdir().unwrap();
    let cache = CString::new(folder.path().to_str().unwrap()).unwrap();
    let cached = |ops: &CStr| {
        let options = TricotCompileOptions { ops: ops.as_ptr(), cache: cache.as_ptr(), ..options() };
        digest(compile(main, &options).unwrap())
    };
    assert_eq!([cached(op), cached(other), cached(op)], [with(op), with(other), with(op)]);
}

static HEARD: Mutex<Vec<String>> = Mutex::new(vec![]);

/// Notes what is being done; sets the cancel flag in `user`, if there is one, when rewriting begins.
unsafe extern "C" fn hear(user: *mut c_void, what: *const c_char) {
    let what = unsafe { CStr::from_ptr(what) }.to_str().unwrap().to_string();
    if what.starts_with("rewriting") && !user.is_null() {
        unsafe { tricot_cancel_set(user.cast()) };
    }
    HEARD.lock().unwrap().push(what);
}

#[test]
fn a_compilation_ends_when_it_is_cancelled_or_holds_too_much() {
    let mut cancel = null_mut();
    // SAFETY: everything is valid.
    assert_eq!(taken(unsafe { tricot_cancel_create(&mut cancel) }), None);
    let listening = TricotCompileOptions { progress: Some(hear), ..options() };
    digest(compile(&model(1), &TricotCompileOptions { cancel, ..listening }).unwrap());
    assert!(HEARD.lock().unwrap().iter().any(|w| w.starts_with("generating code for cpu")));
    let cancelling = TricotCompileOptions { cancel, progress_user: cancel.cast(), ..listening };
    assert_eq!(compile(&model(4), &cancelling).unwrap_err().0, "TC0931");
    // SAFETY: freed once.
    unsafe { tricot_cancel_free(cancel) };

    // From another thread, in the middle: far sooner than the work would take.
    let (large, mut cancel) = (model(3000), null_mut());
    // SAFETY: everything is valid.
    assert_eq!(taken(unsafe { tricot_cancel_create(&mut cancel) }), None);
    let shared = cancel.addr();
    let start = std::time::Instant::now();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(60));
            // SAFETY: the flag is freed after the scope.
            unsafe { tricot_cancel_set(std::ptr::with_exposed_provenance(shared)) };
        });
        compile(&large, &TricotCompileOptions { cancel, ..options() })
    });
    assert_eq!(result.unwrap_err().0, "TC0931");
    assert!(start.elapsed().as_secs() < 20, "it took {:?} to stop", start.elapsed());
    // SAFETY: freed once.
    unsafe { tricot_cancel_free(cancel) };

    let (code, message) = compile(&large, &TricotCompileOptions { memory_limit: 1 << 20, ..options() }).unwrap_err();
    assert!(code == "TC0932" && message.contains("its limit is 1048576 bytes"), "{message}");
    digest(compile(&model(1), &TricotCompileOptions { memory_limit: 1 << 30, ..options() }).unwrap());
}

#[test]
fn the_cache_gives_back_what_was_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let path = CString::new(folder.path().join("cache").to_str().unwrap()).unwrap();
    let cached = TricotCompileOptions { cache: path.as_ptr(), ..options() };
    let first = digest(compile(&model(3), &cached).unwrap());
    assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 1);
    assert_eq!(digest(compile(&model(3), &cached).unwrap()), first);
}

#[test]
fn a_c_program_compiles_as_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let libraries = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let program = folder.path().join("compile");
    let out = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-I"])
        .arg(root.join("include"))
        .arg(root.join("examples/c/compile.c"))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(&libraries)
        .args(["-ltricot", "-lm"])
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .output()
        .expect("cc is there");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // Compiled, from the cache, and without one under valgrind.
    let cached = || {
        let mut run = Command::new(&program);
        run.arg(folder.path().join("cache"));
        run
    };
    let mut runs = vec![cached(), cached()];
    let there = Command::new("valgrind").arg("--version").output().is_ok_and(|o| o.status.success());
    if there || std::env::var_os("TRICOT_REQUIRE_VALGRIND").is_some() {
        let mut run = Command::new("valgrind");
        run.args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
            .args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"])
            .arg(&program);
        runs.push(run);
    } else {
        println!("skipped: valgrind is not installed");
    }
    for mut run in runs {
        // Cargo's names a folder where an older library may lie.
        let out = run.env_remove("LD_LIBRARY_PATH").output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(
            out.status.success() && text.contains("relative error "),
            "{text}{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}
