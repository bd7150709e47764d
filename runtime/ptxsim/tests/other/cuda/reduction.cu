// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Sums of a whole array, four ways to bring the parts of the blocks together.
#include "device.h"

constexpr unsigned kWarp = 32;
constexpr unsigned kAll = 0xffffffffu;

template <typename T>
__device__ inline T warp_sum(T value) {
  for (unsigned step = kWarp / 2; step > 0; step /= 2) value += __shfl_down_sync(kAll, value, step);
  return value;
}

// The sum of one value per thread; thread 0 has it.
template <typename T>
__device__ inline T block_sum(T value) {
  __shared__ T of_warp[kWarp];
  unsigned lane = threadIdx.x % kWarp;
  unsigned warp = threadIdx.x / kWarp;
  value = warp_sum(value);
  if (lane == 0) of_warp[warp] = value;
  __syncthreads();
  if (warp == 0) {
    value = lane < blockDim.x / kWarp ? of_warp[lane] : T(0);
    value = warp_sum(value);
  }
  return value;
}

template <typename T>
__device__ inline T strided_sum(const T* x, unsigned n) {
  T value = 0;
  for (unsigned at = blockIdx.x * blockDim.x + threadIdx.x; at < n; at += gridDim.x * blockDim.x) value += x[at];
  return value;
}

// total starts at zero; every block adds its part.
extern "C" __global__ void sum_atomic(const float* x, float* total, unsigned n) {
  float value = block_sum(strided_sum(x, n));
  if (threadIdx.x == 0) atomicAdd(total, value);
}

// The block that finishes last adds the parts in a fixed order; finished starts at zero and ends there.
extern "C" __global__ void sum_last_block(const double* x, double* parts, unsigned* finished, double* total, unsigned n) {
  __shared__ bool last;
  double value = block_sum(strided_sum(x, n));
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = value;
    __threadfence();
    last = atomicInc(finished, gridDim.x - 1) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (!last) return;
  value = 0;
  for (unsigned at = threadIdx.x; at < gridDim.x; at += blockDim.x) value += parts[at];
  __syncthreads();  // block_sum uses its shared array a second time
  value = block_sum(value);
  if (threadIdx.x == 0) *total = value;
}

// Integers need no shuffles: the warp adds with redux.
extern "C" __global__ void sum_redux(const int* x, int* total, unsigned n) {
  __shared__ int of_block;
  if (threadIdx.x == 0) of_block = 0;
  __syncthreads();
  int value = __reduce_add_sync(kAll, strided_sum(x, n));
  if (threadIdx.x % kWarp == 0) atomicAdd(&of_block, value);
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(total, of_block);
}

// Two blocks form a cluster; the first reads the part of the second from its shared memory.
extern "C" __global__ void __cluster_dims__(2, 1, 1) sum_cluster(const float* x, float* total, unsigned n) {
  __shared__ float part;
  float value = block_sum(strided_sum(x, n));
  if (threadIdx.x == 0) part = value;
  asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  if (rank == 0 && threadIdx.x == 0) {
    unsigned here = static_cast<unsigned>(__cvta_generic_to_shared(&part));
    float other;
    asm volatile(
        "{\n\t"
        ".reg .b32 there;\n\t"
        "mapa.shared::cluster.u32 there, %1, 1;\n\t"
        "ld.shared::cluster.f32 %0, [there];\n\t"
        "}"
        : "=f"(other)
        : "r"(here)
        : "memory");
    atomicAdd(total, value + other);
  }
  // The second block stays until its shared memory has been read.
  asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
