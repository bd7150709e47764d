// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Counts of equal values: with atomics on global memory, on shared memory, and one atomic for equal values of a warp.
#include "device.h"

// A value outside the bins is reported and not counted.
extern "C" __global__ void histogram_global(const int* x, unsigned* counts, unsigned n, unsigned bins) {
  for (unsigned at = blockIdx.x * blockDim.x + threadIdx.x; at < n; at += gridDim.x * blockDim.x) {
    int value = x[at];
    if (static_cast<unsigned>(value) < bins) {
      atomicAdd(&counts[value], 1u);
    } else {
      printf("value %d at %u is not below %u\n", value, at, bins);
    }
  }
}

// Every block counts in shared memory of `bins` words and adds its counts to those of the others.
extern "C" __global__ void histogram_shared(const unsigned char* x, unsigned* counts, unsigned n, unsigned bins) {
  extern __shared__ unsigned of_block[];
  for (unsigned bin = threadIdx.x; bin < bins; bin += blockDim.x) of_block[bin] = 0;
  __syncthreads();
  for (unsigned at = blockIdx.x * blockDim.x + threadIdx.x; at < n; at += gridDim.x * blockDim.x) {
    unsigned value = x[at];
    assert(value < bins);
    atomicAdd(&of_block[value], 1u);
  }
  __syncthreads();
  for (unsigned bin = threadIdx.x; bin < bins; bin += blockDim.x) {
    if (of_block[bin] != 0) atomicAdd(&counts[bin], of_block[bin]);
  }
}

// The lanes of a warp that hold the same value choose one of them to count for all.
extern "C" __global__ void histogram_matched(const unsigned short* x, unsigned* counts, unsigned n) {
  for (unsigned at = blockIdx.x * blockDim.x + threadIdx.x; at < n; at += gridDim.x * blockDim.x) {
    unsigned value = x[at];
    unsigned same = __match_any_sync(__activemask(), value);
    unsigned leader = __ffs(same) - 1;
    if (threadIdx.x % 32 == leader) atomicAdd(&counts[value], __popc(same));
  }
}
