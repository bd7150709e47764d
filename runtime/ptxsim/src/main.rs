fn main() {
    for f in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&f).unwrap();
        match tricot_ptxsim::syntax::parse(&text) {
            Ok(m) => {
                let n: usize = m.functions.iter().map(|f| f.body.as_ref().map_or(0, |b| b.len())).sum();
                println!("ok {n} {f}")
            }
            Err(e) => println!("FAIL {f}: {e}"),
        }
    }
}
