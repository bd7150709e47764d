//! The cache under several real processes, damage, and its limit.

use super::*;
use crate::{Compiler, Options, Report};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use tricot_dialects::Module;

/// `y = x * factor` for any number of rows.
fn model(factor: f64) -> Module {
    let mut module = Module::new("m");
    let n = tricot_types::Symbol::new("n").unwrap();
    module.symbols.insert(n.clone(), Default::default());
    tricot_dialects::builder::build_main(&mut module, |b| {
        let shape = [tricot_types::Poly::symbol(n), 4.into()];
        let x = b.input("x", tricot_dialects::TensorType::new(tricot_types::DType::F32, shape));
        let w = b.constant(tricot_dialects::Constant::from_f64(tricot_types::DType::F32, vec![4], &[factor; 4]))?;
        let y = b.contract("ri,i->ri", &[x, w], tricot_types::DType::F32)?;
        b.output("y", y);
        Ok(())
    })
    .unwrap();
    module
}

fn compiler() -> Compiler {
    Compiler::new(Options::default(), vec![Box::new(tricot_cpu::CpuBackend)]).unwrap_or_else(|p| panic!("{}", p[0]))
}

fn compiled(factor: f64) -> Vec<u8> {
    compiler().compile(model(factor), &mut Report::default(), &|_| {}).unwrap().bundle_bytes().unwrap()
}

fn get(cache: &Cache, factor: f64) -> Cached {
    compiler()
        .compile_cached(model(factor), cache, &mut Report::default(), &|_| {})
        .unwrap_or_else(|p| panic!("{}", p[0]))
}

fn names(folder: &Path, extension: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.filter(|p| p.extension().is_some_and(|e| e == extension)).collect()
}

/// What other processes are told by the environment.
const FOLDER: &str = "TRICOT_TEST_CACHE_FOLDER";
const ROLE: &str = "TRICOT_TEST_CACHE_ROLE";

/// Another process of this test program, in `child` below.
fn spawn(folder: &Path, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cache::tests::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The part of another process; nothing when run as a test.
#[test]
fn child() {
    let (Some(folder), Ok(role)) = (std::env::var_os(FOLDER), std::env::var(ROLE)) else { return };
    let folder = PathBuf::from(folder);
    let cache = Cache::open(&folder, 1 << 30).unwrap();
    match role.as_str() {
        // Compiles slowly enough for all the others to come; each compilation leaves a line.
        "compile" => {
            let made = cache.get_or_make("shared", || {
                let mut log = File::options().create(true).append(true).open(folder.join("compilations")).unwrap();
                log.write_all(b"compiled\n").unwrap();
                std::thread::sleep(Duration::from_millis(300));
                Ok(compiled(3.0))
            });
            println!("digest {}", made.unwrap().bundle.digest_hex());
        }
        // Takes the lock and hangs, to be killed.
        "hang" => {
            let _ = cache.get_or_make("shared", || {
                println!("holding");
                std::io::stdout().flush().unwrap();
                std::thread::sleep(Duration::from_secs(600));
                unreachable!("it is killed long before")
            });
        }
        // Many entries in a folder with room for few, against other processes that do the same.
        "churn" => {
            let room = compiled(1.0).len() as u64 * 5 / 2;
            let cache = Cache::open(&folder, room).unwrap();
            for round in 0..20 {
                let factor = f64::from(round % 5 + 1);
                let want = Bundle::from_bytes("want", &compiled(factor)).unwrap().digest();
                assert_eq!(get(&cache, factor).bundle.digest(), want);
            }
            println!("digest ok");
        }
        other => panic!("no role {other}"),
    }
}

fn digest(child: Child) -> String {
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}");
    let line = text.lines().find_map(|l| l.split_once("digest ")).unwrap_or_else(|| panic!("{text}"));
    line.1.to_string()
}

#[test]
fn many_processes_compile_the_same_once() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..6).map(|_| spawn(folder.path(), "compile")).collect();
    let digests: BTreeSet<String> = children.into_iter().map(digest).collect();
    let want = Bundle::from_bytes("want", &compiled(3.0)).unwrap().digest_hex();
    assert_eq!(digests, BTreeSet::from([want]));
    assert_eq!(fs::read_to_string(folder.path().join("compilations")).unwrap(), "compiled\n");
    assert!(names(folder.path(), "lock").is_empty(), "a lock was left behind");
}

#[test]
fn the_lock_of_a_killed_process_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut hanging = spawn(folder.path(), "hang");
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(hanging.stdout.take().unwrap());
    while !line.contains("holding") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut reader, &mut line).unwrap() > 0, "it ended early");
    }
    let waiting = spawn(folder.path(), "compile");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!folder.path().join("compilations").exists(), "it did not wait for the holder");
    hanging.kill().unwrap();
    hanging.wait().unwrap();
    let start = std::time::Instant::now();
    digest(waiting);
    assert!(start.elapsed() < Duration::from_secs(60), "it waited for a dead process");
}

#[test]
fn processes_that_evict_each_others_entries_get_right_bundles() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..4).map(|_| spawn(folder.path(), "churn")).collect();
    children.into_iter().map(digest).for_each(|d| assert_eq!(d, "ok"));
    let bytes: u64 = names(folder.path(), "tricot").iter().map(|p| p.metadata().unwrap().len()).sum();
    assert!(bytes <= compiled(1.0).len() as u64 * 5 / 2 + 1024, "{bytes} bytes are over the limit");
}

#[test]
fn a_damaged_entry_is_a_miss_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), 1 << 30).unwrap();
    assert!(!get(&cache, 2.0).hit);
    let path = names(folder.path(), "tricot").pop_first().unwrap();
    let good = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let at = good.windows(4).position(|w| w == 2f32.to_le_bytes()).expect("the weight is in the bundle");
    for bytes in [flipped(at), flipped(5), good[..good.len() / 2].to_vec(), vec![], b"not a bundle".to_vec()] {
        fs::write(&path, bytes).unwrap();
        assert!(cache.lookup(path.file_stem().unwrap().to_str().unwrap()).is_none() && !path.exists());
        assert!(!get(&cache, 2.0).hit);
        assert_eq!(fs::read(&path).unwrap(), good);
        assert!(get(&cache, 2.0).hit);
    }
}

#[test]
fn what_was_not_used_longest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), compiled(1.0).len() as u64 * 5 / 2).unwrap();
    let wait = || std::thread::sleep(Duration::from_millis(20));
    let hit = |factor| cache.lookup(&compiler().cache_key(&model(factor))).is_some();
    get(&cache, 1.0);
    wait();
    get(&cache, 2.0);
    wait();
    assert!(get(&cache, 1.0).hit);
    wait();
    get(&cache, 3.0);
    assert_eq!((hit(2.0), hit(1.0), hit(3.0)), (false, true, true));
    // What is larger than the cache is not kept, and costs nothing else its place.
    let small = Cache::open(folder.path(), 10).unwrap();
    assert!(!get(&small, 4.0).hit && !hit(4.0) && hit(3.0));
}

#[test]
fn the_key_is_of_all_that_decides() {
    struct Other(&'static str);
    impl tricot_kernel::Backend for Other {
        fn name(&self) -> &'static str {
            "cpu"
        }
        fn fingerprint(&self, _: &tricot_kernel::CompileOptions) -> String {
            self.0.into()
        }
        fn compile(
            &self,
            _: &[tricot_kernel::KernelDesc],
            _: &tricot_kernel::CompileOptions,
        ) -> Result<tricot_kernel::CompiledTarget, Vec<Diagnostic>> {
            unreachable!("only keys are asked for")
        }
    }
    let with = |options: Options, machine| {
        Compiler::new(options, vec![Box::new(Other(machine))]).unwrap_or_else(|p| panic!("{}", p[0]))
    };
    let plain = || with(Options::default(), "a");
    let bound = [(tricot_types::Symbol::new("n").unwrap(), 8)].into();
    let mut wider = model(1.0);
    wider.symbols.values_mut().for_each(|info| info.max = 100);
    let keys = [
        plain().cache_key(&model(1.0)),
        plain().cache_key(&model(1.5)),
        plain().cache_key(&wider),
        with(Options::default(), "b").cache_key(&model(1.0)),
        with(Options { max_rel_err: 1e-3, ..Options::default() }, "a").cache_key(&model(1.0)),
        with(Options { native_cpu: true, ..Options::default() }, "a").cache_key(&model(1.0)),
        with(Options { buckets: vec![bound], ..Options::default() }, "a").cache_key(&model(1.0)),
        with(Options { winograd: tricot_rewrite::Winograd::Off, ..Options::default() }, "a").cache_key(&model(1.0)),
    ];
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{keys:?}");
    assert_eq!(keys[0], plain().cache_key(&model(1.0)));
}

#[test]
#[cfg(unix)]
fn a_folder_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let problem = Cache::open(folder.path(), 1).unwrap_err();
    assert!(problem.code == "TC0941" && problem.notes[0].contains("777"), "{problem}");
    fs::write(folder.path().join("file"), "").unwrap();
    assert_eq!(Cache::open(folder.path().join("file"), 1).unwrap_err().code, "TC0940");
}
