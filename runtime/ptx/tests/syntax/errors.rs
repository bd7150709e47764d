//! What is said of a wrong text.

use tricot_ptx::{Code, Limits, parse, parse_within};

fn error(body: &str) -> tricot_ptx::SyntaxError {
    let text = format!(".version 8.7\n.target sm_90a\n.entry k()\n{{\n{body}\n}}");
    parse(&text).expect_err(body)
}

#[test]
fn code_and_place() {
    for (body, code, line, column) in [
        ("ret", Code::Unexpected, 6, 1),
        ("add.s32 %r1 %r2;", Code::Unexpected, 5, 13),
        ("  %r1;", Code::Unexpected, 5, 3),
        ("/* é\n ü */ add.s32 %r1, ;", Code::Unexpected, 6, 20),
        ("mov.b32 %r1, 08;", Code::Number, 5, 14),
        ("mov.b32 %r1, 0f123;", Code::Number, 5, 14),
        ("mov.b64 %r1, 99999999999999999999;", Code::Number, 5, 14),
        ("add `;", Code::Character, 5, 5),
        ("\"open", Code::Character, 5, 1),
        ("/* open", Code::Character, 5, 1),
        (".reg .b32 %r<4000000000>;", Code::Limit, 5, 14),
        (".reg .b32 %r<99999999999>;", Code::Limit, 5, 14),
        (".reg .b33 %r;", Code::Directive, 5, 6),
        (".regs .b32 %r;", Code::Directive, 5, 1),
        (".local .b8 x[99999999999999];", Code::Limit, 5, 12),
        (".local .b8 x[-1];", Code::Range, 5, 14),
        (".local .align 3 .b8 x[4];", Code::Range, 5, 15),
        (".local .b8 x[1/0];", Code::Range, 5, 15),
        (".shared .texref t;", Code::Unsupported, 5, 9),
        ("# define", Code::Unsupported, 5, 1),
        ("mov.b32 %r1, {};", Code::Unexpected, 5, 15),
        ("mov.b32 %r1, 1.5 + 1;", Code::Unexpected, 5, 18),
        ("ld.b32 %r1, [%r2;", Code::Unexpected, 5, 17),
    ] {
        let error = error(body);
        assert_eq!((error.code, error.line, error.column), (code, line, column), "{body}: {error}");
    }
}

#[test]
fn message() {
    let said = error("add.s32 %r1 %r2;").to_string();
    assert_eq!(said, "TC1101: line 5, column 13: expected `,` or `;`, found `%r2`");
    let said = error(".reg .b32 %r<4000000000>;").to_string();
    assert_eq!(said, "TC1104: line 5, column 14: expected at most 1048576 registers in a function, found `4000000000`");
}

#[test]
fn outside_functions() {
    for (text, code) in [
        ("", Code::Unexpected),
        (".version 8", Code::Number),
        (".version 8.7\n.entry", Code::Unexpected),
        (".version 8.7\n.target sm_90a\n.address_size 16", Code::Range),
        (".version 8.7\n.target sm_90a\n.reg .b32 %r;", Code::Directive),
        (".version 8.7\n.target sm_90a\n.entry k() .maxthreads 4 {}", Code::Directive),
        (".version 8.7\n.target sm_90a\n.entry k() .maxnreg 99999999999 {}", Code::Range),
        (".version 8.7\n.target sm_90a\nadd.s32 a, b, c;", Code::Unexpected),
        (".version 8.7\n.target sm_90a\n.entry k() {", Code::Unexpected),
        (".version 8.7\n.target sm_90a\n.section .debug_str { .f32 1 }", Code::Directive),
    ] {
        assert_eq!(parse(text).expect_err(text).code, code, "{text}");
    }
}

/// Nesting of every kind ends at the limit, long before the stack does, even a small one.
#[test]
fn depth() {
    let small = std::thread::Builder::new().stack_size(512 << 10);
    small.spawn(deep_texts).expect("a thread").join().expect("no panic");
}

fn deep_texts() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
    for body in [
        deep("{", "}"),
        format!("mov.b32 %r1, {};", deep("{", "}")),
        format!("mov.b32 %r1, {};", deep("[x, ", "]")),
        format!("mov.b32 %r1, {}1;", "-".repeat(200_000)),
        format!("mov.b32 %r1, {}1;", "(".repeat(200_000)),
        format!("mov.b32 %r1, {}1;", "1 ? ".repeat(200_000)),
        format!("mov.b32 %r1, 1{};", " ? 1 : 1".repeat(200_000)),
        format!("mov.b32 %r1, {}1;", "(.s64)".repeat(200_000)),
        format!("call ({});", "[x, {".repeat(200_000)),
        format!(".global .b32 x[] = {};", deep("{", "}")),
    ] {
        assert_eq!(error(&body).code, Code::Limit, "{}", &body[..40]);
    }
    assert!(parse(&format!(".version 8.7 .target sm_90a .entry k() {}{}", "{".repeat(64), "}".repeat(64))).is_ok());
}

#[test]
fn limits_are_kept() {
    let text = ".version 8.7 .target sm_90a .entry k() { .reg .b32 a<4>; .local .b8 x[8]; ret; ret; }";
    let limits = Limits::default();
    assert!(parse_within(text, &limits).is_ok());
    for limits in [
        Limits { text: text.len() - 1, ..limits.clone() },
        Limits { registers: 3, ..limits.clone() },
        Limits { variable: 7, ..limits.clone() },
        Limits { nodes: 15, ..limits.clone() },
        Limits { depth: 0, ..limits.clone() },
    ] {
        assert_eq!(parse_within(text, &limits).unwrap_err().code, Code::Limit, "{limits:?}");
    }
}
