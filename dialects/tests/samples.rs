//! One call or more of every op, as graph text with the result types written out by hand: `inputs | statement; statement`.
//! Several test binaries read it.

use tricot_dialects::text::parse;
use tricot_dialects::{ConstantStore, Module};

/// The samples. Symbols b, s and n are declared.
pub const SAMPLES: &[&str] = &[
    // core
    r#"%x: f32[5, 3], %i: i64[4] | %y = core.gather %x, %i {axis = 0} : f32[4, 3]"#,
    r#"%x: f32[2, 5, 3], %i: i64[2, 4] | %y = core.gather %x, %i {axis = 1, batch_dims = 1} : f32[2, 4, 3]"#,
    r#"%x: f32[5, 3], %i: i32[4], %u: f32[4, 3] | %y = core.scatter %x, %i, %u {combine = "add"} : f32[5, 3]"#,
    r#"%x: f32[6, 3], %u: f32[2, 3] | %y = core.update_slice %x, %u {start = [3, 0]} : f32[6, 3]"#,
    r#"%x: f32[b, s, 4], %w: f32[4, 6] | %y = core.contract %x, %w {dtype = f32, spec = "bsk,kn->bsn"} : f32[b, s, 6]"#,
    r#"%x: f16[b, 4], %w: f16[4, 6], %v: f16[6] | %y = core.contract %x, %w, %v {dtype = f32, spec = "bk,kn,n->b"} : f32[b]"#,
    r#"%x: f32[b, s] | %y = core.cast %x {to = bf16} : bf16[b, s]"#,
    r#"%x: f32[b, s] | %y = core.map %x {fn = "tanh"} : f32[b, s]"#,
    r#"%x: f32[b, s], %y: f32[b, s] | %m = core.map %x, %y {fn = "lt"} : bool[b, s]; %z = core.select %m, %x, %y : f32[b, s]"#,
    r#"%x: f32[b, 7] | %v, %i = core.top_k %x {axis = 1, k = 3} : f32[b, 3], i64[b, 3]"#,
    r#"%x: f32[b, 7] | %y = core.arg_reduce %x {axis = 1, kind = "max"} : i64[b]"#,
    r#"%x: f32[b, s, 5] | %y = core.reduce %x {axes = [0, 2], kind = "sum"} : f32[s]"#,
    r#"%x: f32[b, 5] | %y = core.scan %x {axis = 1, kind = "sum"} : f32[b, 5]"#,
    r#"%x: f32[s, 1] | %y = core.broadcast %x {axes = [2, 0], shape = [3, b, s]} : f32[3, b, s]"#,
    r#"%x: f32[b, 2], %y: f32[b, s] | %z = core.concat %x, %y {axis = 1} : f32[b, s + 2]"#,
    r#"%x: f32[b, 3], %v: f32[] | %y = core.pad %x, %v {high = [1, 0], interior = [0, 2], low = [0, 1]} : f32[b + 1, 8]"#,
    r#"%x: f32[b, s, 4] | %y = core.reshape %x {shape = [b*s, 2, 2]} : f32[b*s, 2, 2]"#,
    r#"%x: f32[b, 9] | %y = core.slice %x {size = [b, 3], start = [0, 7], step = [1, -3]} : f32[b, 3]"#,
    r#"%x: f32[b, s, 4] | %y = core.transpose %x {perm = [2, 0, 1]} : f32[4, b, s]"#,
    r#"%x: f32[b, 9] | %y = core.window %x {axes = [1], dilation = [2], size = [3], stride = [2]} : f32[b, 3, 3]"#,
    r#"| %y = core.constant {value = dense<[1.0, 2.5]>} : f32[2]"#,
    r#"| %y = core.iota {axis = 1, dtype = i32, shape = [b, s]} : i32[b, s]"#,
    r#"| %y = core.random {dtype = f32, kind = "normal", seed = 7, shape = [b, 4]} : f32[b, 4]"#,
    r#"| %y = core.size {value = b*s + 1} : i64[]"#,
    // nn
    r#"%x: f32[b, s] | %y = nn.celu %x {alpha = 1.5} : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.elu %x {alpha = 0.5} : f32[b, s]"#,
    r#"%x: bf16[b, s] | %y = nn.gelu %x : bf16[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.gelu %x {approximate = "tanh"} : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.hard_sigmoid %x : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.hard_swish %x : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.leaky_relu %x {alpha = 0.1} : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.mish %x : f32[b, s]"#,
    r#"%x: f32[b, 3, s], %a: f32[3, 1] | %y = nn.prelu %x, %a : f32[b, 3, s]"#,
    r#"%x: f32[b, s] | %y = nn.selu %x : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.shrink %x {bias = 0.25, lambd = 0.75} : f32[b, s]"#,
    r#"%x: f16[b, s] | %y = nn.silu %x : f16[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.softplus %x : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.softsign %x : f32[b, s]"#,
    r#"%x: f32[b, s] | %y = nn.thresholded_relu %x {alpha = 0.5} : f32[b, s]"#,
    r#"%q: f32[b, s, 4, 8], %k: f32[b, n, 2, 8], %v: f32[b, n, 2, 6] | %o, %l = nn.attention %q, %k, %v {scale = 0.5} : f32[b, s, 4, 6], f32[b, 4, s]"#,
    r#"%q: f32[2, 5, 4, 8], %k: f32[2, 7, 2, 8], %v: f32[2, 7, 2, 6], %z: f32[1, 4, 1, 7] | %o, %l = nn.attention %q, %k, %v, %z {causal = true, offset = 2, scale = 0.5, window = 3} : f32[2, 5, 4, 6], f32[2, 4, 5]"#,
    r#"%q: bf16[1, 5, 2, 8], %k: bf16[1, 3, 1, 8], %v: bf16[1, 3, 1, 8] | %o, %l = nn.attention %q, %k, %v {causal = true, offset = -2, scale = 0.5} : bf16[1, 5, 2, 8], f32[1, 2, 5]"#,
    r#"%x: f32[b, 4, 9, 8], %w: f32[6, 4, 3, 2] | %y = nn.conv2d %x, %w {dilation = [1, 2], pad = [1, 0, 1, 2], stride = [2, 1]} : f32[b, 6, 5, 8]"#,
    r#"%x: f32[b, 4, n, 8], %w: f32[6, 2, 3, 3] | %y = nn.conv2d %x, %w {groups = 2, pad = [1, 1, 1, 1]} : f32[b, 6, n, 8]"#,
    r#"%x: f32[b, 3, s], %g: f32[3], %c: f32[3], %m: f32[3], %var: f32[3] | %y = nn.batch_norm %x, %g, %c, %m, %var : f32[b, 3, s]"#,
    r#"%x: f32[b, 6, s], %g: f32[6], %c: f32[6] | %y = nn.group_norm %x, %g, %c {groups = 2} : f32[b, 6, s]"#,
    r#"%x: f32[b, 3, s], %g: f32[3], %c: f32[3] | %y = nn.instance_norm %x, %g, %c {epsilon = 0.01} : f32[b, 3, s]"#,
    r#"%x: bf16[b, s, 16], %g: bf16[16], %c: bf16[16] | %y = nn.layer_norm %x, %g, %c {axis = 2} : bf16[b, s, 16]"#,
    r#"%x: f32[b, s, 16], %g: f32[s, 16] | %y = nn.layer_norm %x, %g {axis = 1} : f32[b, s, 16]"#,
    r#"%x: bf16[b, s, 16], %g: f32[16] | %y = nn.rms_norm %x, %g {axis = 2, epsilon = 1e-6} : bf16[b, s, 16]"#,
    r#"%x: f32[b, 2, 9, 7] | %y = nn.avg_pool2d %x {pad = [1, 0, 0, 1], size = [3, 2], stride = [2, 2]} : f32[b, 2, 4, 4]"#,
    r#"%x: f32[b, 2, 9, 7] | %y = nn.avg_pool2d %x {count_pad = true, dilation = [2, 1], pad = [1, 1, 1, 1], size = [3, 3]} : f32[b, 2, 7, 7]"#,
    r#"%x: f32[b, 2, 9, 7] | %y = nn.max_pool2d %x {pad = [1, 0, 1, 0], size = [2, 3], stride = [1, 2]} : f32[b, 2, 10, 3]"#,
    r#"%x: f32[b, s, 2, 8], %c: f32[s, 4], %d: f32[s, 4] | %y = nn.rope %x, %c, %d : f32[b, s, 2, 8]"#,
    r#"%x: f32[b, s, 2, 8], %c: f32[b, s, 4], %d: f32[b, s, 4] | %y = nn.rope %x, %c, %d {interleaved = true} : f32[b, s, 2, 8]"#,
    r#"%x: f32[b, s, 5] | %y = nn.log_softmax %x {axis = 1} : f32[b, s, 5]"#,
    r#"%x: bf16[b, s, 5] | %y = nn.softmax %x {axis = 2} : bf16[b, s, 5]"#,
    // trilinear
    r#"%q: f32[b, s, 4, 6], %k1: f32[b, s, 2, 6], %k2: f32[b, s, 2, 6], %v1: f32[b, s, 2, 5], %v2: f32[b, s, 2, 5] | %o, %l = trilinear.attention %q, %k1, %k2, %v1, %v2 {scale = 0.4, w1 = 4, w2 = 3} : f32[b, s, 4, 5], f32[b, 4, s]"#,
    r#"%q: bf16[2, 7, 2, 6], %k1: bf16[2, 7, 1, 6], %k2: bf16[2, 7, 1, 6], %v1: bf16[2, 7, 1, 6], %v2: bf16[2, 7, 1, 6] | %o, %l = trilinear.attention %q, %k1, %k2, %v1, %v2 {k2_bias = 0.25, scale = 0.4, v2_bias = 1.0, w1 = 2, w2 = 9} : bf16[2, 7, 2, 6], f32[2, 2, 7]"#,
    r#"%q: f32[b, s, 4, 6], %k1: f32[b, s, 2, 6], %k2: f32[b, s, 2, 6], %v1: f32[b, s, 2, 5], %v2: f32[b, s, 2, 5], %d: f32[b, s, 4, 5] | %o, %l = trilinear.attention %q, %k1, %k2, %v1, %v2 {k2_bias = 0.5, scale = 0.4, v2_bias = 1.0, w1 = 4, w2 = 3} : f32[b, s, 4, 5], f32[b, 4, s]; %dq, %dk1, %dk2, %dv1, %dv2 = trilinear.attention_backward %q, %k1, %k2, %v1, %v2, %o, %l, %d {k2_bias = 0.5, scale = 0.4, v2_bias = 1.0, w1 = 4, w2 = 3} : f32[b, s, 4, 6], f32[b, s, 2, 6], f32[b, s, 2, 6], f32[b, s, 2, 5], f32[b, s, 2, 5]"#,
    r#"%q: f32[b, s, 2, 6], %k1: f32[b, s, 1, 6], %k2: f32[b, s, 1, 6], %v1: f32[b, s, 1, 5], %v2: f32[b, s, 1, 5] | %o, %l = trilinear.determinant %q, %k1, %k2, %v1, %v2 {scale = 0.4, w1 = 4, w2 = 3} : f32[b, s, 2, 5], f32[b, 2, s]"#,
    // sparse24
    r#"%x: f32[s, 8] | %m = sparse24.mask %x {axis = 1} : bool[s, 8]"#,
    r#"%x: i8[8, s] | %m = sparse24.mask %x {axis = 0, by = "value"} : bool[8, s]"#,
    r#"%x: bf16[2, 4*s, 3] | %y = sparse24.select %x {axis = 1, by = "value"} : bf16[2, 4*s, 3]"#,
    r#"%x: f16[b, 3, 8*s] | %v, %m = sparse24.compress %x {axis = 2} : f16[b, 3, 4*s, sparse24<2>], u8[b, 3, s]; %y = sparse24.decompress %v, %m {axis = 2} : f16[b, 3, 8*s]"#,
    r#"%v: f32[b, 6, 8], %m: u8[b, 6, 2], %c: f32[b, 16, s] | %y = sparse24.matmul %v, %m, %c {dtype = f32} : f32[b, 6, s]"#,
    r#"%a: bf16[5, 16], %c: bf16[16, s] | %v, %m = sparse24.compress %a {axis = 1} : bf16[5, 8, sparse24<1>], u8[5, 2]; %y = sparse24.matmul %v, %m, %c {dtype = f32} : f32[5, s]"#,
    // winograd
    r#"%w: f32[6, 5, 3, 3] | %u = winograd.filter %w {m = 4, r = 3} : f32[6, 6, 6, 5, winograd<4, 3>]"#,
    r#"%w: bf16[6, 5, 2, 2] | %u = winograd.filter %w {m = 2, r = 2} : bf16[3, 3, 6, 5, winograd<2, 2>]"#,
    r#"%x: f32[b, 5, 9, s] | %v = winograd.input %x {m = 2, pad = [1, 1, 1, 1], r = 3} : f32[4, 4, b, 5, ((s + 1) floordiv 2), 5, winograd<2, 3>]"#,
    r#"%y: f32[6, 6, b, 2, 3, 7, winograd<4, 3>] | %z = winograd.output %y {m = 4, r = 3, size = [7, 12]} : f32[b, 7, 7, 12]"#,
    r#"%x: f32[2, 3, 9, 7], %w: f32[4, 3, 3, 3] | %v = winograd.input %x {m = 4, pad = [1, 0, 1, 1], r = 3} : f32[6, 6, 2, 3, 2, 3, winograd<4, 3>]; %u = winograd.filter %w {m = 4, r = 3} : f32[6, 6, 4, 3, winograd<4, 3>]; %t = core.contract %v, %u {dtype = f32, spec = "abnhwc,abfc->abnhwf"} : f32[6, 6, 2, 3, 2, 4]; %z = winograd.output %t {m = 4, r = 3, size = [9, 6]} : f32[2, 4, 9, 6]"#,
    // quant
    r#"%x: f32[b, s, 8] | %q, %c = quant.rowwise_fp8 %x : f8e4m3[b, s, 8], f32[b, s]"#,
    r#"%x: bf16[b, 8] | %q, %c = quant.rowwise_fp8 %x {dtype = f8e5m2} : f8e5m2[b, 8], f32[b]; %y = quant.dequantize %q, %c {dtype = bf16} : bf16[b, 8]"#,
    r#"%x: f32[b, 8] | %q, %c = quant.rowwise_int8 %x : i8[b, 8], f32[b]; %y = quant.dequantize %q, %c : f32[b, 8]"#,
    // embedding
    r#"%t: f32[7, 5], %i: i64[n], %o: i64[b] | %y = embedding.bag %t, %i, %o : f32[b, 5]"#,
    r#"%t: bf16[7, 5], %i: i32[n], %o: i32[b] | %y = embedding.bag %t, %i, %o {include_last = true, mode = "mean"} : bf16[b - 1, 5]"#,
    r#"%t: f32[7, 5], %i: i64[n], %o: i64[b], %w: f32[n] | %y = embedding.bag %t, %i, %o, %w : f32[b, 5]"#,
    r#"%t: u4[7, 6], %a: f32[7], %c: f32[7], %i: i64[n], %o: i64[b] | %y = embedding.bag_quantized %t, %a, %c, %i, %o : f32[b, 6]"#,
    r#"%t: i8[7, 6], %a: f16[7], %c: f16[7], %i: i64[n], %o: i64[b], %w: f32[n] | %y = embedding.bag_quantized %t, %a, %c, %i, %o, %w {dtype = f16} : f16[b, 6]"#,
];

/// The module text of a sample: all results of its statements are outputs.
pub fn text(sample: &str) -> String {
    let (inputs, body) = sample.split_once('|').expect("inputs | statements");
    let statements: Vec<&str> = body.split(';').map(str::trim).collect();
    let names: Vec<String> = statements
        .iter()
        .flat_map(|s| s.split_once(" = ").expect("a statement").0.split(", "))
        .map(|n| format!("{:?} = {n}", n.trim_start_matches('%')))
        .collect();
    let body: String = statements.iter().map(|s| format!("  {s}\n")).collect();
    let inputs = inputs.trim();
    format!(
        "module @sample\nsymbol b\nsymbol n\nsymbol s\n\nfunc @main({inputs}) {{\n{body}  return {}\n}}\n",
        names.join(", ")
    )
}

/// The parsed module of a sample.
pub fn module(sample: &str) -> Module {
    parse("sample", &text(sample), &ConstantStore::default()).unwrap_or_else(|e| panic!("{sample}\n{}", e[0]))
}
