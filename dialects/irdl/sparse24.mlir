// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @sparse24 {
  // Selects two of every four neighbours and stores only them.
  irdl.operation @compress {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.results(values: %1, meta: %2)
    %3 = irdl.base "#builtin.integer"
    %4 = irdl.is "magnitude"
    %5 = irdl.is "value"
    %6 = irdl.any_of(%4, %5)
    irdl.attributes { "axis" = %3, "by" = %6 }
  }

  // Puts compressed values back in their places, zeros elsewhere.
  irdl.operation @decompress {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(values: %0, meta: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(x: %2)
    %3 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %3 }
  }

  // Which two of every four neighbours are best.
  irdl.operation @mask {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(mask: %1)
    %2 = irdl.base "#builtin.integer"
    %3 = irdl.is "magnitude"
    %4 = irdl.is "value"
    %5 = irdl.any_of(%3, %4)
    irdl.attributes { "axis" = %2, "by" = %5 }
  }

  // Matrix product with a 2:4 compressed first factor.
  irdl.operation @matmul {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(values: %0, meta: %1, b: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(y: %3)
    %4 = irdl.base "#builtin.type"
    irdl.attributes { "dtype" = %4 }
  }

  // Zeroes all but the best two of every four neighbours.
  irdl.operation @select {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.integer"
    %3 = irdl.is "magnitude"
    %4 = irdl.is "value"
    %5 = irdl.any_of(%3, %4)
    irdl.attributes { "axis" = %2, "by" = %5 }
  }
}
