// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @core {
  // Position of the largest or smallest element along an axis.
  irdl.operation @arg_reduce {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(position: %1)
    %2 = irdl.is "max"
    %3 = irdl.is "min"
    %4 = irdl.any_of(%2, %3)
    %5 = irdl.base "#builtin.integer"
    %6 = irdl.base "#builtin.integer"
    irdl.attributes { "kind" = %4, "axis" = %5, "last" = %6 }
  }

  // Repeats a tensor along new or size-1 axes.
  irdl.operation @broadcast {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.array"
    %3 = irdl.base "#builtin.dense_array"
    irdl.attributes { "shape" = %2, "axes" = %3 }
  }

  // Converts the element type.
  irdl.operation @cast {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.type"
    %3 = irdl.is "round"
    %4 = irdl.is "saturate"
    %5 = irdl.is "bits"
    %6 = irdl.any_of(%3, %4, %5)
    irdl.attributes { "to" = %2, "mode" = %6 }
  }

  // Joins tensors along an axis.
  irdl.operation @concat_1 {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %2 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_2 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(result: %2)
    %3 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %3 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_3 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(result: %3)
    %4 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %4 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_4 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3)
    %4 = irdl.base "!builtin.tensor"
    irdl.results(result: %4)
    %5 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %5 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_5 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4)
    %5 = irdl.base "!builtin.tensor"
    irdl.results(result: %5)
    %6 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %6 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_6 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5)
    %6 = irdl.base "!builtin.tensor"
    irdl.results(result: %6)
    %7 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %7 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_7 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6)
    %7 = irdl.base "!builtin.tensor"
    irdl.results(result: %7)
    %8 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %8 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_8 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7)
    %8 = irdl.base "!builtin.tensor"
    irdl.results(result: %8)
    %9 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %9 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_9 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8)
    %9 = irdl.base "!builtin.tensor"
    irdl.results(result: %9)
    %10 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %10 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_10 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9)
    %10 = irdl.base "!builtin.tensor"
    irdl.results(result: %10)
    %11 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %11 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_11 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10)
    %11 = irdl.base "!builtin.tensor"
    irdl.results(result: %11)
    %12 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %12 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_12 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11)
    %12 = irdl.base "!builtin.tensor"
    irdl.results(result: %12)
    %13 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %13 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_13 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12)
    %13 = irdl.base "!builtin.tensor"
    irdl.results(result: %13)
    %14 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %14 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_14 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13)
    %14 = irdl.base "!builtin.tensor"
    irdl.results(result: %14)
    %15 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %15 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_15 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    %14 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13, operands14: %14)
    %15 = irdl.base "!builtin.tensor"
    irdl.results(result: %15)
    %16 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %16 }
  }
  // Joins tensors along an axis.
  irdl.operation @concat_16 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    %14 = irdl.base "!builtin.tensor"
    %15 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13, operands14: %14, operands15: %15)
    %16 = irdl.base "!builtin.tensor"
    irdl.results(result: %16)
    %17 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %17 }
  }

  // A constant tensor of the module's store.
  irdl.operation @constant {
    %0 = irdl.base "!builtin.tensor"
    irdl.results(value: %0)
    %1 = irdl.any
    irdl.attributes { "value" = %1 }
  }

  // Einstein sum of any number of tensors.
  irdl.operation @contract_1 {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.string"
    %3 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %2, "dtype" = %3 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_2 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(result: %2)
    %3 = irdl.base "#builtin.string"
    %4 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %3, "dtype" = %4 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_3 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(result: %3)
    %4 = irdl.base "#builtin.string"
    %5 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %4, "dtype" = %5 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_4 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3)
    %4 = irdl.base "!builtin.tensor"
    irdl.results(result: %4)
    %5 = irdl.base "#builtin.string"
    %6 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %5, "dtype" = %6 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_5 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4)
    %5 = irdl.base "!builtin.tensor"
    irdl.results(result: %5)
    %6 = irdl.base "#builtin.string"
    %7 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %6, "dtype" = %7 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_6 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5)
    %6 = irdl.base "!builtin.tensor"
    irdl.results(result: %6)
    %7 = irdl.base "#builtin.string"
    %8 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %7, "dtype" = %8 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_7 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6)
    %7 = irdl.base "!builtin.tensor"
    irdl.results(result: %7)
    %8 = irdl.base "#builtin.string"
    %9 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %8, "dtype" = %9 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_8 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7)
    %8 = irdl.base "!builtin.tensor"
    irdl.results(result: %8)
    %9 = irdl.base "#builtin.string"
    %10 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %9, "dtype" = %10 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_9 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8)
    %9 = irdl.base "!builtin.tensor"
    irdl.results(result: %9)
    %10 = irdl.base "#builtin.string"
    %11 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %10, "dtype" = %11 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_10 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9)
    %10 = irdl.base "!builtin.tensor"
    irdl.results(result: %10)
    %11 = irdl.base "#builtin.string"
    %12 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %11, "dtype" = %12 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_11 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10)
    %11 = irdl.base "!builtin.tensor"
    irdl.results(result: %11)
    %12 = irdl.base "#builtin.string"
    %13 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %12, "dtype" = %13 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_12 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11)
    %12 = irdl.base "!builtin.tensor"
    irdl.results(result: %12)
    %13 = irdl.base "#builtin.string"
    %14 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %13, "dtype" = %14 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_13 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12)
    %13 = irdl.base "!builtin.tensor"
    irdl.results(result: %13)
    %14 = irdl.base "#builtin.string"
    %15 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %14, "dtype" = %15 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_14 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13)
    %14 = irdl.base "!builtin.tensor"
    irdl.results(result: %14)
    %15 = irdl.base "#builtin.string"
    %16 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %15, "dtype" = %16 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_15 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    %14 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13, operands14: %14)
    %15 = irdl.base "!builtin.tensor"
    irdl.results(result: %15)
    %16 = irdl.base "#builtin.string"
    %17 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %16, "dtype" = %17 }
  }
  // Einstein sum of any number of tensors.
  irdl.operation @contract_16 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    %14 = irdl.base "!builtin.tensor"
    %15 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13, operands14: %14, operands15: %15)
    %16 = irdl.base "!builtin.tensor"
    irdl.results(result: %16)
    %17 = irdl.base "#builtin.string"
    %18 = irdl.base "#builtin.type"
    irdl.attributes { "spec" = %17, "dtype" = %18 }
  }

  // Takes slices at given positions along an axis.
  irdl.operation @gather {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(data: %0, indices: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(result: %2)
    %3 = irdl.base "#builtin.integer"
    %4 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %3, "batch_dims" = %4 }
  }

  // Positions along an axis.
  irdl.operation @iota {
    %0 = irdl.base "!builtin.tensor"
    irdl.results(value: %0)
    %1 = irdl.base "#builtin.type"
    %2 = irdl.base "#builtin.array"
    %3 = irdl.base "#builtin.integer"
    irdl.attributes { "dtype" = %1, "shape" = %2, "axis" = %3 }
  }

  // A scalar function at every point.
  irdl.operation @map_1 {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.is "neg"
    %3 = irdl.is "abs"
    %4 = irdl.is "sign"
    %5 = irdl.is "floor"
    %6 = irdl.is "ceil"
    %7 = irdl.is "round"
    %8 = irdl.is "trunc"
    %9 = irdl.is "sqrt"
    %10 = irdl.is "rsqrt"
    %11 = irdl.is "recip"
    %12 = irdl.is "exp"
    %13 = irdl.is "exp2"
    %14 = irdl.is "expm1"
    %15 = irdl.is "log"
    %16 = irdl.is "log2"
    %17 = irdl.is "log1p"
    %18 = irdl.is "sin"
    %19 = irdl.is "cos"
    %20 = irdl.is "tan"
    %21 = irdl.is "asin"
    %22 = irdl.is "acos"
    %23 = irdl.is "atan"
    %24 = irdl.is "sinh"
    %25 = irdl.is "cosh"
    %26 = irdl.is "tanh"
    %27 = irdl.is "asinh"
    %28 = irdl.is "acosh"
    %29 = irdl.is "atanh"
    %30 = irdl.is "erf"
    %31 = irdl.is "relu"
    %32 = irdl.is "square"
    %33 = irdl.is "sigmoid"
    %34 = irdl.is "not"
    %35 = irdl.is "bit_not"
    %36 = irdl.is "is_nan"
    %37 = irdl.is "is_inf"
    %38 = irdl.is "add"
    %39 = irdl.is "sub"
    %40 = irdl.is "mul"
    %41 = irdl.is "div"
    %42 = irdl.is "floor_div"
    %43 = irdl.is "mod"
    %44 = irdl.is "rem"
    %45 = irdl.is "pow"
    %46 = irdl.is "atan2"
    %47 = irdl.is "min"
    %48 = irdl.is "max"
    %49 = irdl.is "and"
    %50 = irdl.is "or"
    %51 = irdl.is "xor"
    %52 = irdl.is "shl"
    %53 = irdl.is "shr"
    %54 = irdl.is "eq"
    %55 = irdl.is "ne"
    %56 = irdl.is "lt"
    %57 = irdl.is "le"
    %58 = irdl.is "gt"
    %59 = irdl.is "ge"
    %60 = irdl.any_of(%2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59)
    irdl.attributes { "fn" = %60 }
  }
  // A scalar function at every point.
  irdl.operation @map_2 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(result: %2)
    %3 = irdl.is "neg"
    %4 = irdl.is "abs"
    %5 = irdl.is "sign"
    %6 = irdl.is "floor"
    %7 = irdl.is "ceil"
    %8 = irdl.is "round"
    %9 = irdl.is "trunc"
    %10 = irdl.is "sqrt"
    %11 = irdl.is "rsqrt"
    %12 = irdl.is "recip"
    %13 = irdl.is "exp"
    %14 = irdl.is "exp2"
    %15 = irdl.is "expm1"
    %16 = irdl.is "log"
    %17 = irdl.is "log2"
    %18 = irdl.is "log1p"
    %19 = irdl.is "sin"
    %20 = irdl.is "cos"
    %21 = irdl.is "tan"
    %22 = irdl.is "asin"
    %23 = irdl.is "acos"
    %24 = irdl.is "atan"
    %25 = irdl.is "sinh"
    %26 = irdl.is "cosh"
    %27 = irdl.is "tanh"
    %28 = irdl.is "asinh"
    %29 = irdl.is "acosh"
    %30 = irdl.is "atanh"
    %31 = irdl.is "erf"
    %32 = irdl.is "relu"
    %33 = irdl.is "square"
    %34 = irdl.is "sigmoid"
    %35 = irdl.is "not"
    %36 = irdl.is "bit_not"
    %37 = irdl.is "is_nan"
    %38 = irdl.is "is_inf"
    %39 = irdl.is "add"
    %40 = irdl.is "sub"
    %41 = irdl.is "mul"
    %42 = irdl.is "div"
    %43 = irdl.is "floor_div"
    %44 = irdl.is "mod"
    %45 = irdl.is "rem"
    %46 = irdl.is "pow"
    %47 = irdl.is "atan2"
    %48 = irdl.is "min"
    %49 = irdl.is "max"
    %50 = irdl.is "and"
    %51 = irdl.is "or"
    %52 = irdl.is "xor"
    %53 = irdl.is "shl"
    %54 = irdl.is "shr"
    %55 = irdl.is "eq"
    %56 = irdl.is "ne"
    %57 = irdl.is "lt"
    %58 = irdl.is "le"
    %59 = irdl.is "gt"
    %60 = irdl.is "ge"
    %61 = irdl.any_of(%3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60)
    irdl.attributes { "fn" = %61 }
  }
  // A scalar function at every point.
  irdl.operation @map_3 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(result: %3)
    %4 = irdl.is "neg"
    %5 = irdl.is "abs"
    %6 = irdl.is "sign"
    %7 = irdl.is "floor"
    %8 = irdl.is "ceil"
    %9 = irdl.is "round"
    %10 = irdl.is "trunc"
    %11 = irdl.is "sqrt"
    %12 = irdl.is "rsqrt"
    %13 = irdl.is "recip"
    %14 = irdl.is "exp"
    %15 = irdl.is "exp2"
    %16 = irdl.is "expm1"
    %17 = irdl.is "log"
    %18 = irdl.is "log2"
    %19 = irdl.is "log1p"
    %20 = irdl.is "sin"
    %21 = irdl.is "cos"
    %22 = irdl.is "tan"
    %23 = irdl.is "asin"
    %24 = irdl.is "acos"
    %25 = irdl.is "atan"
    %26 = irdl.is "sinh"
    %27 = irdl.is "cosh"
    %28 = irdl.is "tanh"
    %29 = irdl.is "asinh"
    %30 = irdl.is "acosh"
    %31 = irdl.is "atanh"
    %32 = irdl.is "erf"
    %33 = irdl.is "relu"
    %34 = irdl.is "square"
    %35 = irdl.is "sigmoid"
    %36 = irdl.is "not"
    %37 = irdl.is "bit_not"
    %38 = irdl.is "is_nan"
    %39 = irdl.is "is_inf"
    %40 = irdl.is "add"
    %41 = irdl.is "sub"
    %42 = irdl.is "mul"
    %43 = irdl.is "div"
    %44 = irdl.is "floor_div"
    %45 = irdl.is "mod"
    %46 = irdl.is "rem"
    %47 = irdl.is "pow"
    %48 = irdl.is "atan2"
    %49 = irdl.is "min"
    %50 = irdl.is "max"
    %51 = irdl.is "and"
    %52 = irdl.is "or"
    %53 = irdl.is "xor"
    %54 = irdl.is "shl"
    %55 = irdl.is "shr"
    %56 = irdl.is "eq"
    %57 = irdl.is "ne"
    %58 = irdl.is "lt"
    %59 = irdl.is "le"
    %60 = irdl.is "gt"
    %61 = irdl.is "ge"
    %62 = irdl.any_of(%4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61)
    irdl.attributes { "fn" = %62 }
  }
  // A scalar function at every point.
  irdl.operation @map_4 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3)
    %4 = irdl.base "!builtin.tensor"
    irdl.results(result: %4)
    %5 = irdl.is "neg"
    %6 = irdl.is "abs"
    %7 = irdl.is "sign"
    %8 = irdl.is "floor"
    %9 = irdl.is "ceil"
    %10 = irdl.is "round"
    %11 = irdl.is "trunc"
    %12 = irdl.is "sqrt"
    %13 = irdl.is "rsqrt"
    %14 = irdl.is "recip"
    %15 = irdl.is "exp"
    %16 = irdl.is "exp2"
    %17 = irdl.is "expm1"
    %18 = irdl.is "log"
    %19 = irdl.is "log2"
    %20 = irdl.is "log1p"
    %21 = irdl.is "sin"
    %22 = irdl.is "cos"
    %23 = irdl.is "tan"
    %24 = irdl.is "asin"
    %25 = irdl.is "acos"
    %26 = irdl.is "atan"
    %27 = irdl.is "sinh"
    %28 = irdl.is "cosh"
    %29 = irdl.is "tanh"
    %30 = irdl.is "asinh"
    %31 = irdl.is "acosh"
    %32 = irdl.is "atanh"
    %33 = irdl.is "erf"
    %34 = irdl.is "relu"
    %35 = irdl.is "square"
    %36 = irdl.is "sigmoid"
    %37 = irdl.is "not"
    %38 = irdl.is "bit_not"
    %39 = irdl.is "is_nan"
    %40 = irdl.is "is_inf"
    %41 = irdl.is "add"
    %42 = irdl.is "sub"
    %43 = irdl.is "mul"
    %44 = irdl.is "div"
    %45 = irdl.is "floor_div"
    %46 = irdl.is "mod"
    %47 = irdl.is "rem"
    %48 = irdl.is "pow"
    %49 = irdl.is "atan2"
    %50 = irdl.is "min"
    %51 = irdl.is "max"
    %52 = irdl.is "and"
    %53 = irdl.is "or"
    %54 = irdl.is "xor"
    %55 = irdl.is "shl"
    %56 = irdl.is "shr"
    %57 = irdl.is "eq"
    %58 = irdl.is "ne"
    %59 = irdl.is "lt"
    %60 = irdl.is "le"
    %61 = irdl.is "gt"
    %62 = irdl.is "ge"
    %63 = irdl.any_of(%5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62)
    irdl.attributes { "fn" = %63 }
  }
  // A scalar function at every point.
  irdl.operation @map_5 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4)
    %5 = irdl.base "!builtin.tensor"
    irdl.results(result: %5)
    %6 = irdl.is "neg"
    %7 = irdl.is "abs"
    %8 = irdl.is "sign"
    %9 = irdl.is "floor"
    %10 = irdl.is "ceil"
    %11 = irdl.is "round"
    %12 = irdl.is "trunc"
    %13 = irdl.is "sqrt"
    %14 = irdl.is "rsqrt"
    %15 = irdl.is "recip"
    %16 = irdl.is "exp"
    %17 = irdl.is "exp2"
    %18 = irdl.is "expm1"
    %19 = irdl.is "log"
    %20 = irdl.is "log2"
    %21 = irdl.is "log1p"
    %22 = irdl.is "sin"
    %23 = irdl.is "cos"
    %24 = irdl.is "tan"
    %25 = irdl.is "asin"
    %26 = irdl.is "acos"
    %27 = irdl.is "atan"
    %28 = irdl.is "sinh"
    %29 = irdl.is "cosh"
    %30 = irdl.is "tanh"
    %31 = irdl.is "asinh"
    %32 = irdl.is "acosh"
    %33 = irdl.is "atanh"
    %34 = irdl.is "erf"
    %35 = irdl.is "relu"
    %36 = irdl.is "square"
    %37 = irdl.is "sigmoid"
    %38 = irdl.is "not"
    %39 = irdl.is "bit_not"
    %40 = irdl.is "is_nan"
    %41 = irdl.is "is_inf"
    %42 = irdl.is "add"
    %43 = irdl.is "sub"
    %44 = irdl.is "mul"
    %45 = irdl.is "div"
    %46 = irdl.is "floor_div"
    %47 = irdl.is "mod"
    %48 = irdl.is "rem"
    %49 = irdl.is "pow"
    %50 = irdl.is "atan2"
    %51 = irdl.is "min"
    %52 = irdl.is "max"
    %53 = irdl.is "and"
    %54 = irdl.is "or"
    %55 = irdl.is "xor"
    %56 = irdl.is "shl"
    %57 = irdl.is "shr"
    %58 = irdl.is "eq"
    %59 = irdl.is "ne"
    %60 = irdl.is "lt"
    %61 = irdl.is "le"
    %62 = irdl.is "gt"
    %63 = irdl.is "ge"
    %64 = irdl.any_of(%6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63)
    irdl.attributes { "fn" = %64 }
  }
  // A scalar function at every point.
  irdl.operation @map_6 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5)
    %6 = irdl.base "!builtin.tensor"
    irdl.results(result: %6)
    %7 = irdl.is "neg"
    %8 = irdl.is "abs"
    %9 = irdl.is "sign"
    %10 = irdl.is "floor"
    %11 = irdl.is "ceil"
    %12 = irdl.is "round"
    %13 = irdl.is "trunc"
    %14 = irdl.is "sqrt"
    %15 = irdl.is "rsqrt"
    %16 = irdl.is "recip"
    %17 = irdl.is "exp"
    %18 = irdl.is "exp2"
    %19 = irdl.is "expm1"
    %20 = irdl.is "log"
    %21 = irdl.is "log2"
    %22 = irdl.is "log1p"
    %23 = irdl.is "sin"
    %24 = irdl.is "cos"
    %25 = irdl.is "tan"
    %26 = irdl.is "asin"
    %27 = irdl.is "acos"
    %28 = irdl.is "atan"
    %29 = irdl.is "sinh"
    %30 = irdl.is "cosh"
    %31 = irdl.is "tanh"
    %32 = irdl.is "asinh"
    %33 = irdl.is "acosh"
    %34 = irdl.is "atanh"
    %35 = irdl.is "erf"
    %36 = irdl.is "relu"
    %37 = irdl.is "square"
    %38 = irdl.is "sigmoid"
    %39 = irdl.is "not"
    %40 = irdl.is "bit_not"
    %41 = irdl.is "is_nan"
    %42 = irdl.is "is_inf"
    %43 = irdl.is "add"
    %44 = irdl.is "sub"
    %45 = irdl.is "mul"
    %46 = irdl.is "div"
    %47 = irdl.is "floor_div"
    %48 = irdl.is "mod"
    %49 = irdl.is "rem"
    %50 = irdl.is "pow"
    %51 = irdl.is "atan2"
    %52 = irdl.is "min"
    %53 = irdl.is "max"
    %54 = irdl.is "and"
    %55 = irdl.is "or"
    %56 = irdl.is "xor"
    %57 = irdl.is "shl"
    %58 = irdl.is "shr"
    %59 = irdl.is "eq"
    %60 = irdl.is "ne"
    %61 = irdl.is "lt"
    %62 = irdl.is "le"
    %63 = irdl.is "gt"
    %64 = irdl.is "ge"
    %65 = irdl.any_of(%7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64)
    irdl.attributes { "fn" = %65 }
  }
  // A scalar function at every point.
  irdl.operation @map_7 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6)
    %7 = irdl.base "!builtin.tensor"
    irdl.results(result: %7)
    %8 = irdl.is "neg"
    %9 = irdl.is "abs"
    %10 = irdl.is "sign"
    %11 = irdl.is "floor"
    %12 = irdl.is "ceil"
    %13 = irdl.is "round"
    %14 = irdl.is "trunc"
    %15 = irdl.is "sqrt"
    %16 = irdl.is "rsqrt"
    %17 = irdl.is "recip"
    %18 = irdl.is "exp"
    %19 = irdl.is "exp2"
    %20 = irdl.is "expm1"
    %21 = irdl.is "log"
    %22 = irdl.is "log2"
    %23 = irdl.is "log1p"
    %24 = irdl.is "sin"
    %25 = irdl.is "cos"
    %26 = irdl.is "tan"
    %27 = irdl.is "asin"
    %28 = irdl.is "acos"
    %29 = irdl.is "atan"
    %30 = irdl.is "sinh"
    %31 = irdl.is "cosh"
    %32 = irdl.is "tanh"
    %33 = irdl.is "asinh"
    %34 = irdl.is "acosh"
    %35 = irdl.is "atanh"
    %36 = irdl.is "erf"
    %37 = irdl.is "relu"
    %38 = irdl.is "square"
    %39 = irdl.is "sigmoid"
    %40 = irdl.is "not"
    %41 = irdl.is "bit_not"
    %42 = irdl.is "is_nan"
    %43 = irdl.is "is_inf"
    %44 = irdl.is "add"
    %45 = irdl.is "sub"
    %46 = irdl.is "mul"
    %47 = irdl.is "div"
    %48 = irdl.is "floor_div"
    %49 = irdl.is "mod"
    %50 = irdl.is "rem"
    %51 = irdl.is "pow"
    %52 = irdl.is "atan2"
    %53 = irdl.is "min"
    %54 = irdl.is "max"
    %55 = irdl.is "and"
    %56 = irdl.is "or"
    %57 = irdl.is "xor"
    %58 = irdl.is "shl"
    %59 = irdl.is "shr"
    %60 = irdl.is "eq"
    %61 = irdl.is "ne"
    %62 = irdl.is "lt"
    %63 = irdl.is "le"
    %64 = irdl.is "gt"
    %65 = irdl.is "ge"
    %66 = irdl.any_of(%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65)
    irdl.attributes { "fn" = %66 }
  }
  // A scalar function at every point.
  irdl.operation @map_8 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7)
    %8 = irdl.base "!builtin.tensor"
    irdl.results(result: %8)
    %9 = irdl.is "neg"
    %10 = irdl.is "abs"
    %11 = irdl.is "sign"
    %12 = irdl.is "floor"
    %13 = irdl.is "ceil"
    %14 = irdl.is "round"
    %15 = irdl.is "trunc"
    %16 = irdl.is "sqrt"
    %17 = irdl.is "rsqrt"
    %18 = irdl.is "recip"
    %19 = irdl.is "exp"
    %20 = irdl.is "exp2"
    %21 = irdl.is "expm1"
    %22 = irdl.is "log"
    %23 = irdl.is "log2"
    %24 = irdl.is "log1p"
    %25 = irdl.is "sin"
    %26 = irdl.is "cos"
    %27 = irdl.is "tan"
    %28 = irdl.is "asin"
    %29 = irdl.is "acos"
    %30 = irdl.is "atan"
    %31 = irdl.is "sinh"
    %32 = irdl.is "cosh"
    %33 = irdl.is "tanh"
    %34 = irdl.is "asinh"
    %35 = irdl.is "acosh"
    %36 = irdl.is "atanh"
    %37 = irdl.is "erf"
    %38 = irdl.is "relu"
    %39 = irdl.is "square"
    %40 = irdl.is "sigmoid"
    %41 = irdl.is "not"
    %42 = irdl.is "bit_not"
    %43 = irdl.is "is_nan"
    %44 = irdl.is "is_inf"
    %45 = irdl.is "add"
    %46 = irdl.is "sub"
    %47 = irdl.is "mul"
    %48 = irdl.is "div"
    %49 = irdl.is "floor_div"
    %50 = irdl.is "mod"
    %51 = irdl.is "rem"
    %52 = irdl.is "pow"
    %53 = irdl.is "atan2"
    %54 = irdl.is "min"
    %55 = irdl.is "max"
    %56 = irdl.is "and"
    %57 = irdl.is "or"
    %58 = irdl.is "xor"
    %59 = irdl.is "shl"
    %60 = irdl.is "shr"
    %61 = irdl.is "eq"
    %62 = irdl.is "ne"
    %63 = irdl.is "lt"
    %64 = irdl.is "le"
    %65 = irdl.is "gt"
    %66 = irdl.is "ge"
    %67 = irdl.any_of(%9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66)
    irdl.attributes { "fn" = %67 }
  }
  // A scalar function at every point.
  irdl.operation @map_9 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8)
    %9 = irdl.base "!builtin.tensor"
    irdl.results(result: %9)
    %10 = irdl.is "neg"
    %11 = irdl.is "abs"
    %12 = irdl.is "sign"
    %13 = irdl.is "floor"
    %14 = irdl.is "ceil"
    %15 = irdl.is "round"
    %16 = irdl.is "trunc"
    %17 = irdl.is "sqrt"
    %18 = irdl.is "rsqrt"
    %19 = irdl.is "recip"
    %20 = irdl.is "exp"
    %21 = irdl.is "exp2"
    %22 = irdl.is "expm1"
    %23 = irdl.is "log"
    %24 = irdl.is "log2"
    %25 = irdl.is "log1p"
    %26 = irdl.is "sin"
    %27 = irdl.is "cos"
    %28 = irdl.is "tan"
    %29 = irdl.is "asin"
    %30 = irdl.is "acos"
    %31 = irdl.is "atan"
    %32 = irdl.is "sinh"
    %33 = irdl.is "cosh"
    %34 = irdl.is "tanh"
    %35 = irdl.is "asinh"
    %36 = irdl.is "acosh"
    %37 = irdl.is "atanh"
    %38 = irdl.is "erf"
    %39 = irdl.is "relu"
    %40 = irdl.is "square"
    %41 = irdl.is "sigmoid"
    %42 = irdl.is "not"
    %43 = irdl.is "bit_not"
    %44 = irdl.is "is_nan"
    %45 = irdl.is "is_inf"
    %46 = irdl.is "add"
    %47 = irdl.is "sub"
    %48 = irdl.is "mul"
    %49 = irdl.is "div"
    %50 = irdl.is "floor_div"
    %51 = irdl.is "mod"
    %52 = irdl.is "rem"
    %53 = irdl.is "pow"
    %54 = irdl.is "atan2"
    %55 = irdl.is "min"
    %56 = irdl.is "max"
    %57 = irdl.is "and"
    %58 = irdl.is "or"
    %59 = irdl.is "xor"
    %60 = irdl.is "shl"
    %61 = irdl.is "shr"
    %62 = irdl.is "eq"
    %63 = irdl.is "ne"
    %64 = irdl.is "lt"
    %65 = irdl.is "le"
    %66 = irdl.is "gt"
    %67 = irdl.is "ge"
    %68 = irdl.any_of(%10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67)
    irdl.attributes { "fn" = %68 }
  }
  // A scalar function at every point.
  irdl.operation @map_10 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9)
    %10 = irdl.base "!builtin.tensor"
    irdl.results(result: %10)
    %11 = irdl.is "neg"
    %12 = irdl.is "abs"
    %13 = irdl.is "sign"
    %14 = irdl.is "floor"
    %15 = irdl.is "ceil"
    %16 = irdl.is "round"
    %17 = irdl.is "trunc"
    %18 = irdl.is "sqrt"
    %19 = irdl.is "rsqrt"
    %20 = irdl.is "recip"
    %21 = irdl.is "exp"
    %22 = irdl.is "exp2"
    %23 = irdl.is "expm1"
    %24 = irdl.is "log"
    %25 = irdl.is "log2"
    %26 = irdl.is "log1p"
    %27 = irdl.is "sin"
    %28 = irdl.is "cos"
    %29 = irdl.is "tan"
    %30 = irdl.is "asin"
    %31 = irdl.is "acos"
    %32 = irdl.is "atan"
    %33 = irdl.is "sinh"
    %34 = irdl.is "cosh"
    %35 = irdl.is "tanh"
    %36 = irdl.is "asinh"
    %37 = irdl.is "acosh"
    %38 = irdl.is "atanh"
    %39 = irdl.is "erf"
    %40 = irdl.is "relu"
    %41 = irdl.is "square"
    %42 = irdl.is "sigmoid"
    %43 = irdl.is "not"
    %44 = irdl.is "bit_not"
    %45 = irdl.is "is_nan"
    %46 = irdl.is "is_inf"
    %47 = irdl.is "add"
    %48 = irdl.is "sub"
    %49 = irdl.is "mul"
    %50 = irdl.is "div"
    %51 = irdl.is "floor_div"
    %52 = irdl.is "mod"
    %53 = irdl.is "rem"
    %54 = irdl.is "pow"
    %55 = irdl.is "atan2"
    %56 = irdl.is "min"
    %57 = irdl.is "max"
    %58 = irdl.is "and"
    %59 = irdl.is "or"
    %60 = irdl.is "xor"
    %61 = irdl.is "shl"
    %62 = irdl.is "shr"
    %63 = irdl.is "eq"
    %64 = irdl.is "ne"
    %65 = irdl.is "lt"
    %66 = irdl.is "le"
    %67 = irdl.is "gt"
    %68 = irdl.is "ge"
    %69 = irdl.any_of(%11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68)
    irdl.attributes { "fn" = %69 }
  }
  // A scalar function at every point.
  irdl.operation @map_11 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10)
    %11 = irdl.base "!builtin.tensor"
    irdl.results(result: %11)
    %12 = irdl.is "neg"
    %13 = irdl.is "abs"
    %14 = irdl.is "sign"
    %15 = irdl.is "floor"
    %16 = irdl.is "ceil"
    %17 = irdl.is "round"
    %18 = irdl.is "trunc"
    %19 = irdl.is "sqrt"
    %20 = irdl.is "rsqrt"
    %21 = irdl.is "recip"
    %22 = irdl.is "exp"
    %23 = irdl.is "exp2"
    %24 = irdl.is "expm1"
    %25 = irdl.is "log"
    %26 = irdl.is "log2"
    %27 = irdl.is "log1p"
    %28 = irdl.is "sin"
    %29 = irdl.is "cos"
    %30 = irdl.is "tan"
    %31 = irdl.is "asin"
    %32 = irdl.is "acos"
    %33 = irdl.is "atan"
    %34 = irdl.is "sinh"
    %35 = irdl.is "cosh"
    %36 = irdl.is "tanh"
    %37 = irdl.is "asinh"
    %38 = irdl.is "acosh"
    %39 = irdl.is "atanh"
    %40 = irdl.is "erf"
    %41 = irdl.is "relu"
    %42 = irdl.is "square"
    %43 = irdl.is "sigmoid"
    %44 = irdl.is "not"
    %45 = irdl.is "bit_not"
    %46 = irdl.is "is_nan"
    %47 = irdl.is "is_inf"
    %48 = irdl.is "add"
    %49 = irdl.is "sub"
    %50 = irdl.is "mul"
    %51 = irdl.is "div"
    %52 = irdl.is "floor_div"
    %53 = irdl.is "mod"
    %54 = irdl.is "rem"
    %55 = irdl.is "pow"
    %56 = irdl.is "atan2"
    %57 = irdl.is "min"
    %58 = irdl.is "max"
    %59 = irdl.is "and"
    %60 = irdl.is "or"
    %61 = irdl.is "xor"
    %62 = irdl.is "shl"
    %63 = irdl.is "shr"
    %64 = irdl.is "eq"
    %65 = irdl.is "ne"
    %66 = irdl.is "lt"
    %67 = irdl.is "le"
    %68 = irdl.is "gt"
    %69 = irdl.is "ge"
    %70 = irdl.any_of(%12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69)
    irdl.attributes { "fn" = %70 }
  }
  // A scalar function at every point.
  irdl.operation @map_12 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11)
    %12 = irdl.base "!builtin.tensor"
    irdl.results(result: %12)
    %13 = irdl.is "neg"
    %14 = irdl.is "abs"
    %15 = irdl.is "sign"
    %16 = irdl.is "floor"
    %17 = irdl.is "ceil"
    %18 = irdl.is "round"
    %19 = irdl.is "trunc"
    %20 = irdl.is "sqrt"
    %21 = irdl.is "rsqrt"
    %22 = irdl.is "recip"
    %23 = irdl.is "exp"
    %24 = irdl.is "exp2"
    %25 = irdl.is "expm1"
    %26 = irdl.is "log"
    %27 = irdl.is "log2"
    %28 = irdl.is "log1p"
    %29 = irdl.is "sin"
    %30 = irdl.is "cos"
    %31 = irdl.is "tan"
    %32 = irdl.is "asin"
    %33 = irdl.is "acos"
    %34 = irdl.is "atan"
    %35 = irdl.is "sinh"
    %36 = irdl.is "cosh"
    %37 = irdl.is "tanh"
    %38 = irdl.is "asinh"
    %39 = irdl.is "acosh"
    %40 = irdl.is "atanh"
    %41 = irdl.is "erf"
    %42 = irdl.is "relu"
    %43 = irdl.is "square"
    %44 = irdl.is "sigmoid"
    %45 = irdl.is "not"
    %46 = irdl.is "bit_not"
    %47 = irdl.is "is_nan"
    %48 = irdl.is "is_inf"
    %49 = irdl.is "add"
    %50 = irdl.is "sub"
    %51 = irdl.is "mul"
    %52 = irdl.is "div"
    %53 = irdl.is "floor_div"
    %54 = irdl.is "mod"
    %55 = irdl.is "rem"
    %56 = irdl.is "pow"
    %57 = irdl.is "atan2"
    %58 = irdl.is "min"
    %59 = irdl.is "max"
    %60 = irdl.is "and"
    %61 = irdl.is "or"
    %62 = irdl.is "xor"
    %63 = irdl.is "shl"
    %64 = irdl.is "shr"
    %65 = irdl.is "eq"
    %66 = irdl.is "ne"
    %67 = irdl.is "lt"
    %68 = irdl.is "le"
    %69 = irdl.is "gt"
    %70 = irdl.is "ge"
    %71 = irdl.any_of(%13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70)
    irdl.attributes { "fn" = %71 }
  }
  // A scalar function at every point.
  irdl.operation @map_13 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12)
    %13 = irdl.base "!builtin.tensor"
    irdl.results(result: %13)
    %14 = irdl.is "neg"
    %15 = irdl.is "abs"
    %16 = irdl.is "sign"
    %17 = irdl.is "floor"
    %18 = irdl.is "ceil"
    %19 = irdl.is "round"
    %20 = irdl.is "trunc"
    %21 = irdl.is "sqrt"
    %22 = irdl.is "rsqrt"
    %23 = irdl.is "recip"
    %24 = irdl.is "exp"
    %25 = irdl.is "exp2"
    %26 = irdl.is "expm1"
    %27 = irdl.is "log"
    %28 = irdl.is "log2"
    %29 = irdl.is "log1p"
    %30 = irdl.is "sin"
    %31 = irdl.is "cos"
    %32 = irdl.is "tan"
    %33 = irdl.is "asin"
    %34 = irdl.is "acos"
    %35 = irdl.is "atan"
    %36 = irdl.is "sinh"
    %37 = irdl.is "cosh"
    %38 = irdl.is "tanh"
    %39 = irdl.is "asinh"
    %40 = irdl.is "acosh"
    %41 = irdl.is "atanh"
    %42 = irdl.is "erf"
    %43 = irdl.is "relu"
    %44 = irdl.is "square"
    %45 = irdl.is "sigmoid"
    %46 = irdl.is "not"
    %47 = irdl.is "bit_not"
    %48 = irdl.is "is_nan"
    %49 = irdl.is "is_inf"
    %50 = irdl.is "add"
    %51 = irdl.is "sub"
    %52 = irdl.is "mul"
    %53 = irdl.is "div"
    %54 = irdl.is "floor_div"
    %55 = irdl.is "mod"
    %56 = irdl.is "rem"
    %57 = irdl.is "pow"
    %58 = irdl.is "atan2"
    %59 = irdl.is "min"
    %60 = irdl.is "max"
    %61 = irdl.is "and"
    %62 = irdl.is "or"
    %63 = irdl.is "xor"
    %64 = irdl.is "shl"
    %65 = irdl.is "shr"
    %66 = irdl.is "eq"
    %67 = irdl.is "ne"
    %68 = irdl.is "lt"
    %69 = irdl.is "le"
    %70 = irdl.is "gt"
    %71 = irdl.is "ge"
    %72 = irdl.any_of(%14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71)
    irdl.attributes { "fn" = %72 }
  }
  // A scalar function at every point.
  irdl.operation @map_14 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13)
    %14 = irdl.base "!builtin.tensor"
    irdl.results(result: %14)
    %15 = irdl.is "neg"
    %16 = irdl.is "abs"
    %17 = irdl.is "sign"
    %18 = irdl.is "floor"
    %19 = irdl.is "ceil"
    %20 = irdl.is "round"
    %21 = irdl.is "trunc"
    %22 = irdl.is "sqrt"
    %23 = irdl.is "rsqrt"
    %24 = irdl.is "recip"
    %25 = irdl.is "exp"
    %26 = irdl.is "exp2"
    %27 = irdl.is "expm1"
    %28 = irdl.is "log"
    %29 = irdl.is "log2"
    %30 = irdl.is "log1p"
    %31 = irdl.is "sin"
    %32 = irdl.is "cos"
    %33 = irdl.is "tan"
    %34 = irdl.is "asin"
    %35 = irdl.is "acos"
    %36 = irdl.is "atan"
    %37 = irdl.is "sinh"
    %38 = irdl.is "cosh"
    %39 = irdl.is "tanh"
    %40 = irdl.is "asinh"
    %41 = irdl.is "acosh"
    %42 = irdl.is "atanh"
    %43 = irdl.is "erf"
    %44 = irdl.is "relu"
    %45 = irdl.is "square"
    %46 = irdl.is "sigmoid"
    %47 = irdl.is "not"
    %48 = irdl.is "bit_not"
    %49 = irdl.is "is_nan"
    %50 = irdl.is "is_inf"
    %51 = irdl.is "add"
    %52 = irdl.is "sub"
    %53 = irdl.is "mul"
    %54 = irdl.is "div"
    %55 = irdl.is "floor_div"
    %56 = irdl.is "mod"
    %57 = irdl.is "rem"
    %58 = irdl.is "pow"
    %59 = irdl.is "atan2"
    %60 = irdl.is "min"
    %61 = irdl.is "max"
    %62 = irdl.is "and"
    %63 = irdl.is "or"
    %64 = irdl.is "xor"
    %65 = irdl.is "shl"
    %66 = irdl.is "shr"
    %67 = irdl.is "eq"
    %68 = irdl.is "ne"
    %69 = irdl.is "lt"
    %70 = irdl.is "le"
    %71 = irdl.is "gt"
    %72 = irdl.is "ge"
    %73 = irdl.any_of(%15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72)
    irdl.attributes { "fn" = %73 }
  }
  // A scalar function at every point.
  irdl.operation @map_15 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    %14 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13, operands14: %14)
    %15 = irdl.base "!builtin.tensor"
    irdl.results(result: %15)
    %16 = irdl.is "neg"
    %17 = irdl.is "abs"
    %18 = irdl.is "sign"
    %19 = irdl.is "floor"
    %20 = irdl.is "ceil"
    %21 = irdl.is "round"
    %22 = irdl.is "trunc"
    %23 = irdl.is "sqrt"
    %24 = irdl.is "rsqrt"
    %25 = irdl.is "recip"
    %26 = irdl.is "exp"
    %27 = irdl.is "exp2"
    %28 = irdl.is "expm1"
    %29 = irdl.is "log"
    %30 = irdl.is "log2"
    %31 = irdl.is "log1p"
    %32 = irdl.is "sin"
    %33 = irdl.is "cos"
    %34 = irdl.is "tan"
    %35 = irdl.is "asin"
    %36 = irdl.is "acos"
    %37 = irdl.is "atan"
    %38 = irdl.is "sinh"
    %39 = irdl.is "cosh"
    %40 = irdl.is "tanh"
    %41 = irdl.is "asinh"
    %42 = irdl.is "acosh"
    %43 = irdl.is "atanh"
    %44 = irdl.is "erf"
    %45 = irdl.is "relu"
    %46 = irdl.is "square"
    %47 = irdl.is "sigmoid"
    %48 = irdl.is "not"
    %49 = irdl.is "bit_not"
    %50 = irdl.is "is_nan"
    %51 = irdl.is "is_inf"
    %52 = irdl.is "add"
    %53 = irdl.is "sub"
    %54 = irdl.is "mul"
    %55 = irdl.is "div"
    %56 = irdl.is "floor_div"
    %57 = irdl.is "mod"
    %58 = irdl.is "rem"
    %59 = irdl.is "pow"
    %60 = irdl.is "atan2"
    %61 = irdl.is "min"
    %62 = irdl.is "max"
    %63 = irdl.is "and"
    %64 = irdl.is "or"
    %65 = irdl.is "xor"
    %66 = irdl.is "shl"
    %67 = irdl.is "shr"
    %68 = irdl.is "eq"
    %69 = irdl.is "ne"
    %70 = irdl.is "lt"
    %71 = irdl.is "le"
    %72 = irdl.is "gt"
    %73 = irdl.is "ge"
    %74 = irdl.any_of(%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73)
    irdl.attributes { "fn" = %74 }
  }
  // A scalar function at every point.
  irdl.operation @map_16 {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    %6 = irdl.base "!builtin.tensor"
    %7 = irdl.base "!builtin.tensor"
    %8 = irdl.base "!builtin.tensor"
    %9 = irdl.base "!builtin.tensor"
    %10 = irdl.base "!builtin.tensor"
    %11 = irdl.base "!builtin.tensor"
    %12 = irdl.base "!builtin.tensor"
    %13 = irdl.base "!builtin.tensor"
    %14 = irdl.base "!builtin.tensor"
    %15 = irdl.base "!builtin.tensor"
    irdl.operands(operands0: %0, operands1: %1, operands2: %2, operands3: %3, operands4: %4, operands5: %5, operands6: %6, operands7: %7, operands8: %8, operands9: %9, operands10: %10, operands11: %11, operands12: %12, operands13: %13, operands14: %14, operands15: %15)
    %16 = irdl.base "!builtin.tensor"
    irdl.results(result: %16)
    %17 = irdl.is "neg"
    %18 = irdl.is "abs"
    %19 = irdl.is "sign"
    %20 = irdl.is "floor"
    %21 = irdl.is "ceil"
    %22 = irdl.is "round"
    %23 = irdl.is "trunc"
    %24 = irdl.is "sqrt"
    %25 = irdl.is "rsqrt"
    %26 = irdl.is "recip"
    %27 = irdl.is "exp"
    %28 = irdl.is "exp2"
    %29 = irdl.is "expm1"
    %30 = irdl.is "log"
    %31 = irdl.is "log2"
    %32 = irdl.is "log1p"
    %33 = irdl.is "sin"
    %34 = irdl.is "cos"
    %35 = irdl.is "tan"
    %36 = irdl.is "asin"
    %37 = irdl.is "acos"
    %38 = irdl.is "atan"
    %39 = irdl.is "sinh"
    %40 = irdl.is "cosh"
    %41 = irdl.is "tanh"
    %42 = irdl.is "asinh"
    %43 = irdl.is "acosh"
    %44 = irdl.is "atanh"
    %45 = irdl.is "erf"
    %46 = irdl.is "relu"
    %47 = irdl.is "square"
    %48 = irdl.is "sigmoid"
    %49 = irdl.is "not"
    %50 = irdl.is "bit_not"
    %51 = irdl.is "is_nan"
    %52 = irdl.is "is_inf"
    %53 = irdl.is "add"
    %54 = irdl.is "sub"
    %55 = irdl.is "mul"
    %56 = irdl.is "div"
    %57 = irdl.is "floor_div"
    %58 = irdl.is "mod"
    %59 = irdl.is "rem"
    %60 = irdl.is "pow"
    %61 = irdl.is "atan2"
    %62 = irdl.is "min"
    %63 = irdl.is "max"
    %64 = irdl.is "and"
    %65 = irdl.is "or"
    %66 = irdl.is "xor"
    %67 = irdl.is "shl"
    %68 = irdl.is "shr"
    %69 = irdl.is "eq"
    %70 = irdl.is "ne"
    %71 = irdl.is "lt"
    %72 = irdl.is "le"
    %73 = irdl.is "gt"
    %74 = irdl.is "ge"
    %75 = irdl.any_of(%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74)
    irdl.attributes { "fn" = %75 }
  }

  // Surrounds a tensor with a value, and spreads its elements apart.
  irdl.operation @pad {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0, value: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(result: %2)
    %3 = irdl.base "#builtin.array"
    %4 = irdl.base "#builtin.array"
    %5 = irdl.base "#builtin.dense_array"
    irdl.attributes { "low" = %3, "high" = %4, "interior" = %5 }
  }

  // Random numbers that depend only on seed and position.
  irdl.operation @random {
    %0 = irdl.base "!builtin.tensor"
    irdl.results(value: %0)
    %1 = irdl.base "#builtin.type"
    %2 = irdl.base "#builtin.array"
    %3 = irdl.is "uniform"
    %4 = irdl.is "normal"
    %5 = irdl.any_of(%3, %4)
    %6 = irdl.base "#builtin.integer"
    irdl.attributes { "dtype" = %1, "shape" = %2, "kind" = %5, "seed" = %6 }
  }

  // Folds axes away.
  irdl.operation @reduce {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.is "sum"
    %3 = irdl.is "prod"
    %4 = irdl.is "max"
    %5 = irdl.is "min"
    %6 = irdl.is "and"
    %7 = irdl.is "or"
    %8 = irdl.any_of(%2, %3, %4, %5, %6, %7)
    %9 = irdl.base "#builtin.dense_array"
    irdl.attributes { "kind" = %8, "axes" = %9 }
  }

  // The same elements in row-major order under another shape.
  irdl.operation @reshape {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.array"
    irdl.attributes { "shape" = %2 }
  }

  // Running fold along an axis.
  irdl.operation @scan {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.is "sum"
    %3 = irdl.is "prod"
    %4 = irdl.is "max"
    %5 = irdl.is "min"
    %6 = irdl.is "and"
    %7 = irdl.is "or"
    %8 = irdl.any_of(%2, %3, %4, %5, %6, %7)
    %9 = irdl.base "#builtin.integer"
    %10 = irdl.base "#builtin.integer"
    %11 = irdl.base "#builtin.integer"
    irdl.attributes { "kind" = %8, "axis" = %9, "exclusive" = %10, "reverse" = %11 }
  }

  // Writes or combines slices at given positions of axis 0.
  irdl.operation @scatter {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(data: %0, indices: %1, updates: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(result: %3)
    %4 = irdl.is "replace"
    %5 = irdl.is "add"
    %6 = irdl.is "mul"
    %7 = irdl.is "max"
    %8 = irdl.is "min"
    %9 = irdl.any_of(%4, %5, %6, %7, %8)
    irdl.attributes { "combine" = %9 }
  }

  // Takes from one of two tensors at every point.
  irdl.operation @select {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(cond: %0, then: %1, other: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(result: %3)
  }

  // A size as a value.
  irdl.operation @size {
    %0 = irdl.base "!builtin.tensor"
    irdl.results(value: %0)
    %1 = irdl.base "#builtin.string"
    irdl.attributes { "value" = %1 }
  }

  // Every step-th element of a box.
  irdl.operation @slice {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.array"
    %3 = irdl.base "#builtin.array"
    %4 = irdl.base "#builtin.dense_array"
    irdl.attributes { "start" = %2, "size" = %3, "step" = %4 }
  }

  // The k largest or smallest elements of an axis, in order.
  irdl.operation @top_k {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.results(values: %1, positions: %2)
    %3 = irdl.base "#builtin.string"
    %4 = irdl.base "#builtin.integer"
    %5 = irdl.base "#builtin.integer"
    irdl.attributes { "k" = %3, "axis" = %4, "largest" = %5 }
  }

  // Permutes axes.
  irdl.operation @transpose {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.dense_array"
    irdl.attributes { "perm" = %2 }
  }

  // Replaces a box of a tensor.
  irdl.operation @update_slice {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(data: %0, update: %1, offsets: optional %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(result: %3)
    %4 = irdl.base "#builtin.array"
    irdl.attributes { "start" = %4 }
  }

  // A sliding-window view: the seed of convolutions and pools.
  irdl.operation @window {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(operand: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(result: %1)
    %2 = irdl.base "#builtin.dense_array"
    %3 = irdl.base "#builtin.dense_array"
    %4 = irdl.base "#builtin.dense_array"
    %5 = irdl.base "#builtin.dense_array"
    irdl.attributes { "axes" = %2, "size" = %3, "stride" = %4, "dilation" = %5 }
  }
}
