//! What a description must keep before a family sees it; hosts build descriptions, but a reproducer file is anyone's.

use tricot_kernel::{Body, Expr, Extent, KernelDesc, Loop, Stage};
use tricot_types::{Diagnostic, Poly};

/// Checks names, buffer numbers and symbols, so that emitters may index without asking.
pub fn check(desc: &KernelDesc) -> Result<(), Diagnostic> {
    let fail = |what: String| {
        Err(Diagnostic::error("TC0509", format!("malformed kernel description: {what}"))
            .at_name(format!("kernel `{}`", desc.name), ""))
    };
    let identifier = |s: &str| {
        s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !s.starts_with(|c: char| c.is_ascii_digit())
    };
    if desc.name.is_empty() || !identifier(&desc.name) {
        return fail(format!("`{}` is not an identifier", desc.name));
    }
    let buffers = desc.buffers.len() as u32;
    let exprs = desc.exprs.len() as u32;
    let mut problem: Option<String> = None;
    let mut poly = |p: &Poly| {
        let mut unknown = None;
        p.visit_symbols(&mut |s| {
            if !desc.symbols.contains(s) {
                unknown = Some(format!("`{s}` is not among the symbols"));
            }
        });
        if let Some(u) = unknown {
            problem.get_or_insert(u);
        }
    };
    let mut bad_operand = None;
    for (id, node) in desc.exprs.iter() {
        desc.exprs.operands(id, |o| {
            if o.0 >= id.0 {
                bad_operand = Some(format!("expression {} uses {} before it is defined", id.0, o.0));
            }
        });
        match &node.expr {
            Expr::Size(p) => poly(p),
            Expr::Load { buffer, index, .. } => {
                if *buffer >= buffers {
                    bad_operand = Some(format!("there is no buffer {buffer}"));
                } else if desc.buffers[*buffer as usize].dtype != node.dtype {
                    bad_operand = Some(format!(
                        "expression {} loads {} as {}",
                        id.0, desc.buffers[*buffer as usize].dtype, node.dtype
                    ));
                }
                index.affine.values().for_each(&mut poly);
                index.dynamic.iter().for_each(|(_, p)| poly(p));
                poly(&index.offset);
            }
            _ => {}
        }
    }
    let mut loops = |list: &[Loop]| {
        for l in list {
            match &l.extent {
                Extent::Size(p) => poly(p),
                Extent::Dynamic(e) if e.0 >= exprs => bad_operand = Some(format!("there is no expression {}", e.0)),
                Extent::Dynamic(_) => {}
            }
        }
    };
    let stores = match &desc.body {
        Body::Nest(nest) => {
            loops(&nest.parallel);
            let mut stores = Vec::new();
            for stage in &nest.stages {
                match stage {
                    Stage::Reduce { loops: l, .. } => loops(l),
                    Stage::Store { loops: l, stores: s } | Stage::Sequential { loops: l, stores: s, .. } => {
                        loops(l);
                        stores.extend(s);
                    }
                }
            }
            stores
        }
        Body::Contraction(c) => {
            [&c.batch, &c.m, &c.n, &c.k].into_iter().for_each(|l| loops(l));
            c.stores.iter().collect()
        }
        Body::SparseContraction(c) => {
            [&c.batch, &c.n].into_iter().for_each(|l| loops(l));
            loops(&[c.m.clone(), c.k.clone()]);
            c.stores.iter().collect()
        }
        Body::Attention(_) => vec![],
    };
    for store in stores {
        if store.buffer >= buffers || store.value.0 >= exprs {
            bad_operand = Some(format!(
                "a store names buffer {} or expression {}, which do not exist",
                store.buffer, store.value.0
            ));
        } else if desc.buffers[store.buffer as usize].dtype != desc.exprs[store.value].dtype {
            let (have, want) = (desc.exprs[store.value].dtype, desc.buffers[store.buffer as usize].dtype);
            bad_operand = Some(format!(
                "a store puts {have} into `{}`, which is {want}",
                desc.buffers[store.buffer as usize].name
            ));
        }
        store.index.affine.values().for_each(&mut poly);
        poly(&store.index.offset);
    }
    match bad_operand.or(problem) {
        Some(what) => fail(what),
        None => Ok(()),
    }
}
