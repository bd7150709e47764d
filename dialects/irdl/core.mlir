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
