use std::collections::HashMap;
fn main() {
    let (mut ok, mut bad) = (0, 0);
    for f in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&f).unwrap();
        match tricot_ptxsim::syntax::parse(&text) {
            Ok(m) => {
                let mut s = HashMap::new();
                for v in &m.variables { s.insert(v.name.clone(), (v.space, 0u64)); }
                for k in m.functions.iter().filter(|f| f.entry) {
                    match tricot_ptxsim::machine::decode(&m, &k.name, &s, 0) {
                        Ok(_) => ok += 1,
                        Err(e) => { bad += 1; for e in e { println!("FAIL {f} {}: {e}", k.name); } }
                    }
                }
            }
            Err(e) => println!("FAIL {f}: {e}"),
        }
    }
    println!("{ok} ok {bad} bad");
}
