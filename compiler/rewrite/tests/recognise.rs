//! Attention is found in every spelling, and nowhere else.
//!
//! A generator composes spellings from independent choices (mask form, scale place, einsum letters and order, products before sums,
//! flattened or joint softmax, head repeat) and one-edit mutants that compute something else.

use std::collections::BTreeMap;
use tricot_dialects::builder::build_main;
use tricot_dialects::{Attrs, Builder, Constant, Module, TensorType, ValueId, text};
use tricot_proof::{check, check_against};
use tricot_reference::{Hint, Options, evaluate, random_inputs, relative_l2};
use tricot_rewrite::{RewriteOptions, rewrite};
use tricot_types::{Bindings, DType, Diagnostic, Poly};

type Value = Result<ValueId, Diagnostic>;

/// Independent random choices from one seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn flip(&mut self) -> bool {
        self.roll(2) == 1
    }
}

/// The one edit that turns a spelling into something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Edit {
    None,
    /// The second window sees one key more than the first row or the last says.
    WindowShifted,
    /// The mask looks ahead by one.
    Ahead,
    /// Every key is behind: the first row keeps nothing.
    StrictlyBehind,
    /// No mask on one key axis.
    MissingMask,
    /// A masked logit stays in the race.
    SmallFill,
    /// The softmax leaves one key axis out.
    OneAxis,
    /// The softmax runs over rows.
    RowAxis,
    /// The values change places.
    SwappedValues,
    /// Both values ride on one key.
    SameValueIndex,
    /// The logits take a key twice.
    KeyTwice,
    /// Heads are tiled instead of repeated, on the values only.
    TiledHeads,
    /// The weights are not normalised.
    NoSum,
    /// The weights are squared.
    SquaredWeights,
    /// A number is added to the weights.
    ShiftedWeights,
    /// A feature of one key is summed by itself.
    WrongLetter,
    /// A value is taken at the row instead of the key.
    ValueRow,
    /// The maximum of other rows is subtracted.
    ForeignMax,
    /// The sum runs over the logits before the mask.
    UnmaskedSum,
    /// A hole in the window.
    Hole,
    /// The mask depends on the sum of positions.
    Sum,
}

const EDITS: [Edit; 20] = [
    Edit::WindowShifted,
    Edit::Ahead,
    Edit::StrictlyBehind,
    Edit::MissingMask,
    Edit::SmallFill,
    Edit::OneAxis,
    Edit::RowAxis,
    Edit::SwappedValues,
    Edit::SameValueIndex,
    Edit::KeyTwice,
    Edit::TiledHeads,
    Edit::NoSum,
    Edit::SquaredWeights,
    Edit::ShiftedWeights,
    Edit::WrongLetter,
    Edit::ValueRow,
    Edit::ForeignMax,
    Edit::UnmaskedSum,
    Edit::Hole,
    Edit::Sum,
];

const B: i64 = 2;
const S: i64 = 7;
const H: i64 = 4;
const G: i64 = 2;
const D: i64 = 3;

struct Spelling {
    trilinear: bool,
    grouped: bool,
    edit: Edit,
    w: [i64; 2],
    dice: Dice,
}

fn p(dims: &[i64]) -> Vec<Poly> {
    dims.iter().map(|d| Poly::constant(*d)).collect()
}

impl Spelling {
    fn new(seed: u64, trilinear: bool, edit: Edit) -> Spelling {
        let mut dice = Dice(seed);
        let grouped = dice.flip();
        let w = [1 + dice.roll(S as u64 - 2) as i64, 1 + dice.roll(S as u64 - 2) as i64];
        Spelling { trilinear, grouped, edit, w, dice }
    }

    fn keys(&self) -> usize {
        if self.trilinear { 2 } else { 1 }
    }

    fn build(&mut self) -> Module {
        let mut module = Module::new("spelling");
        build_main(&mut module, |b| {
            let out = self.body(b)?;
            b.output("y", out);
            Ok(())
        })
        .unwrap_or_else(|d| panic!("{d}"));
        module
    }

    /// An input `[b, s, heads, d]`, perhaps given in another layout, as `[b, heads, s, d]`.
    fn heads(&mut self, b: &mut Builder<'_>, name: &str, heads: i64) -> Value {
        match self.dice.roll(3) {
            0 => {
                let x = b.input(name, TensorType::new(DType::F32, [B, S, heads, D]));
                b.transpose(x, &[0, 2, 1, 3])
            }
            1 => {
                let x = b.input(name, TensorType::new(DType::F32, [B, S, heads * D]));
                let x = b.reshape(x, &p(&[B, S, heads, D]))?;
                b.transpose(x, &[0, 2, 1, 3])
            }
            _ => Ok(b.input(name, TensorType::new(DType::F32, [B, heads, S, D]))),
        }
    }

    /// `[b, g, s, d]` repeated to `[b, h, s, d]`.
    fn repeat(&mut self, b: &mut Builder<'_>, x: ValueId, tiled: bool) -> Value {
        let r = H / G;
        if tiled {
            return b.concat(&vec![x; r as usize], 1);
        }
        match self.dice.roll(4) {
            0 => {
                let x = b.broadcast(x, &p(&[B, G, r, S, D]), &[0, 1, 3, 4])?;
                b.reshape(x, &p(&[B, H, S, D]))
            }
            1 => {
                let x = b.reshape(x, &p(&[B, G, 1, S, D]))?;
                let x = b.concat(&vec![x; r as usize], 2)?;
                b.reshape(x, &p(&[B, H, S, D]))
            }
            2 => {
                let at: Vec<i64> = (0..H).map(|h| h / r).collect();
                let at = b.constant(Constant::from_i64(DType::I64, vec![H as u64], &at))?;
                b.one("core.gather", &[x, at], Attrs::new().with("axis", 1i64))
            }
            _ => {
                let mut parts = vec![];
                for h in 0..H {
                    parts.push(b.slice(x, &p(&[0, h / r, 0, 0]), &p(&[B, 1, S, D]), &[1; 4])?);
                }
                b.concat(&parts, 1)
            }
        }
    }

    fn scaled(&mut self, b: &mut Builder<'_>, x: ValueId, by: f64) -> Value {
        match self.dice.flip() {
            true => b.map_scalar("mul", x, by),
            false => b.map_scalar("div", x, 1.0 / by),
        }
    }

    /// Where key `j` may be seen from row `i`: bool over `shape`, rows on `axes[0]`, keys on `axes[1]`.
    fn window(&mut self, b: &mut Builder<'_>, which: usize, shape: &[i64], axes: [usize; 2]) -> Value {
        let w = self.w[which];
        let last = which + 1 == self.keys();
        let keep = |edit: Edit, i: i64, j: i64| match edit {
            Edit::WindowShifted if last => j < i && j >= i - w || i == j && i == 0 || j == i + 1,
            Edit::Ahead if last => j <= i + 1 && j > i - w,
            Edit::StrictlyBehind if last => j < i && j >= i - w,
            Edit::Hole if last => {
                (j <= i && j > i - w) != (i == S - 1 && j == S - 1) || (i == S - 1 && j == 0 && w > 1)
            }
            Edit::Sum if last => i + j <= w + 1,
            _ => j <= i && j > i - w,
        };
        let edited = last
            && matches!(self.edit, Edit::WindowShifted | Edit::Ahead | Edit::StrictlyBehind | Edit::Hole | Edit::Sum);
        let iota = |b: &mut Builder<'_>, axis: usize| b.iota(DType::I64, &p(shape), axis as i64);
        let form = if edited { 0 } else { self.dice.roll(5) };
        match form {
            0 => {
                let mut table = vec![];
                for i in 0..S {
                    table.extend((0..S).map(|j| i64::from(keep(self.edit, i, j))));
                }
                let c = b.constant(Constant::from_i64(DType::Bool, vec![S as u64, S as u64], &table))?;
                b.broadcast(c, &p(shape), &axes.map(|a| a as i64))
            }
            1 => {
                let (i, j) = (iota(b, axes[0])?, iota(b, axes[1])?);
                let near = b.map("le", &[j, i])?;
                let reach = b.map_scalar("sub", i, w as f64)?;
                let far = b.map("gt", &[j, reach])?;
                b.map("and", &[near, far])
            }
            2 => {
                let (i, j) = (iota(b, axes[0])?, iota(b, axes[1])?);
                let distance = b.map("sub", &[i, j])?;
                let ahead = b.map_scalar("lt", distance, 0.0)?;
                let behind = b.map_scalar("ge", distance, w as f64)?;
                let out = b.map("or", &[ahead, behind])?;
                b.map("not", &[out])
            }
            3 => {
                // As torch exports arange: constants of positions.
                let at: Vec<i64> = (0..S).collect();
                let row = b.constant(Constant::from_i64(DType::I64, vec![S as u64, 1], &at))?;
                let key = b.constant(Constant::from_i64(DType::I64, vec![1, S as u64], &at))?;
                let (row, key) = (b.broadcast(row, &p(&[S, S]), &[0, 1])?, b.broadcast(key, &p(&[S, S]), &[0, 1])?);
                let near = b.map("ge", &[row, key])?;
                let distance = b.map("sub", &[row, key])?;
                let far = b.map_scalar("le", distance, w as f64 - 1.0)?;
                let both = b.map("and", &[far, near])?;
                b.broadcast(both, &p(shape), &axes.map(|a| a as i64))
            }
            _ => {
                // Triangles of ones as floats.
                let lower =
                    |by: i64| -> Vec<f64> { (0..S * S).map(|n| f64::from(u8::from(n % S <= n / S + by))).collect() };
                let dims = vec![S as u64, S as u64];
                let near = b.constant(Constant::from_f64(DType::F32, dims.clone(), &lower(0)))?;
                let beyond = b.constant(Constant::from_f64(DType::F32, dims, &lower(-w)))?;
                let band = b.map("sub", &[near, beyond])?;
                let band = b.map_scalar("ne", band, 0.0)?;
                b.broadcast(band, &p(shape), &axes.map(|a| a as i64))
            }
        }
    }

    fn masked(&mut self, b: &mut Builder<'_>, x: ValueId, shape: &[i64], row: usize, keys: &[usize]) -> Value {
        let mut windows = vec![];
        for (n, key) in keys.iter().enumerate() {
            if self.edit == Edit::MissingMask && n + 1 == keys.len() {
                continue;
            }
            windows.push(self.window(b, n, shape, [row, *key])?);
        }
        if windows.is_empty() {
            return Ok(x);
        }
        let fill = match self.edit {
            Edit::SmallFill => -3.0,
            _ => [f64::NEG_INFINITY, -1e9, f64::from(f32::MIN)][self.dice.roll(3) as usize],
        };
        let form = self.dice.roll(4);
        if form == 0 && windows.len() == 2 {
            // One mask after the other.
            let fills = b.full(DType::F32, fill, &p(shape))?;
            let x = b.select(windows[0], x, fills)?;
            return b.select(windows[1], x, fills);
        }
        let keep = match windows.as_slice() {
            [one] => *one,
            [one, two] => b.map("and", &[*one, *two])?,
            _ => unreachable!("one or two windows"),
        };
        match form {
            0 | 1 => {
                let fills = b.full(DType::F32, fill, &p(shape))?;
                b.select(keep, x, fills)
            }
            2 => {
                let fills = b.full(DType::F32, fill, &p(shape))?;
                let out = b.map("not", &[keep])?;
                b.select(out, fills, x)
            }
            _ => {
                let (zero, fills) = (b.full(DType::F32, 0.0, &p(shape))?, b.full(DType::F32, fill, &p(shape))?);
                let bias = b.select(keep, zero, fills)?;
                match self.dice.flip() {
                    true => b.map("add", &[x, bias]),
                    false => b.map("add", &[bias, x]),
                }
            }
        }
    }

    /// Softmax over the last axes of `x`.
    fn softmax(&mut self, b: &mut Builder<'_>, x: ValueId, raw: ValueId, shape: &[i64], axes: &[i64]) -> Value {
        let axes: Vec<i64> = match self.edit {
            Edit::OneAxis if axes.len() > 1 => axes[1..].to_vec(),
            Edit::OneAxis | Edit::RowAxis => vec![2],
            _ => axes.to_vec(),
        };
        let spelled = matches!(self.edit, Edit::NoSum | Edit::ForeignMax | Edit::UnmaskedSum) || self.dice.flip();
        if !spelled {
            if let [axis] = axes[..] {
                return b.one("nn.softmax", &[x], Attrs::new().with("axis", axis));
            }
            let flat = b.reshape(x, &p(&[shape[0], shape[1], shape[2], shape[3] * shape[4]]))?;
            let y = b.one("nn.softmax", &[flat], Attrs::new().with("axis", 3i64))?;
            return b.reshape(y, &p(shape));
        }
        let x = match self.dice.flip() || self.edit == Edit::ForeignMax {
            true if self.edit != Edit::UnmaskedSum => {
                let over = if self.edit == Edit::ForeignMax { vec![2] } else { axes.clone() };
                let m = b.reduce_keep("max", x, &over)?;
                let m = b.broadcast_to(m, &p(shape))?;
                b.map("sub", &[x, m])?
            }
            _ => x,
        };
        let e = b.map("exp", &[x])?;
        if self.edit == Edit::NoSum {
            return Ok(e);
        }
        let below = if self.edit == Edit::UnmaskedSum { b.map("exp", &[raw])? } else { e };
        let sum = b.reduce_keep("sum", below, &axes)?;
        let sum = b.broadcast_to(sum, &p(shape))?;
        match self.dice.flip() {
            true => b.map("div", &[e, sum]),
            false => {
                let r = b.map("recip", &[sum])?;
                b.map("mul", &[e, r])
            }
        }
    }

    /// Letters renamed at random.
    fn spec(&mut self, spec: &str) -> String {
        let turn = self.dice.roll(26) as u8;
        spec.chars()
            .map(|c| match c {
                'a'..='z' => ((c as u8 - b'a' + turn) % 26 + b'a') as char,
                other => other,
            })
            .collect()
    }

    fn contract(&mut self, b: &mut Builder<'_>, operands: &[(ValueId, &str)], result: &str) -> Value {
        let mut operands = operands.to_vec();
        for i in (1..operands.len()).rev() {
            operands.swap(i, self.dice.roll(i as u64 + 1) as usize);
        }
        let left: Vec<&str> = operands.iter().map(|o| o.1).collect();
        let spec = self.spec(&format!("{}->{result}", left.join(",")));
        b.contract(&spec, &operands.iter().map(|o| o.0).collect::<Vec<_>>(), DType::F32)
    }

    fn body(&mut self, b: &mut Builder<'_>) -> Value {
        let groups = if self.grouped { G } else { H };
        let mut q = self.heads(b, "q", H)?;
        let (mut keys, mut values) = (vec![], vec![]);
        for n in 0..self.keys() {
            let k = self.heads(b, &format!("k{n}"), groups)?;
            let v = self.heads(b, &format!("v{n}"), groups)?;
            keys.push(if self.grouped { self.repeat(b, k, false)? } else { k });
            let tiled = self.edit == Edit::TiledHeads;
            values.push(if self.grouped { self.repeat(b, v, tiled)? } else { v });
        }
        let scale = 0.5;
        let place = self.dice.roll(5);
        match place {
            0 => q = self.scaled(b, q, scale)?,
            1 => keys[0] = self.scaled(b, keys[0], scale)?,
            2 => {
                q = self.scaled(b, q, 0.25)?;
                let last = keys.len() - 1;
                keys[last] = self.scaled(b, keys[last], 2.0)?;
            }
            _ => {}
        }
        match self.trilinear {
            true => self.trilinear_body(b, q, &keys, &values, place > 2),
            false => self.dot_body(b, q, keys[0], values[0], place > 2),
        }
    }

    fn weights_edit(&mut self, b: &mut Builder<'_>, w: ValueId) -> Value {
        match self.edit {
            Edit::SquaredWeights => b.map("square", &[w]),
            Edit::ShiftedWeights => b.map_scalar("add", w, 0.125),
            _ => Ok(w),
        }
    }

    fn trilinear_body(&mut self, b: &mut Builder<'_>, q: ValueId, k: &[ValueId], v: &[ValueId], late: bool) -> Value {
        let shape = [B, H, S, S, S];
        let second = if self.edit == Edit::KeyTwice { "bhjd" } else { "bhkd" };
        let mut x = match self.dice.roll(3) {
            _ if self.edit == Edit::KeyTwice => {
                let y = self.contract(b, &[(q, "bhid"), (k[0], "bhjd"), (k[1], second)], "bhij")?;
                b.broadcast(y, &p(&shape), &[0, 1, 2, 3])?
            }
            _ if self.edit == Edit::WrongLetter => {
                self.contract(b, &[(q, "bhid"), (k[0], "bhjd"), (k[1], "bhke")], "bhijk")?
            }
            0 => self.contract(b, &[(q, "bhid"), (k[0], "bhjd"), (k[1], second)], "bhijk")?,
            1 => {
                let qk = self.contract(b, &[(q, "bhid"), (k[0], "bhjd")], "bhijd")?;
                self.contract(b, &[(qk, "bhijd"), (k[1], second)], "bhijk")?
            }
            _ => {
                // An elementwise product of the keys, then one batched matrix product over flattened pairs.
                let full = p(&[B, H, S, S, D]);
                let (one, two) = (b.broadcast(k[0], &full, &[0, 1, 2, 4])?, b.broadcast(k[1], &full, &[0, 1, 3, 4])?);
                let pairs = b.map("mul", &[one, two])?;
                let pairs = b.reshape(pairs, &p(&[B, H, S * S, D]))?;
                let y = self.contract(b, &[(q, "bhid"), (pairs, "bhpd")], "bhip")?;
                b.reshape(y, &p(&shape))?
            }
        };
        if late {
            x = self.scaled(b, x, 0.5)?;
        }
        let raw = x;
        let x = self.masked(b, x, &shape, 2, &[3, 4])?;
        let w = self.softmax(b, x, raw, &shape, &[3, 4])?;
        let w = self.weights_edit(b, w)?;
        let (one, two) = match self.edit {
            Edit::SwappedValues => (v[1], v[0]),
            _ => (v[0], v[1]),
        };
        let other = if self.edit == Edit::SameValueIndex { "bhjd" } else { "bhkd" };
        let result = ["bhid", "bihd"][self.dice.roll(2) as usize];
        match self.dice.roll(3) {
            _ if self.edit == Edit::ValueRow => self.contract(b, &[(w, "bhijk"), (one, "bhid"), (two, "bhkd")], result),
            _ if self.edit == Edit::SameValueIndex => {
                self.contract(b, &[(w, "bhijk"), (one, "bhjd"), (two, other)], result)
            }
            0 => self.contract(b, &[(w, "bhijk"), (one, "bhjd"), (two, other)], result),
            1 => {
                let half = self.contract(b, &[(w, "bhijk"), (two, other)], "bhijd")?;
                self.contract(b, &[(half, "bhijd"), (one, "bhjd")], result)
            }
            _ => {
                let pairs = self.contract(b, &[(one, "bhjd"), (two, other)], "bhjkd")?;
                let pairs = b.reshape(pairs, &p(&[B, H, S * S, D]))?;
                let w = b.reshape(w, &p(&[B, H, S, S * S]))?;
                self.contract(b, &[(w, "bhip"), (pairs, "bhpd")], result)
            }
        }
    }

    fn dot_body(&mut self, b: &mut Builder<'_>, q: ValueId, k: ValueId, v: ValueId, late: bool) -> Value {
        let shape = [B, H, S, S];
        let mut x = match self.dice.roll(3) {
            _ if self.edit == Edit::WrongLetter => self.contract(b, &[(q, "bhid"), (k, "bhje")], "bhij")?,
            0 => self.contract(b, &[(q, "bhid"), (k, "bhjd")], "bhij")?,
            1 => {
                // MatMul with a transposed key, batch and heads merged.
                let q = b.reshape(q, &p(&[B * H, S, D]))?;
                let k = b.transpose(k, &[0, 1, 3, 2])?;
                let k = b.reshape(k, &p(&[B * H, D, S]))?;
                let y = self.contract(b, &[(q, "nid"), (k, "ndj")], "nij")?;
                b.reshape(y, &p(&shape))?
            }
            _ => {
                let full = p(&[B, H, S, S, D]);
                let (one, two) = (b.broadcast(q, &full, &[0, 1, 2, 4])?, b.broadcast(k, &full, &[0, 1, 3, 4])?);
                let product = b.map("mul", &[one, two])?;
                b.reduce("sum", product, &[4])?
            }
        };
        if late {
            x = self.scaled(b, x, 0.5)?;
        }
        let raw = x;
        let x = self.masked(b, x, &shape, 2, &[3])?;
        let w = self.softmax(b, x, raw, &shape, &[3])?;
        let w = self.weights_edit(b, w)?;
        let result = ["bhid", "bihd"][self.dice.roll(2) as usize];
        let at = if self.edit == Edit::ValueRow { "bhid" } else { "bhjd" };
        self.contract(b, &[(w, "bhij"), (v, at)], result)
    }
}

fn holds(module: &Module, op: &str) -> bool {
    let f = module.main().expect("a main");
    f.live_order().into_iter().any(|id| f.node(id).op.name == op)
}

fn options() -> RewriteOptions {
    RewriteOptions { target: "sm_90a".into(), candidates: 1, ..RewriteOptions::default() }
}

fn rewritten(module: &Module) -> tricot_rewrite::Rewritten {
    rewrite(module, &options()).unwrap_or_else(|d| panic!("{}\n{}", d[0], text::print(module)))
}

/// How far the two modules' exact values are apart on random inputs.
fn distance(a: &Module, b: &Module, seed: u64) -> f64 {
    let spread: BTreeMap<String, Hint> =
        a.main().expect("a main").input_names().map(|n| (n.to_string(), Hint::Normal(1.5))).collect();
    let inputs = random_inputs(a, seed, &Bindings::new(), &spread).unwrap_or_else(|d| panic!("{d}"));
    let run = |m: &Module| evaluate(m, &inputs, &Options::default()).unwrap_or_else(|d| panic!("{d}"));
    relative_l2(&run(b)[0], &run(a)[0])
}

/// How often each op must be looked for; the two together make the acceptance's 300.
const SEEDS: u64 = 160;

#[test]
fn one_plain_spelling() {
    let module = Spelling::new(1, true, Edit::None).build();
    let r = rewritten(&module);
    println!("{}", text::print(&module));
    println!("{}", tricot_rewrite::explain(&r, &r.candidates[0]));
    println!("{}", text::print(&r.candidates[0].module));
    println!("{}", tricot_rewrite::why_not(&module, "trilinear.attention", &options()).unwrap());
    assert!(holds(&r.candidates[0].module, "trilinear.attention"));
    check(&r.candidates[0].proof, Some(&module)).unwrap_or_else(|d| panic!("{}", d[0]));
    check_against(&r.candidates[0].proof, &module, &r.candidates[0].module).unwrap_or_else(|d| panic!("{}", d[0]));
}

#[test]
fn every_spelling_is_found_and_proved() {
    let mut missed = vec![];
    for seed in 0..SEEDS {
        for trilinear in [true, false] {
            let op = if trilinear { "trilinear.attention" } else { "nn.attention" };
            let module = Spelling::new(seed * 2 + u64::from(trilinear), trilinear, Edit::None).build();
            let r = rewritten(&module);
            if !holds(&r.candidates[0].module, op) {
                let why = tricot_rewrite::why_not(&module, op, &options()).unwrap();
                missed.push(format!("seed {seed}: {why}{}", text::print(&module)));
                continue;
            }
            tricot_dialects::verify::verify(&r.candidates[0].module)
                .unwrap_or_else(|d| panic!("seed {seed}: {}", d[0]));
            check_against(&r.candidates[0].proof, &module, &r.candidates[0].module)
                .unwrap_or_else(|d| panic!("seed {seed}: {}", d[0]));
            if seed % 4 == 0 {
                let error = distance(&module, &r.candidates[0].module, seed);
                assert!(error < 1e-9, "seed {seed}: off by {error}\n{}", text::print(&module));
            }
        }
    }
    assert!(missed.is_empty(), "{} missed, the first is\n{}", missed.len(), missed[0]);
}

/// Mutants that compute the same after all.
fn harmless(edit: Edit, s: &Spelling) -> bool {
    match edit {
        // Attention with the values in the other order.
        Edit::SwappedValues => true,
        Edit::SameValueIndex | Edit::KeyTwice => !s.trilinear,
        Edit::TiledHeads => !s.grouped,
        // Dot attention has causal offsets, needs no mask, and takes any other mask as a bias.
        Edit::MissingMask | Edit::Ahead | Edit::WindowShifted | Edit::Hole | Edit::Sum | Edit::SmallFill => {
            !s.trilinear
        }
        _ => false,
    }
}

#[test]
fn no_mutant_is_found() {
    let (mut tried, mut wrong) = (0, vec![]);
    for seed in 0..16 {
        for edit in EDITS {
            for trilinear in [true, false] {
                let mut s = Spelling::new(1000 + seed, trilinear, edit);
                if harmless(edit, &s) {
                    continue;
                }
                tried += 1;
                let module = s.build();
                let r = rewritten(&module);
                let same =
                    ["trilinear.attention", "nn.attention"].into_iter().find(|op| holds(&r.candidates[0].module, op));
                if let Some(op) = same {
                    wrong.push(format!(
                        "seed {seed} {edit:?}: {op}\n{}{}",
                        text::print(&module),
                        text::print(&r.candidates[0].module)
                    ));
                }
            }
        }
    }
    assert!(tried >= 300, "only {tried} mutants");
    assert!(wrong.is_empty(), "{} found, the first is\n{}", wrong.len(), wrong[0]);
}

#[test]
fn why_not_names_the_first_false_condition() {
    for (edit, reason) in [
        (Edit::MissingMask, "outside every window"),
        (Edit::StrictlyBehind, "a row may keep no entry"),
        (Edit::OneAxis, "the softmax is over 1 axes, the sum over 2"),
        (Edit::SwappedValues, "is there, 1 times"),
    ] {
        let module = Spelling::new(7, true, edit).build();
        let text =
            tricot_rewrite::why_not(&module, "trilinear.attention", &options()).unwrap_or_else(|d| panic!("{}", d[0]));
        assert!(text.contains(reason), "{edit:?}: {text}");
    }
    let module = Spelling::new(7, true, Edit::None).build();
    let problems = tricot_rewrite::why_not(&module, "trilinear.atention", &options()).unwrap_err();
    assert!(problems[0].to_string().contains("did you mean `trilinear.attention`"), "{}", problems[0]);
}
