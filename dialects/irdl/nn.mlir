// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.
irdl.dialect @nn {
  // Dot-product attention with grouped heads.
  irdl.operation @attention {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    irdl.operands(q: %0, k: %1, v: %2, bias: optional %3)
    %4 = irdl.base "!builtin.tensor"
    %5 = irdl.base "!builtin.tensor"
    irdl.results(out: %4, lse: %5)
    %6 = irdl.base "#builtin.float"
    %7 = irdl.base "#builtin.integer"
    %8 = irdl.base "#builtin.string"
    %9 = irdl.base "#builtin.integer"
    irdl.attributes { "scale" = %6, "causal" = %7, "offset" = %8, "window" = %9 }
  }

  // Mean of each window, NCHW.
  irdl.operation @avg_pool2d {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.dense_array"
    %3 = irdl.base "#builtin.dense_array"
    %4 = irdl.base "#builtin.dense_array"
    %5 = irdl.base "#builtin.dense_array"
    %6 = irdl.base "#builtin.integer"
    irdl.attributes { "size" = %2, "stride" = %3, "pad" = %4, "dilation" = %5, "count_pad" = %6 }
  }

  // Normalisation by given statistics of each channel (inference form).
  irdl.operation @batch_norm {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    %3 = irdl.base "!builtin.tensor"
    %4 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, scale: %1, bias: %2, mean: %3, var: %4)
    %5 = irdl.base "!builtin.tensor"
    irdl.results(y: %5)
    %6 = irdl.base "#builtin.float"
    irdl.attributes { "epsilon" = %6 }
  }

  // Continuously differentiable exponential linear unit.
  irdl.operation @celu {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.float"
    irdl.attributes { "alpha" = %2 }
  }

  // Two-dimensional convolution, NCHW.
  irdl.operation @conv2d {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, w: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(y: %2)
    %3 = irdl.base "#builtin.dense_array"
    %4 = irdl.base "#builtin.dense_array"
    %5 = irdl.base "#builtin.dense_array"
    %6 = irdl.base "#builtin.integer"
    irdl.attributes { "stride" = %3, "pad" = %4, "dilation" = %5, "groups" = %6 }
  }

  // Exponential linear unit.
  irdl.operation @elu {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.float"
    irdl.attributes { "alpha" = %2 }
  }

  // Gaussian error linear unit.
  irdl.operation @gelu {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.is "none"
    %3 = irdl.is "tanh"
    %4 = irdl.any_of(%2, %3)
    irdl.attributes { "approximate" = %4 }
  }

  // Zero mean and unit variance of each group of channels of each sample.
  irdl.operation @group_norm {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, scale: %1, bias: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(y: %3)
    %4 = irdl.base "#builtin.integer"
    %5 = irdl.base "#builtin.float"
    irdl.attributes { "groups" = %4, "epsilon" = %5 }
  }

  // Piecewise linear sigmoid.
  irdl.operation @hard_sigmoid {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.float"
    %3 = irdl.base "#builtin.float"
    irdl.attributes { "alpha" = %2, "beta" = %3 }
  }

  // Piecewise quadratic swish.
  irdl.operation @hard_swish {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
  }

  // Zero mean and unit variance of each channel of each sample.
  irdl.operation @instance_norm {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, scale: %1, bias: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(y: %3)
    %4 = irdl.base "#builtin.float"
    irdl.attributes { "epsilon" = %4 }
  }

  // Zero mean and unit variance over the trailing axes.
  irdl.operation @layer_norm {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, scale: %1, bias: optional %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(y: %3)
    %4 = irdl.base "#builtin.integer"
    %5 = irdl.base "#builtin.float"
    irdl.attributes { "axis" = %4, "epsilon" = %5 }
  }

  // Rectifier with a slope below zero.
  irdl.operation @leaky_relu {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.float"
    irdl.attributes { "alpha" = %2 }
  }

  // Logarithm of the softmax along an axis.
  irdl.operation @log_softmax {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %2 }
  }

  // Largest element of each window, NCHW.
  irdl.operation @max_pool2d {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.dense_array"
    %3 = irdl.base "#builtin.dense_array"
    %4 = irdl.base "#builtin.dense_array"
    %5 = irdl.base "#builtin.dense_array"
    irdl.attributes { "size" = %2, "stride" = %3, "pad" = %4, "dilation" = %5 }
  }

  // Self-regularised activation.
  irdl.operation @mish {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
  }

  // Rectifier with a learned slope below zero.
  irdl.operation @prelu {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, slope: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(y: %2)
  }

  // Unit root mean square over the trailing axes.
  irdl.operation @rms_norm {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, scale: %1)
    %2 = irdl.base "!builtin.tensor"
    irdl.results(y: %2)
    %3 = irdl.base "#builtin.integer"
    %4 = irdl.base "#builtin.float"
    irdl.attributes { "axis" = %3, "epsilon" = %4 }
  }

  // Rotary position embedding: turns pairs of features by an angle per position.
  irdl.operation @rope {
    %0 = irdl.base "!builtin.tensor"
    %1 = irdl.base "!builtin.tensor"
    %2 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0, cos: %1, sin: %2)
    %3 = irdl.base "!builtin.tensor"
    irdl.results(y: %3)
    %4 = irdl.base "#builtin.integer"
    irdl.attributes { "interleaved" = %4 }
  }

  // Scaled exponential linear unit.
  irdl.operation @selu {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.float"
    %3 = irdl.base "#builtin.float"
    irdl.attributes { "alpha" = %2, "gamma" = %3 }
  }

  // Zero around the origin, moved towards it elsewhere.
  irdl.operation @shrink {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.float"
    %3 = irdl.base "#builtin.float"
    irdl.attributes { "bias" = %2, "lambd" = %3 }
  }

  // Sigmoid linear unit, also called swish.
  irdl.operation @silu {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
  }

  // Exponentials that sum to one along an axis.
  irdl.operation @softmax {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.integer"
    irdl.attributes { "axis" = %2 }
  }

  // Smooth rectifier.
  irdl.operation @softplus {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
  }

  // Rational sigmoid.
  irdl.operation @softsign {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
  }

  // Zero up to a threshold, identity above.
  irdl.operation @thresholded_relu {
    %0 = irdl.base "!builtin.tensor"
    irdl.operands(x: %0)
    %1 = irdl.base "!builtin.tensor"
    irdl.results(y: %1)
    %2 = irdl.base "#builtin.float"
    irdl.attributes { "alpha" = %2 }
  }
}
