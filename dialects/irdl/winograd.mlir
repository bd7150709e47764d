// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @winograd {
  // Transforms convolution filters to the tap domain.
  irdl.operation @filter {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(w: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(u: %1)
    %2 = irdl.base "#builtin.integer"
    %3 = irdl.base "#builtin.integer"
    irdl.attributes { "m" = %2, "r" = %3 }
  }

  // Transforms image tiles to the tap domain.
  irdl.operation @input {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(v: %1)
    %2 = irdl.base "#builtin.integer"
    %3 = irdl.base "#builtin.integer"
    %4 = irdl.base "#builtin.dense_array"
    irdl.attributes { "m" = %2, "r" = %3, "pad" = %4 }
  }

  // Transforms tap products back to an image.
  irdl.operation @output {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(y: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(z: %1)
    %2 = irdl.base "#builtin.integer"
    %3 = irdl.base "#builtin.integer"
    %4 = irdl.base "#builtin.array"
    irdl.attributes { "m" = %2, "r" = %3, "size" = %4 }
  }
}
