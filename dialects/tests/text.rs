//! Graph text: round trips and located errors.

use tricot_dialects::ConstantStore;
use tricot_dialects::text::{parse, print};

pub const EXAMPLE: &str = r#"module @example
symbol b {max = 64, multiple = 8}
symbol s

func @main(%x: f32[b, s, 4], %the_weight "the weight": f32[4, 8]) {
  %0 = core.contract %x, %the_weight {dtype = f32, spec = "bsk,kn->bsn"} : f32[b, s, 8]
  %1 = core.constant {value = dense<[0.0, -1.5, inf, nan, 1e-30, 2.0, 3.0, 4.0]>} : f32[8]
  %2 = core.broadcast %1 {axes = [2], shape = [b, s, 8]} : f32[b, s, 8]
  %y = core.map %0, %2 {fn = "add"} : f32[b, s, 8]
  %3 = core.reshape %y {shape = [b, 8*s]} : f32[b, 8*s]
  %v, %i = core.top_k %3 {axis = 1, k = 4} : f32[b, 4], i64[b, 4]
  %4 = core.window %3 {axes = [1], dilation = [1], size = [3], stride = [2]} : f32[b, 4*s - 1, 3]
  return "y" = %v, "at" = %i, "w" = %4
}
"#;

#[test]
fn printing_inverts_parsing() {
    let module = parse("example.tri", EXAMPLE, &ConstantStore::default()).unwrap_or_else(|e| panic!("{}", e[0]));
    assert_eq!(print(&module), EXAMPLE);
}

#[test]
fn every_broken_statement_is_reported_where_it_is() {
    let text = EXAMPLE.replace("core.reshape", "core.reshap").replace("fn = \"add\"", "fn = \"addd\"");
    let problems = parse("bad.tri", &text, &ConstantStore::default()).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|p| p.to_string()).collect();
    assert!(lines[0].contains("TC0110") && lines[0].contains("bad.tri:9:"), "{}", lines[0]);
    assert!(lines.iter().any(|l| l.contains("TC0103") && l.contains("did you mean `core.reshape`")), "{lines:?}");
}

#[test]
fn wrong_shapes_name_both_sizes() {
    let text = EXAMPLE.replace("f32[4, 8])", "f32[5, 8])");
    let problems = parse("bad.tri", &text, &ConstantStore::default()).unwrap_err();
    assert!(problems[0].message.contains("axis `k` has size 4 and size 5"), "{}", problems[0]);
}
