// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @tricot {
  // Sizes of the dynamic axes, in order.
  irdl.attribute @sym {
    %0 = irdl.base "#builtin.array"
    irdl.parameters(dims: %0)
  }

  // The same for compressed or transformed values.
  irdl.attribute @enc {
    %0 = irdl.base "#builtin.array"
    %1 = irdl.base "#builtin.string"
    irdl.parameters(dims: %0, encoding: %1)
  }
}
