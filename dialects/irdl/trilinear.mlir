// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @trilinear {
  // Attention over pairs of keys in two causal windows (2-simplicial attention).
  irdl.operation @attention {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    irdl.operands(q: %0, k1: %1, k2: %2, v1: %3, v2: %4)
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    irdl.results(out: %5, lse: %6)
    %7 = irdl.base "#builtin.integer"
    %8 = irdl.base "#builtin.integer"
    %9 = irdl.base "#builtin.float"
    %10 = irdl.base "#builtin.float"
    %11 = irdl.base "#builtin.float"
    irdl.attributes { "w1" = %7, "w2" = %8, "scale" = %9, "k2_bias" = %10, "v2_bias" = %11 }
  }

  // Gradients of `trilinear.attention`.
  irdl.operation @attention_backward {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    irdl.operands(q: %0, k1: %1, k2: %2, v1: %3, v2: %4, out: %5, lse: %6, dout: %7)
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    irdl.results(dq: %8, dk1: %9, dk2: %10, dv1: %11, dv2: %12)
    %13 = irdl.base "#builtin.integer"
    %14 = irdl.base "#builtin.integer"
    %15 = irdl.base "#builtin.float"
    %16 = irdl.base "#builtin.float"
    %17 = irdl.base "#builtin.float"
    irdl.attributes { "w1" = %13, "w2" = %14, "scale" = %15, "k2_bias" = %16, "v2_bias" = %17 }
  }

  // Trilinear attention whose logits are sums of determinants.
  irdl.operation @determinant {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    irdl.operands(q: %0, k1: %1, k2: %2, v1: %3, v2: %4)
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    irdl.results(out: %5, lse: %6)
    %7 = irdl.base "#builtin.integer"
    %8 = irdl.base "#builtin.integer"
    %9 = irdl.base "#builtin.float"
    irdl.attributes { "w1" = %7, "w2" = %8, "scale" = %9 }
  }
}
