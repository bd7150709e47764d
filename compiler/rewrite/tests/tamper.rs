//! A proof that was changed is no proof.

use tricot_dialects::builder::build_main;
use tricot_dialects::{Attrs, Constant, Module, TensorType};
use tricot_proof::{Proof, RULES, check, check_against};
use tricot_rewrite::{RewriteOptions, Rewritten, rewrite};
use tricot_types::{DType, Poly};

/// Pattern steps, computing steps with and without conditions, and a mask constant.
fn source() -> Module {
    let mut module = Module::new("tamper");
    build_main(&mut module, |b| {
        let shape = |d: &[i64]| d.iter().map(|d| Poly::constant(*d)).collect::<Vec<_>>();
        let t: Vec<_> = (0..5).map(|n| b.input(&format!("t{n}"), TensorType::new(DType::F32, [2, 6, 3]))).collect();
        let x = b.contract("bid,bjd,bkd->bijk", &t[..3], DType::F32)?;
        let keep: Vec<i64> = (0..36).map(|n| i64::from(n % 6 <= n / 6 && n % 6 > n / 6 - 3)).collect();
        let keep = b.constant(Constant::from_i64(DType::Bool, vec![6, 6], &keep))?;
        let full = shape(&[2, 6, 6, 6]);
        let (j, k) = (b.broadcast(keep, &full, &[1, 2])?, b.broadcast(keep, &full, &[1, 3])?);
        let both = b.map("and", &[j, k])?;
        let never = b.full(DType::F32, -1e9, &full)?;
        let x = b.select(both, x, never)?;
        let x = b.reshape(x, &shape(&[2, 6, 36]))?;
        let w = b.one("nn.softmax", &[x], Attrs::new().with("axis", 2i64))?;
        let w = b.reshape(w, &full)?;
        let y = b.contract("bijk,bjd,bkd->bid", &[w, t[3], t[4]], DType::F32)?;
        let one = b.full(DType::F32, 1.0, &shape(&[2, 6, 3]))?;
        let y = b.map("mul", &[y, one])?;
        let r = b.map("relu", &[y])?;
        let y = b.map("mul", &[r, r])?;
        b.output("y", y);
        Ok(())
    })
    .unwrap_or_else(|d| panic!("{d}"));
    module
}

fn rewritten(module: &Module) -> Rewritten {
    rewrite(module, &RewriteOptions::default()).unwrap_or_else(|d| panic!("{}", d[0]))
}

fn refused(proof: &Proof, module: &Module, what: &str) {
    let text = proof.to_text();
    let read = Proof::parse("altered.proof", text.as_bytes()).unwrap_or_else(|d| panic!("{}", d[0]));
    assert!(check(&read, Some(module)).is_err(), "accepted although {what}");
}

#[test]
fn the_proof_holds_with_and_without_the_model() {
    let module = source();
    let r = rewritten(&module);
    let read =
        Proof::parse("x.proof", r.candidates[0].proof.to_text().as_bytes()).unwrap_or_else(|d| panic!("{}", d[0]));
    assert_eq!(read, r.candidates[0].proof);
    assert!(r.candidates[0].proof.steps() >= 3, "{}", tricot_rewrite::explain(&r, &r.candidates[0]));
    check(&read, None).unwrap_or_else(|d| panic!("{}", d[0]));
    check(&read, Some(&module)).unwrap_or_else(|d| panic!("{}", d[0]));
    check_against(&read, &module, &r.candidates[0].module).unwrap_or_else(|d| panic!("{}", d[0]));
    // Another graph, on either side.
    assert!(check(&read, Some(&r.candidates[0].module)).is_err());
    assert!(check_against(&read, &module, &module).is_err());
    assert!(Proof::parse("x.proof", b"{\"version\": 1}").is_err());
}

#[test]
fn every_step_is_needed_as_it_is() {
    let module = source();
    let proof = rewritten(&module).candidates.remove(0).proof;
    let steps = proof.functions[0].steps.len();
    for at in 0..steps {
        let mut fewer = proof.clone();
        fewer.functions[0].steps.remove(at);
        refused(&fewer, &module, &format!("step {at} is gone"));
        for rule in RULES.iter().filter(|r| r.name != proof.functions[0].steps[at].rule) {
            let mut other = proof.clone();
            other.functions[0].steps[at].rule = rule.name.into();
            refused(&other, &module, &format!("step {at} claims to be `{}`", rule.name));
        }
        let step = proof.functions[0].steps[at].clone();
        let terms = proof.functions[0].terms.len() as u32;
        for side in 0..2 {
            for term in (0..terms).filter(|t| *t != if side == 0 { step.from } else { step.to }) {
                let mut other = proof.clone();
                let s = &mut other.functions[0].steps[at];
                *(if side == 0 { &mut s.from } else { &mut s.to }) = term;
                refused(&other, &module, &format!("step {at} has term {term} on side {side}"));
            }
        }
        for name in step.substitution.keys() {
            let mut other = proof.clone();
            let s = &mut other.functions[0].steps[at].substitution;
            let old = s[name];
            s.insert(name.clone(), if old == 0 { 1 } else { old - 1 });
            refused(&other, &module, &format!("step {at} substitutes another `{name}`"));
            s_removed(&proof, &module, at, name);
        }
        for name in step.conditions.keys() {
            for value in ["0", "2", "false", ""] {
                let mut other = proof.clone();
                other.functions[0].steps[at].conditions.insert(name.clone(), value.into());
                refused(&other, &module, &format!("step {at} states {name} = {value}"));
            }
            let mut other = proof.clone();
            other.functions[0].steps[at].conditions.remove(name);
            refused(&other, &module, &format!("step {at} leaves out {name}"));
        }
        let mut other = proof.clone();
        other.functions[0].steps[at].conditions.insert("more".into(), "1".into());
        refused(&other, &module, &format!("step {at} states a condition too many"));
    }
}

fn s_removed(proof: &Proof, module: &Module, at: usize, name: &str) {
    let mut other = proof.clone();
    other.functions[0].steps[at].substitution.remove(name);
    refused(&other, module, &format!("step {at} does not substitute `{name}`"));
}

#[test]
fn altered_terms_and_constants_are_noticed() {
    let module = source();
    let proof = rewritten(&module).candidates.remove(0).proof;
    for at in 0..proof.functions[0].terms.len() {
        let mut other = proof.clone();
        let head = &mut other.functions[0].terms[at].0;
        let changed = match head.as_str() {
            "core.map" => "core.contract".to_string(),
            h if h.starts_with("'i") => format!("{h}1"),
            h if h.starts_with("'f") => "'f3fe0000000000001".into(),
            h if h.starts_with('%') => h.replace("%", "%9"),
            _ => continue,
        };
        *head = changed;
        refused(&other, &module, &format!("term {at} was changed"));
    }
    for at in 0..proof.constants.len() {
        let mut other = proof.clone();
        let runs = other.constants[at].runs.as_mut().expect("small constants are written out");
        let last = runs.pop().expect("not empty");
        runs.push(if last == '0' { '1' } else { '0' });
        assert!(check(&other, None).is_err(), "constant {at} was changed");
    }
}
