//! Which algorithms that round more than the graph's own ops may be used.
//!
//! The central type is [`Budget`]. Two allowances pay for them. The *free* one is for what no user can tell from another direct
//! implementation: f32 and f64 only, since a 16-bit result is judged by its own rounding, which every Winograd transform exceeds.
//! Single roundings that look small add up over a deep network, so it covers the whole graph: the errors it pays for stay below
//! [`FREE_ROUNDINGS`] in quadrature. The *paid* one is the user's, a plain sum. Both are shared out among the calls of functions.

use std::collections::BTreeMap;
use tricot_dialects::{Attr, Function, Module};
use tricot_proof::TermId;
use tricot_types::DType;

/// Free error of a whole graph, in units of its type's roundoff: for f32 2.9e-6, a third of the bound on f32 results, since ops
/// behind a convolution (a softmax over large logits, say) can amplify it.
const FREE_ROUNDINGS: f64 = 48.0;

/// What one call of a function may spend.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Budget {
    /// Square of the free allowance, in squared units of roundoff.
    free: f64,
    /// Relative error.
    paid: f64,
}

/// One algorithm on offer.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub term: TermId,
    pub dtype: DType,
    /// Relative error beyond the direct algorithm's.
    pub eps: f64,
    /// Operations it saves.
    pub gain: f64,
}

impl Budget {
    /// Every function's budget in a module whose whole budget is `max_rel_err`, and how often each is called in a run.
    pub fn shares(module: &Module, max_rel_err: f64) -> BTreeMap<String, (Budget, f64)> {
        let calls = calls(module);
        let convolutions = |f: &Function| count(f, |n| n.op.name == "nn.conv2d") as f64;
        let all: f64 = module.functions.values().map(|f| calls[&f.name] * convolutions(f)).sum();
        let share = |f: &Function| {
            let part = if all > 0.0 { convolutions(f) / all } else { 0.0 };
            let budget = Budget { free: FREE_ROUNDINGS * FREE_ROUNDINGS * part, paid: max_rel_err * part };
            (f.name.clone(), (budget, calls[&f.name]))
        };
        module.functions.values().map(share).collect()
    }

    /// What can be afforded, and whether freely. Offers that save most for their error come first.
    pub fn afford(mut self, mut offers: Vec<Offer>) -> BTreeMap<TermId, bool> {
        let worth = |o: &Offer| o.gain / (o.eps * o.eps);
        offers.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.term.cmp(&b.term)));
        let mut out = BTreeMap::new();
        for offer in offers {
            let square = (offer.eps / offer.dtype.unit_roundoff()).powi(2);
            if offer.dtype.bits() >= 32 && square <= self.free {
                self.free -= square;
                out.insert(offer.term, true);
            } else if offer.eps <= self.paid {
                self.paid -= offer.eps;
                out.insert(offer.term, false);
            }
        }
        out
    }
}

fn count(function: &Function, wanted: impl Fn(&tricot_dialects::Node) -> bool) -> usize {
    function.live_order().into_iter().filter(|id| wanted(function.node(*id))).count()
}

/// How often a run of `@main` calls each function. Callees come before their callers in no particular order, so counts are passed down
/// until nothing changes; a verified module has no recursion.
fn calls(module: &Module) -> BTreeMap<String, f64> {
    // A library without @main is weighed as if each function were called once.
    let entry = |name: &String| name == Module::MAIN || module.main().is_none();
    let start = |name: &String| (name.clone(), f64::from(u8::from(entry(name))));
    let mut out: BTreeMap<String, f64> = module.functions.keys().map(start).collect();
    for _ in 0..module.functions.len() {
        let mut next: BTreeMap<String, f64> = module.functions.keys().map(start).collect();
        for f in module.functions.values() {
            for id in f.live_order() {
                if let Some(Attr::Str(callee)) = f.node(id).attrs.get("callee") {
                    *next.entry(callee.to_string()).or_default() += out[&f.name];
                }
            }
        }
        out = next;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricot_dialects::{Attrs, Builder, TensorType};

    fn offers(n: u32, eps: f64) -> Vec<Offer> {
        (0..n).map(|i| Offer { term: TermId(i), dtype: DType::F32, eps, gain: 1.0 }).collect()
    }

    #[test]
    fn free_errors_add_in_quadrature_and_paid_ones_plainly() {
        let f32_roundoff = DType::F32.unit_roundoff();
        let budget = Budget { free: FREE_ROUNDINGS * FREE_ROUNDINGS, paid: 10.0 };
        // Eight roundings each: 36 of them fill 48.
        let found = budget.afford(offers(40, 8.0 * f32_roundoff));
        assert_eq!(found.values().filter(|free| **free).count(), 36);
        assert_eq!(Budget { paid: 0.0, ..budget }.afford(offers(40, 8.0 * f32_roundoff)).len(), 36);
        assert_eq!(budget.afford(offers(40, 3.0)).len(), 3);
    }

    #[test]
    fn sixteen_bit_results_are_never_free() {
        let budget = Budget { free: FREE_ROUNDINGS * FREE_ROUNDINGS, paid: 0.0 };
        let half = Offer { dtype: DType::F16, ..offers(1, 4.8e-4)[0] };
        assert!(budget.afford(vec![half]).is_empty());
        assert_eq!(Budget { paid: 1e-3, ..budget }.afford(vec![half]).into_values().collect::<Vec<_>>(), [false]);
    }

    #[test]
    fn calls_share_the_budget() {
        let mut module = Module::new("m");
        let ty = TensorType::new(DType::F32, [1, 4, 8, 8]);
        let mut block = Function::new("block");
        let mut b = Builder::new(&mut block, &mut module.constants);
        let (x, w) = (b.input("x", ty.clone()), b.input("w", TensorType::new(DType::F32, [4, 4, 3, 3])));
        let y = b.one("nn.conv2d", &[x, w], Attrs::new().with("pad", vec![1, 1, 1, 1])).unwrap();
        b.output("y", y);
        module.add_function(block);
        let mut main = Function::new(Module::MAIN);
        let mut b = Builder::new(&mut main, &mut module.constants).with_callees(&module.functions);
        let (mut x, w) = (b.input("x", ty), b.input("w", TensorType::new(DType::F32, [4, 4, 3, 3])));
        for _ in 0..4 {
            x = b.one("core.call", &[x, w], Attrs::new().with("callee", "block")).unwrap();
        }
        b.output("y", x);
        module.add_function(main);
        let shares = Budget::shares(&module, 0.4);
        let (budget, calls) = shares["block"];
        assert_eq!(calls, 4.0);
        assert!((budget.paid - 0.1).abs() < 1e-12, "{budget:?}");
        assert!((budget.free - FREE_ROUNDINGS * FREE_ROUNDINGS / 4.0).abs() < 1e-9, "{budget:?}");
        assert_eq!(shares[Module::MAIN].0, Budget { free: 0.0, paid: 0.0 });
    }
}
