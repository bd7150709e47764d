//! The `cuda` device, with small kernels from `fixtures/` (assembled by ptxas 13.3 for sm_90a).
//!
//! Without a driver or device every test prints `skipped`. The same tests run against a fake driver in
//! [`super::fake_cuda`]. To run on another machine, carry the test binary there: `main cuda:: --nocapture`.

use crate::support::*;
use cudarc::driver::sys;
use tricot_runtime::cuda::{Context, CudaMemory, Stream};
use tricot_runtime::plan::{GpuLaunch, How, Manifest, Param, Plan, Step, Storage, Swizzle, TensorMap};
use tricot_runtime::*;

macro_rules! fixture {
    ($name:literal) => {
        (concat!("sm_90a/", $name), include_bytes!(concat!("fixtures/", $name)).to_vec())
    };
}

/// Whether there is a device these kernels run on; says why not.
fn device() -> bool {
    match tricot_runtime::cuda::probe() {
        Ok(devices) if devices.first().is_some_and(|d| d.capability == (9, 0)) => true,
        Ok(devices) => {
            println!("skipped: no sm_90 device, found {devices:?}");
            false
        }
        Err(d) => {
            println!("skipped: no CUDA driver: {d}");
            false
        }
    }
}

fn gpu(grid: &str, block: u32, params: Vec<Param>) -> GpuLaunch {
    GpuLaunch {
        entry: String::new(),
        grid: [poly(grid), poly("1"), poly("1")],
        block: [block, 1, 1],
        cluster: [1, 1, 1],
        shared_bytes: 0,
        params,
        scratch: poly("0"),
        zero_scratch: false,
        min_assembler: "13.3".into(),
    }
}

/// t = a*x + 1, y = t through TMA, r = cluster ranks, c = threads counted in zeroed scratch, z = x (may share it).
pub fn model() -> Manifest {
    let rows = ["n", "64"];
    let map = TensorMap {
        buffer: 0,
        offset: poly("0"),
        dtype: DType::F32,
        dims: shape(&["64", "rows"]),
        strides: shape(&["256"]),
        tile: vec![64, 8],
        swizzle: Swizzle::None,
    };
    let tma = GpuLaunch {
        shared_bytes: 65536,
        ..gpu("(rows + 7) floordiv 8", 64, vec![Param::TensorMap(map), Param::Buffer(1), Param::Symbol(0)])
    };
    let cluster = GpuLaunch { cluster: [2, 1, 1], ..gpu("4", 32, vec![Param::Buffer(0)]) };
    let count = GpuLaunch {
        scratch: poly("4"),
        zero_scratch: true,
        ..gpu("n", 64, vec![Param::Scratch, Param::Buffer(0), Param::Value(poly("64*n"))])
    };
    let axpy_params = vec![Param::Buffer(0), Param::Buffer(1), Param::Buffer(2), Param::Symbol(0)];
    let plan = Plan {
        symbols: Default::default(),
        buffers: vec![
            buffer("x", &rows, Storage::Input(0)),
            buffer("a", &["1"], Storage::Weight("weights/a".into())),
            buffer("t", &rows, arena("256")),
            buffer("y", &rows, Storage::Output(0)),
            buffer("r", &["4"], Storage::Output(1)),
            buffer("c", &["1"], Storage::Output(2)),
            buffer("z", &rows, Storage::Output(3)),
        ],
        arena_bytes: poly("256*n + 256"),
        steps: vec![
            launch("axpy", &[0, 1, 2], &[("m", "64*n")], How::Gpu(gpu("(m + 255) floordiv 256", 256, axpy_params))),
            launch("tma_copy", &[2, 3], &[("rows", "n")], How::Gpu(tma)),
            launch("cluster", &[4], &[], How::Gpu(cluster)),
            launch("count", &[5], &[], How::Gpu(count)),
            copy(0, 6, "256*n"),
        ],
    };
    let mut z = port("z", &rows);
    z.alias = Some("x".into());
    let outputs = vec![port("y", &rows), port("r", &["4"]), port("c", &["1"]), z];
    manifest("sm_90a", &[("n", info(1, i64::MAX, 1))], vec![port("x", &rows)], outputs, vec![plan])
}

const A: f32 = -1.75;

pub fn entries() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        fixture!("axpy.cubin"),
        fixture!("tma_copy.cubin"),
        fixture!("cluster.cubin"),
        fixture!("count.cubin"),
        ("weights/a", bytes_of(&[A])),
    ]
}

fn load_with(mut m: Manifest, entries: &[(&str, Vec<u8>)]) -> Result<Module, Vec<Diagnostic>> {
    let bundle = open(&mut m, entries);
    let digest = bundle.digest();
    Module::load(bundle, Device::Cuda(0), &digest)
}

fn load() -> Module {
    load_with(model(), &entries()).unwrap_or_else(|e| panic!("{}", text(&e)))
}

/// y, r, c, z for x.
fn reference(x: &[f32]) -> [Vec<f32>; 4] {
    let y = x.iter().map(|x| A.mul_add(*x, 1.0)).collect();
    [y, vec![2.0, 12.0, 2.0, 12.0], vec![x.len() as f32], x.to_vec()]
}

#[test]
fn host_tensors_run_and_replay() {
    if !device() {
        return;
    }
    let mut instance = load().instance();
    let sizes = [(1, 5u64), (2, 5), (3, 5), (4, 1000), (5, 5), (6, 1000), (7, 1000), (8, 1)];
    let mut replayed = vec![];
    for (seed, n) in sizes {
        let x = random(seed, 64 * n as usize);
        let options = RunOptions { timing: Timing::Run, ..RunOptions::default() };
        let run = instance.run(&[("x", &tensor(&[n, 64], &x))], &options);
        let (outputs, report) = run.unwrap_or_else(|e| panic!("{}", text(&e)));
        for (output, expected) in outputs.iter().zip(reference(&x)) {
            assert_eq!(output.as_slice::<f32>().unwrap(), expected, "n = {n}");
        }
        assert!(report.total.is_some());
        replayed.push(report.replayed);
    }
    // 5 is plain, then replays; 1000 needs a bigger arena, which forgets the graphs of 5.
    assert_eq!(replayed, [false, true, true, false, false, true, true, false]);

    let x = random(9, 320);
    let steps = RunOptions { timing: Timing::Steps, ..RunOptions::default() };
    let (_, report) = instance.run(&[("x", &tensor(&[5, 64], &x))], &steps).unwrap();
    let names: Vec<_> = report.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["axpy", "tma_copy", "cluster", "count", "copy"]);
    println!("steps: {:?}", report.steps);
}

/// Device tensors of one run: x, y, r, c, z.
struct Tensors(Vec<CudaMemory>, u64);

impl Tensors {
    fn new(context: &std::sync::Arc<Context>, n: u64) -> Tensors {
        let sizes = [256 * n, 256 * n, 16, 4, 256 * n];
        Tensors(sizes.iter().map(|b| CudaMemory::allocate(context, *b, "a test").unwrap()).collect(), n)
    }
    /// Poisons the outputs and sets x.
    fn fill(&self, x: &[f32]) {
        self.0.iter().for_each(|m| m.upload(0, &vec![0xff; m.bytes() as usize]).unwrap());
        self.0[0].upload(0, &bytes_of(x)).unwrap();
    }
    fn refs(&self) -> (Vec<TensorRef>, Vec<TensorRef>) {
        let rows = vec![self.1, 64];
        let shapes = [rows.clone(), rows.clone(), vec![4], vec![1], rows];
        let all =
            self.0.iter().zip(shapes).map(|(m, shape)| TensorRef { pointer: m.pointer(), dtype: DType::F32, shape });
        let mut all: Vec<_> = all.collect();
        let outputs = all.split_off(1);
        (all, outputs)
    }
    fn check(&self, x: &[f32]) {
        for (i, (memory, expected)) in self.0[1..].iter().zip(reference(x)).enumerate() {
            let mut bytes = vec![0; memory.bytes() as usize];
            memory.download(0, &mut bytes).unwrap();
            let got: Vec<f32> = bytes.chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
            assert_eq!(got, expected, "output {i}");
        }
    }
}

#[test]
fn changed_pointers_patch_the_graph() {
    if !device() {
        return;
    }
    let context = Context::of(0).unwrap();
    let module = load();
    let n = 37;
    let sets: Vec<_> = (0..7).map(|_| Tensors::new(&context, n)).collect();
    let symbols = bindings(&[("n", n as i64)]);
    let workspace = CudaMemory::allocate(&context, module.workspace_bytes(&symbols).unwrap(), "workspace").unwrap();
    let stream = Stream::new(&context).unwrap();
    let mut instance = module.instance();
    // SAFETY: all memory outlives the runs.
    unsafe { instance.set_workspace(workspace.pointer(), workspace.bytes()).unwrap() };
    let options = RunOptions { stream: Some(stream.raw()), synchronize: false, ..RunOptions::default() };
    let mut replayed = vec![];
    // Two sets alternate (each gets its graph), then new ones come (the oldest graph is patched or captured again).
    for (round, set) in [0, 1, 0, 1, 0, 2, 3, 4, 5, 6, 0, 6, 1].into_iter().enumerate() {
        let x = random(100 + round as u64, 64 * n as usize);
        sets[set].fill(&x);
        let (inputs, outputs) = sets[set].refs();
        // SAFETY: all memory outlives the runs.
        let report = unsafe { instance.run_at(&inputs, &outputs, &options) }.unwrap_or_else(|e| panic!("{}", text(&e)));
        stream.synchronize().unwrap();
        sets[set].check(&x);
        replayed.push(report.replayed);
    }
    assert!(!replayed[0]);
    assert!(replayed[1..].iter().all(|r| *r), "{replayed:?}");

    // z may share x's memory, and then the copy is dropped from the graph.
    let x = random(1, 64 * n as usize);
    for _ in 0..3 {
        sets[0].fill(&x);
        let (inputs, mut outputs) = sets[0].refs();
        outputs[3].pointer = inputs[0].pointer;
        // SAFETY: as above.
        unsafe { instance.run_at(&inputs, &outputs, &options) }.unwrap_or_else(|e| panic!("{}", text(&e)));
        stream.synchronize().unwrap();
        let mut z = vec![0; x.len() * 4];
        sets[0].0[0].download(0, &mut z).unwrap();
        assert_eq!(z, bytes_of(&x));
    }
}

/// A plan without copies: every changed pointer is patched in place.
#[test]
fn kernels_alone_are_patched_in_place() {
    if !device() {
        return;
    }
    let mut m = model();
    let plan = &mut m.targets.get_mut("sm_90a").unwrap().variants[0];
    plan.steps.truncate(4);
    let module = load_with(m, &entries()).unwrap_or_else(|e| panic!("{}", text(&e)));
    let context = Context::of(0).unwrap();
    let sets: Vec<_> = (0..4).map(|_| Tensors::new(&context, 9)).collect();
    let mut instance = module.instance();
    for (round, set) in [0, 1, 2, 3, 2].into_iter().enumerate() {
        let x = random(round as u64 + 5, 64 * 9);
        sets[set].fill(&x);
        sets[set].0[4].upload(0, &bytes_of(&x)).unwrap();
        let (inputs, outputs) = sets[set].refs();
        // SAFETY: all memory outlives the runs.
        let report = unsafe { instance.run_at(&inputs, &outputs, &RunOptions::default()) };
        assert_eq!(report.unwrap_or_else(|e| panic!("{}", text(&e))).replayed, round > 0);
        sets[set].check(&x);
    }
}

#[test]
fn a_capturing_stream_gets_plain_launches() {
    if !device() {
        return;
    }
    let context = Context::of(0).unwrap();
    let module = load();
    let tensors = Tensors::new(&context, 12);
    let x = random(3, 64 * 12);
    tensors.fill(&x);
    let (inputs, outputs) = tensors.refs();
    let mut instance = module.bind(&bindings(&[("n", 12)])).unwrap_or_else(|e| panic!("{}", text(&e)));
    let stream = Stream::new(&context).unwrap();
    let raw = stream.raw() as sys::CUstream;
    let options = RunOptions { stream: Some(stream.raw()), synchronize: true, ..RunOptions::default() };
    let ok = |r: sys::CUresult| assert_eq!(r, sys::CUresult::CUDA_SUCCESS);
    // SAFETY: plain driver calls on live handles; the primary context is current, as a caller's own would be.
    unsafe {
        let (mut primary, mut graph, mut exec) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        ok(sys::cuDevicePrimaryCtxRetain(&mut primary, 0));
        ok(sys::cuCtxPushCurrent_v2(primary));
        ok(sys::cuStreamBeginCapture_v2(raw, sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        let report = instance.run_at(&inputs, &outputs, &options).unwrap_or_else(|e| panic!("{}", text(&e)));
        assert!(!report.replayed);
        ok(sys::cuStreamEndCapture(raw, &mut graph));
        let mut before = [0u8; 4];
        tensors.0[3].download(0, &mut before).unwrap();
        assert_eq!(before, [0xff; 4], "nothing may run while the caller captures");
        ok(sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        for _ in 0..2 {
            tensors.fill(&x);
            ok(sys::cuGraphLaunch(exec, raw));
            stream.synchronize().unwrap();
            tensors.check(&x);
        }
        ok(sys::cuGraphExecDestroy(exec));
        ok(sys::cuGraphDestroy(graph));
        ok(sys::cuCtxPopCurrent_v2(&mut primary));
        ok(sys::cuDevicePrimaryCtxRelease_v2(0));
    }
}

#[test]
fn refusals_are_coded() {
    if !device() {
        return;
    }
    let fail = |m: Manifest, entries: &[(&str, Vec<u8>)]| load_with(m, entries).err().expect("it must be refused");
    // Code the driver cannot load, or without the entry point.
    let mut broken = entries();
    broken[0].1 = b"no cubin at all".to_vec();
    broken[1].1 = broken[2].1.clone();
    let problems = fail(model(), &broken);
    assert_eq!(codes(&problems), ["TC0825", "TC0825"], "{}", text(&problems));
    assert!(text(&problems).contains("axpy") && text(&problems).contains("tma_copy"));

    // Parameters that do not match the code.
    let mut m = model();
    if let Step::Launch(l) = &mut m.targets.get_mut("sm_90a").unwrap().variants[0].steps[2] {
        let How::Gpu(gpu) = &mut l.how else { unreachable!() };
        gpu.params.push(Param::Buffer(0));
    }
    let problems = fail(m, &entries());
    assert_eq!(codes(&problems), ["TC0825"], "{}", text(&problems));

    // A device that is not there.
    let bundle = open(&mut model(), &entries());
    let digest = bundle.digest();
    assert_eq!(codes(&Module::load(bundle, Device::Cuda(999), &digest).err().unwrap()), ["TC0822"]);

    // More memory than any device has: half a terabyte of arena.
    let problems = load().bind(&bindings(&[("n", i32::MAX as i64)])).err().unwrap();
    assert_eq!(codes(&problems), ["TC0823"], "{}", text(&problems));
    println!("{}", text(&problems));

    // Only cpu code in the bundle.
    let bundle = open(&mut crate::model::model(), &crate::model::entries());
    let digest = bundle.digest();
    assert_eq!(codes(&Module::load(bundle, Device::Cuda(0), &digest).err().unwrap()), ["TC0711"]);

    // A misaligned address; of one row, so that the shifted tensor does not reach into the next allocation.
    let context = Context::of(0).unwrap();
    let tensors = Tensors::new(&context, 1);
    let (mut inputs, outputs) = tensors.refs();
    inputs[0].pointer += 4;
    // SAFETY: refused before anything is queued.
    let problems = unsafe { load().instance().run_at(&inputs, &outputs, &RunOptions::default()) }.unwrap_err();
    assert_eq!(codes(&problems), ["TC0810"]);
}

/// A kernel that fails poisons the context, so it runs in a process of its own.
#[test]
fn a_failing_kernel_is_named() {
    const CHILD: &str = "TRICOT_TEST_CHILD";
    if !device() {
        return;
    }
    if std::env::var_os(CHILD).is_none() {
        let mut me = std::process::Command::new(std::env::current_exe().unwrap());
        me.args(["--exact", "cuda::a_failing_kernel_is_named", "--nocapture"]).env(CHILD, "1");
        let out = me.output().unwrap();
        let all = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{all}{}", String::from_utf8_lossy(&out.stderr));
        assert!(all.contains("error[TC0824]: step `trap`"), "{all}");
        return;
    }
    let mut m = model();
    let trap = launch("trap", &[5], &[], How::Gpu(gpu("1", 1, vec![Param::Buffer(0)])));
    m.targets.get_mut("sm_90a").unwrap().variants[0].steps.insert(1, trap);
    let mut with_trap = entries();
    with_trap.push(fixture!("trap.cubin"));
    let mut instance = load_with(m, &with_trap).unwrap().instance();
    let options = RunOptions { blocking: true, ..RunOptions::default() };
    let problems = instance.run(&[("x", &tensor(&[1, 64], &[0.0; 64]))], &options).unwrap_err();
    assert_eq!(codes(&problems), ["TC0824"]);
    println!("{}", text(&problems));
}

/// PTX without a cubin: assembled by a good ptxas if there is one, else refused with the way out.
#[test]
fn ptx_needs_a_good_assembler() {
    if !device() {
        return;
    }
    let ptx = vec![fixture!("axpy.ptx"), fixture!("tma_copy.ptx"), fixture!("cluster.ptx"), fixture!("count.ptx")];
    let all: Vec<_> = ptx.into_iter().chain([("weights/a", bytes_of(&[A]))]).collect();
    let good = tricot_runtime::cuda::assemblers().iter().any(|a| (a.version.major, a.version.minor) >= (13, 3));
    let new_driver = tricot_runtime::cuda::driver_version().unwrap() >= (13, 3);
    match load_with(model(), &all) {
        Ok(module) => {
            assert!(good || new_driver);
            let x = random(1, 192);
            let (outputs, _) = module.instance().run(&[("x", &tensor(&[3, 64], &x))], &RunOptions::default()).unwrap();
            assert_eq!(outputs[0].as_slice::<f32>().unwrap(), reference(&x)[0]);
        }
        Err(problems) => {
            assert!(!good && !new_driver, "{}", text(&problems));
            assert_eq!(codes(&problems), ["TC0828"; 4]);
            println!("{}", text(&problems[..1]));
        }
    }
}
