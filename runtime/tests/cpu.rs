//! The hand-made plan on the `cpu` device.

use crate::model::*;
use crate::support::*;
use tricot_runtime::plan::Plan;
use tricot_runtime::*;

#[test]
fn steps_say_what_they_do_at_the_bound_sizes() {
    let module = load();
    let mut instance = module.instance();
    assert!(instance.work().is_empty());
    instance.bind(&bindings(&[("n", 3), ("k", 4)])).unwrap();
    let work: Vec<_> = instance.work().iter().map(|w| (w.name.as_str(), w.flops, w.bytes)).collect();
    // The second kernel says nothing; a copy reads and writes.
    let copies = ("copy", 0.0, 2.0 * 96.0);
    let silent = |name| (name, 0.0, 0.0);
    assert_eq!(work, [("add", 24.0, 288.0), silent("reverse"), copies, silent("add"), ("copy", 0.0, 32.0)]);
    let (a, b) = (HostTensor::zeros(DType::F32, &[3, 8]).unwrap(), HostTensor::zeros(DType::F32, &[3, 8]).unwrap());
    let options = RunOptions { timing: Timing::Steps, ..RunOptions::default() };
    let (_, report) = instance.run(&[("a", &a), ("b", &b)], &options).unwrap();
    let timed: Vec<_> = report.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(timed, work_names(&instance));
}

fn work_names(instance: &Instance) -> Vec<&str> {
    instance.work().iter().map(|w| w.name.as_str()).collect()
}

#[test]
fn a_plan_runs_under_changing_sizes() {
    let mut instance = load().instance();
    for (seed, n, k) in [(1, 3, 2), (2, 1, 2), (3, 50, 4), (4, 3, 2)] {
        let count = (2 * n * k) as usize;
        let (a, b) = (random(seed, count), random(seed + 100, count));
        let dims = [n, 2 * k];
        let inputs = [("b", &tensor(&dims, &b)), ("a", &tensor(&dims, &a))];
        let options = RunOptions { timing: Timing::Steps, ..RunOptions::default() };
        let (outputs, report) = instance.run(&inputs, &options).unwrap_or_else(|e| panic!("{}", text(&e)));
        for (output, expected) in outputs.iter().zip(reference(&a, &b)) {
            assert_eq!(output.as_slice::<f32>().unwrap(), expected);
        }
        assert_eq!(instance.outputs()[0].shape, dims);
        let names: Vec<_> = report.steps.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["add", "reverse", "copy", "add", "copy"]);
        assert!(report.total.is_some());
    }
    assert_eq!(*instance.bound_symbols().unwrap(), bindings(&[("n", 3), ("k", 2)]));
}

#[test]
fn the_caller_owns_outputs_workspace_and_aliased_state() {
    let module = load();
    let symbols = bindings(&[("n", 4), ("k", 2)]);
    let needed = module.workspace_bytes(&symbols).unwrap();
    assert_eq!(needed, 8 * 8 + 192 + 4 * 16, "t, padding to 256, scratch");
    let (a, mut b) = (random(5, 16), random(6, 16));
    let [want_y, want_z, want_c] = reference(&a, &b);
    let (mut y, mut c) = (vec![f32::NAN; 16], vec![f32::NAN; 4]);
    let mut workspace = tensor::AlignedBytes::zeroed(needed, 256).unwrap();
    let view = |pointer: u64, dims: &[u64]| TensorRef { pointer, dtype: DType::F32, shape: dims.into() };
    let dims = [4, 4];
    let inputs = [view(a.as_ptr() as u64, &dims), view(b.as_mut_ptr() as u64, &dims)];
    let outputs =
        [view(y.as_mut_ptr() as u64, &dims), view(b.as_mut_ptr() as u64, &dims), view(c.as_mut_ptr() as u64, &[4])];
    let mut instance = module.instance();
    // SAFETY: all memory outlives the runs.
    unsafe {
        instance.set_workspace(workspace.as_mut_ptr() as u64, needed).unwrap();
        instance.run_at(&inputs, &outputs, &RunOptions::default()).unwrap_or_else(|e| panic!("{}", text(&e)));
    }
    assert_eq!((y, b, c), (want_y, want_z, want_c));

    // Too small, misaligned, overlapping, misplaced.
    // SAFETY: each is refused before any memory is touched.
    unsafe {
        assert_eq!(instance.set_workspace(workspace.as_mut_ptr() as u64 + 8, needed).unwrap_err().code, "TC0810");
        instance.set_workspace(workspace.as_mut_ptr() as u64, needed - 1).unwrap();
        let problems = instance.run_at(&inputs, &outputs, &RunOptions::default()).unwrap_err();
        assert_eq!(codes(&problems), ["TC0810"]);
        instance.set_workspace(workspace.as_mut_ptr() as u64, needed).unwrap();
        let mut over = outputs.clone();
        over[0].pointer = a.as_ptr() as u64;
        assert_eq!(codes(&instance.run_at(&inputs, &over, &RunOptions::default()).unwrap_err()), ["TC0810"]);
        over[0].pointer = 2;
        assert_eq!(codes(&instance.run_at(&inputs, &over, &RunOptions::default()).unwrap_err()), ["TC0810"]);
    }
}

#[test]
fn outputs_into_the_callers_tensors() {
    let mut instance = load().instance();
    let (a, b) = (random(7, 8), random(8, 8));
    let dims = [2, 4];
    let (ta, tb) = (tensor(&dims, &a), tensor(&dims, &b));
    let inputs = [("a", &ta), ("b", &tb)];
    let poison = [f32::NAN; 8];
    let (mut y, mut z, mut c) = (tensor(&dims, &poison), tensor(&dims, &poison), tensor(&[4], &poison[..4]));
    instance.run_into(&inputs, &mut [&mut y, &mut z, &mut c], &RunOptions::default()).unwrap();
    let got = [&y, &z, &c].map(|t| t.as_slice::<f32>().unwrap().to_vec());
    assert_eq!(got, reference(&a, &b));
    let problems = instance.run_into(&inputs, &mut [&mut c, &mut z], &RunOptions::default()).unwrap_err();
    assert_eq!(codes(&problems), ["TC0801"]);
    let mut wrong = HostTensor::zeros(DType::F16, &[4]).unwrap();
    let problems = instance.run_into(&inputs, &mut [&mut c, &mut z, &mut wrong], &RunOptions::default()).unwrap_err();
    assert_eq!(codes(&problems), ["TC0804", "TC0803"]);
}

#[test]
fn a_failing_kernel_and_a_cancelled_run_are_coded() {
    let mut m = model();
    m.targets.get_mut("cpu").unwrap().variants[0].steps[1] = launch("fail", &[0], &[], cpu(192, "0"));
    let bundle = open(&mut m, &entries());
    // SAFETY: the code is ours.
    let mut instance = unsafe { Module::load_trusted(bundle, Device::Cpu) }.unwrap().instance();
    let t = tensor(&[1, 4], &[0.0; 4]);
    let problems = instance.run(&[("a", &t), ("b", &t)], &RunOptions::default()).unwrap_err();
    assert_eq!(codes(&problems), ["TC0853"]);
    assert!(text(&problems).contains("kernel `fail`"), "{}", text(&problems));

    let cancel = Cancel::new();
    cancel.cancel();
    let options = RunOptions { cancel: Some(cancel), ..RunOptions::default() };
    assert_eq!(codes(&load().instance().run(&[("a", &t), ("b", &t)], &options).unwrap_err()), ["TC0812"]);
}

#[test]
fn trust_and_machine_are_checked_before_code_is_mapped() {
    let bundle = open(&mut model(), &entries());
    let mut digest = bundle.digest();
    digest[0] ^= 1;
    assert_eq!(codes(&Module::load(bundle, Device::Cpu, &digest).err().unwrap()), ["TC0709"]);

    let mut m = model();
    m.targets.get_mut("cpu").unwrap().features = vec!["avx9000".into()];
    let bundle = open(&mut m, &entries());
    let digest = bundle.digest();
    let problems = Module::load(bundle, Device::Cpu, &digest).err().unwrap();
    assert_eq!(codes(&problems), ["TC0850"]);
    assert!(text(&problems).contains("lacks avx9000") && text(&problems).contains("help:"), "{}", text(&problems));

    // Another target's bundle.
    let mut other = manifest("sm_90a", &[], vec![], vec![], vec![Plan::default()]);
    let bundle = open(&mut other, &[]);
    let digest = bundle.digest();
    let problems = Module::load(bundle, Device::Cpu, &digest).err().unwrap();
    assert_eq!(codes(&problems), ["TC0711"]);
    assert!(text(&problems).contains("its targets: sm_90a") && text(&problems).contains("`--target`"));

    // A damaged entry is found before it is mapped.
    let mut bytes = archive(&mut model(), &entries());
    let at = bytes.windows(4).position(|w| w == &code()[..4]).unwrap();
    bytes[at] ^= 1;
    let bundle = Bundle::from_bytes("test.tricot", &bytes).unwrap();
    let digest = bundle.digest();
    assert_eq!(codes(&Module::load(bundle, Device::Cpu, &digest).err().unwrap()), ["TC0708"]);
}

#[test]
fn modules_are_shared_between_threads() {
    fn assert_traits<T: Send + Sync>() {}
    fn assert_send<T: Send>() {}
    assert_traits::<Module>();
    assert_traits::<Bundle>();
    assert_send::<Instance>();
    let module = load();
    std::thread::scope(|scope| {
        for seed in 0..4u64 {
            let module = module.clone();
            scope.spawn(move || {
                let (a, b) = (random(seed + 1, 8), random(seed + 50, 8));
                let inputs = [("a", &tensor(&[2, 4], &a)), ("b", &tensor(&[2, 4], &b))];
                for _ in 0..50 {
                    let (outputs, _) = module.instance().run(&inputs, &RunOptions::default()).unwrap();
                    assert_eq!(outputs[0].as_slice::<f32>().unwrap(), reference(&a, &b)[0]);
                }
            });
        }
    });
}
