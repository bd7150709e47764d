fn main() {
    let f = std::env::args().nth(1).unwrap();
    let mut d = tricot_ptxsim::Device::new();
    let m = d.load(&std::fs::read_to_string(f).unwrap()).unwrap();
    let name = m.kernels().next().unwrap().to_string();
    let p = m.kernel(&name).unwrap();
    for (pc, i) in p.code.iter().enumerate() {
        let b = p.flow.block_at[pc];
        if b != u32::MAX { println!("pc {pc} line {} block {b} place {} end {}", i.line, p.flow.order[b as usize], p.flow.loop_end[b as usize]); }
    }
}
