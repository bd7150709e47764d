//! The rules: name, mode, meaning and statement, declared once for the rewriter and the checker.

use crate::checker as check;
use crate::pattern::Pattern;
use crate::proof::Step;
use crate::term::{Bank, TermId};
use std::sync::LazyLock;

/// How equal the two sides are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Bit for bit, NaN and infinities included.
    Bitwise,
    /// In real arithmetic: where all intermediate values are finite.
    Real,
}

/// The statement of a rule.
#[derive(Clone, Copy)]
pub enum Statement {
    /// Every instance of `left` equals that of `right`, if its elements are of a kind of `domain`.
    Pattern { left: &'static str, right: &'static str, domain: Domain },
    /// The function says whether `from = to`; it looks at both and recomputes the conditions.
    Checked(fn(&mut Bank, &Ground<'_>) -> Result<(), String>),
}

/// Element types a pattern rule is stated for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    Any,
    Float,
}

/// A step with its terms looked up.
pub struct Ground<'a> {
    pub from: TermId,
    pub to: TermId,
    pub step: &'a Step,
}

impl Ground<'_> {
    /// Fails unless the step states exactly these conditions.
    pub fn conditions(&self, wanted: &[(&str, String)]) -> Result<(), String> {
        for (name, value) in wanted {
            match self.step.conditions.get(*name) {
                Some(v) if v == value => {}
                Some(v) => return Err(format!("condition `{name}` is {value}, the step says {v}")),
                None => return Err(format!("condition `{name}` = {value} is missing")),
            }
        }
        match self.step.conditions.len() == wanted.len() {
            true => Ok(()),
            false => Err("the step states conditions the rule does not have".into()),
        }
    }
}

/// A rule.
#[derive(Clone, Copy)]
pub struct Rule {
    pub name: &'static str,
    pub mode: Mode,
    pub doc: &'static str,
    pub statement: Statement,
}

const fn pattern(name: &'static str, mode: Mode, doc: &'static str, left: &'static str, right: &'static str) -> Rule {
    Rule { name, mode, doc, statement: Statement::Pattern { left, right, domain: Domain::Any } }
}

const fn float(name: &'static str, mode: Mode, doc: &'static str, left: &'static str, right: &'static str) -> Rule {
    Rule { name, mode, doc, statement: Statement::Pattern { left, right, domain: Domain::Float } }
}

const fn checked(
    name: &'static str,
    mode: Mode,
    doc: &'static str,
    f: fn(&mut Bank, &Ground<'_>) -> Result<(), String>,
) -> Rule {
    Rule { name, mode, doc, statement: Statement::Checked(f) }
}

use Mode::{Bitwise, Real};

/// Every rule.
pub static RULES: &[Rule] = &[
    // Scalar algebra.
    pattern("neg-neg", Bitwise, "negating twice changes nothing", "(map.neg (map.neg ?x))", "?x"),
    pattern("not-not", Bitwise, "complementing twice changes nothing", "(map.not (map.not ?x))", "?x"),
    pattern("relu-relu", Bitwise, "relu of a relu", "(map.relu (map.relu ?x))", "(map.relu ?x)"),
    pattern("abs-abs", Bitwise, "magnitude of a magnitude", "(map.abs (map.abs ?x))", "(map.abs ?x)"),
    pattern("mul-one", Bitwise, "times one", "(map.mul ?x =1)", "?x"),
    pattern("one-mul", Bitwise, "one times", "(map.mul =1 ?x)", "?x"),
    pattern("div-one", Bitwise, "divided by one", "(map.div ?x =1)", "?x"),
    pattern("sub-zero", Bitwise, "minus zero", "(map.sub ?x =0)", "?x"),
    pattern("pow-one", Bitwise, "to the power of one", "(map.pow ?x =1)", "?x"),
    pattern("add-zero", Real, "plus zero; the sign of a zero may change", "(map.add ?x =0)", "?x"),
    pattern("zero-add", Real, "zero plus; the sign of a zero may change", "(map.add =0 ?x)", "?x"),
    pattern("mul-self", Bitwise, "a product with itself is a square", "(map.mul ?x ?x)", "(map.square ?x)"),
    float("pow-two", Real, "the power of two is a square", "(map.pow ?x =2)", "(map.square ?x)"),
    pattern("square-neg", Bitwise, "a square forgets the sign", "(map.square (map.neg ?x))", "(map.square ?x)"),
    pattern("square-abs", Bitwise, "a square forgets the sign", "(map.square (map.abs ?x))", "(map.square ?x)"),
    pattern("max-zero", Real, "the larger of x and zero", "(map.max ?x =0)", "(map.relu ?x)"),
    pattern("zero-max", Real, "the larger of zero and x", "(map.max =0 ?x)", "(map.relu ?x)"),
    float(
        "relu-times-x",
        Real,
        "relu(x) x is relu(x) squared",
        "(map.mul (map.relu ?x) ?x)",
        "(map.square (map.relu ?x))",
    ),
    float(
        "x-times-relu",
        Real,
        "x relu(x) is relu(x) squared",
        "(map.mul ?x (map.relu ?x))",
        "(map.square (map.relu ?x))",
    ),
    float("one-over", Bitwise, "one divided by x", "(map.div =1 ?x)", "(map.recip ?x)"),
    float("pow-minus-one", Real, "the power of -1", "(map.pow ?x =-1)", "(map.recip ?x)"),
    float("pow-half", Real, "the power of 1/2", "(map.pow ?x =0.5)", "(map.sqrt ?x)"),
    float("recip-sqrt", Real, "one over the root", "(map.recip (map.sqrt ?x))", "(map.rsqrt ?x)"),
    float("times-recip", Real, "times one over y", "(map.div ?x (map.recip ?y))", "(map.mul ?x ?y)"),
    float("sigmoid-times-x", Real, "x sigmoid(x) is silu", "(map.mul ?x (map.sigmoid ?x))", "(nn.silu ?x)"),
    float("x-times-sigmoid", Real, "sigmoid(x) x is silu", "(map.mul (map.sigmoid ?x) ?x)", "(nn.silu ?x)"),
    pattern("select-same", Bitwise, "both branches are one", "(core.select ?c ?x ?x)", "?x"),
    pattern(
        "select-not",
        Bitwise,
        "a complemented condition swaps the branches",
        "(core.select (map.not ?c) ?x ?y)",
        "(core.select ?c ?y ?x)",
    ),
    pattern(
        "relu-select",
        Real,
        "x where x is positive, else zero",
        "(core.select (map.gt ?x =0) ?x =0)",
        "(map.relu ?x)",
    ),
    // Computing rules.
    checked(
        "move-data",
        Bitwise,
        "a chain of transposes, reshapes, broadcasts and constant gathers takes each element from the same place",
        check::layout::move_data,
    ),
    checked("cast-exact", Bitwise, "a cast after a widening cast, or to the same type", check::layout::cast_exact),
    checked("slice-whole", Bitwise, "a slice of everything", check::layout::slice_whole),
    checked("slice-slice", Bitwise, "a slice of a slice", check::layout::slice_slice),
    checked("slice-concat", Bitwise, "a slice that lies in one part of a concatenation", check::layout::slice_concat),
    checked("concat-one", Bitwise, "a concatenation of one tensor", check::layout::concat_one),
    checked(
        "contract",
        Real,
        "products, sums, scales and data movement are one Einstein sum",
        check::contract::contract,
    ),
    checked("softmax", Real, "exp(x) over its sum is a softmax", check::attention::softmax),
    checked(
        "attention",
        Real,
        "scaled, masked products of q and k, their softmax and its product with v are attention",
        check::attention::attention,
    ),
    checked(
        "trilinear-attention",
        Real,
        "three-way products in two windows, their joint softmax and its product with v1 and v2 are trilinear attention",
        check::attention::trilinear,
    ),
    checked(
        "sparse-product",
        Real,
        "a product with a 2:4 selection is the product with its compressed form",
        check::sparse::product,
    ),
    checked(
        "two-four-constant",
        Bitwise,
        "a constant with at most two non-zeros in each four is its own 2:4 selection",
        check::sparse::constant,
    ),
    checked(
        "mask-select",
        Bitwise,
        "a tensor where its own 2:4 mask holds, else zero, is its selection",
        check::sparse::mask,
    ),
    checked("winograd", Real, "a 3x3 convolution of stride 1 by Winograd's transforms", check::conv::winograd),
    checked(
        "batch-norm-scale",
        Real,
        "inference batch norm is a scale and a shift per channel",
        check::conv::batch_norm,
    ),
    checked("shift-shift", Real, "two shifts per channel are one", check::conv::shifts),
    checked("scale-shift", Real, "a scale of a shifted tensor, per channel, is a shifted scale", check::conv::shift),
    checked("conv-scale", Real, "a scale per output channel goes into the filter", check::conv::scale),
    checked("fold", Bitwise, "an op on constants is a constant", check::fold::fold),
    checked(
        "map-broadcast",
        Bitwise,
        "a scalar function of broadcast scalars is a broadcast scalar",
        check::fold::map_broadcast,
    ),
    checked(
        "argument-constant",
        Bitwise,
        "every call gives this input the same constant",
        check::fold::argument_constant,
    ),
    checked("definition", Real, "an op is what it decomposes into", check::fold::definition),
];

/// A pattern rule made ready.
pub struct Compiled {
    pub rule: &'static Rule,
    pub left: Pattern,
    pub right: Pattern,
    pub domain: Domain,
}

/// The pattern rules whose ops exist.
pub static PATTERNS: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let compile = |rule: &'static Rule| match rule.statement {
        Statement::Pattern { left, right, domain } => {
            Some(Compiled { rule, left: Pattern::parse(left)?, right: Pattern::parse(right)?, domain })
        }
        Statement::Checked(_) => None,
    };
    RULES.iter().filter_map(compile).collect()
});

/// A rule by name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.name == name)
}
