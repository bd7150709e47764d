// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @embedding {
  // Sums or means of table rows, bag by bag.
  irdl.operation @bag {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    irdl.operands(table: %0, indices: %1, offsets: %2, weights: optional %3)
    %4 = irdl.base "!builtin.tensor"
    irdl.results(y: %4)
    %5 = irdl.is "sum"
    %6 = irdl.is "mean"
    %7 = irdl.any_of(%5, %6)
    %8 = irdl.base "#builtin.integer"
    irdl.attributes { "mode" = %7, "include_last" = %8 }
  }

  // Sums or means of rows of an integer table with a scale and bias per row.
  irdl.operation @bag_quantized {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    irdl.operands(table: %0, scale: %1, bias: %2, indices: %3, offsets: %4, weights: optional %5)
    %6 = irdl.base "!builtin.tensor"
    irdl.results(y: %6)
    %7 = irdl.is "sum"
    %8 = irdl.is "mean"
    %9 = irdl.any_of(%7, %8)
    %10 = irdl.base "#builtin.integer"
    %11 = irdl.base "#builtin.type"
    irdl.attributes { "mode" = %9, "include_last" = %10, "dtype" = %11 }
  }
}
