// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @quant {
  // Multiplies each row by its scale.
  irdl.operation @dequantize {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(q: %0, scale: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(x: %2)
    %3 = irdl.base "#builtin.type"
    irdl.attributes { "dtype" = %3 }
  }

  // Quantises each row to an 8-bit float with a scale of its own.
  irdl.operation @rowwise_fp8 {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.results(q: %1, scale: %2)
    %3 = irdl.base "#builtin.type"
    irdl.attributes { "dtype" = %3 }
  }

  // Quantises each row to 8-bit integers with a scale of its own.
  irdl.operation @rowwise_int8 {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.results(q: %1, scale: %2)
  }
}
