// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Sums of two arrays, staged through shared memory by asynchronous copies in three generations.
#include "device.h"

constexpr unsigned kThreads = 128;
constexpr unsigned kPerThread = 4;                     // one copy of 16 bytes
constexpr unsigned kTile = kThreads * kPerThread;      // elements of a stage
constexpr unsigned kTileBytes = kTile * sizeof(float);

__device__ inline unsigned shared_address(const void* at) { return static_cast<unsigned>(__cvta_generic_to_shared(at)); }

// Copies 16 bytes, or zeros for what lies beyond `bytes`.
__device__ inline void copy_16(float* to, const float* from, unsigned bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
}

__device__ inline void copy_tile(float* to, const float* x, unsigned start, unsigned n) {
  unsigned at = start + threadIdx.x * kPerThread;
  unsigned bytes = at >= n ? 0 : (n - at < kPerThread ? (n - at) * 4 : 16);
  copy_16(to + threadIdx.x * kPerThread, at < n ? x + at : x, bytes);
}

// Every thread reads elements that other threads have copied.
__device__ inline void add_tile(const float* a, const float* b, float* out, unsigned start, unsigned n) {
  for (unsigned at = threadIdx.x; at < kTile; at += kThreads) {
    if (start + at < n) out[start + at] = a[at] + b[at];
  }
}

__device__ inline void barrier_init(unsigned long long* barrier, unsigned count) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}

__device__ inline void barrier_wait(unsigned long long* barrier, unsigned parity) {
  asm volatile(
      "{\n\t"
      ".reg .pred done;\n"
      "again:\n\t"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
      "@done bra.uni finished;\n\t"
      "bra.uni again;\n"
      "finished:\n\t"
      "}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// Two stages with commit and wait groups; a block walks over the tiles.
extern "C" __global__ void __launch_bounds__(128) add_cp_async(const float* a, const float* b, float* out, unsigned n) {
  __shared__ __align__(16) float stage[2][2][kTile];
  unsigned stride = gridDim.x * kTile;
  unsigned start = blockIdx.x * kTile;
  copy_tile(stage[0][0], a, start, n);
  copy_tile(stage[0][1], b, start, n);
  asm volatile("cp.async.commit_group;" ::: "memory");
  for (unsigned turn = 0; start < n; start += stride, ++turn) {
    unsigned now = turn % 2, next = 1 - now;
    copy_tile(stage[next][0], a, start + stride, n);
    copy_tile(stage[next][1], b, start + stride, n);
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    add_tile(stage[now][0], stage[now][1], out, start, n);
    __syncthreads();
  }
  asm volatile("cp.async.wait_all;" ::: "memory");
}

// The same two stages, with an mbarrier for each that the copies themselves arrive at.
extern "C" __global__ void __launch_bounds__(128) add_mbarrier(const float* a, const float* b, float* out, unsigned n) {
  __shared__ __align__(16) float stage[2][2][kTile];
  __shared__ unsigned long long full[2];
  if (threadIdx.x == 0) {
    barrier_init(&full[0], kThreads);
    barrier_init(&full[1], kThreads);
  }
  __syncthreads();
  unsigned stride = gridDim.x * kTile;
  unsigned start = blockIdx.x * kTile;
  auto fetch = [&](unsigned into, unsigned from) {
    copy_tile(stage[into][0], a, from, n);
    copy_tile(stage[into][1], b, from, n);
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(&full[into])) : "memory");
  };
  fetch(0, start);
  for (unsigned turn = 0; start < n; start += stride, ++turn) {
    unsigned now = turn % 2;
    if (start + stride < n) fetch(1 - now, start + stride);
    barrier_wait(&full[now], turn / 2 % 2);
    add_tile(stage[now][0], stage[now][1], out, start, n);
    __syncthreads();
  }
}

// Bulk copies by one thread: in with transaction counts, out with a bulk group. n is a multiple of 4.
extern "C" __global__ void __launch_bounds__(128) add_bulk(const float* a, const float* b, float* out, unsigned n) {
  __shared__ __align__(128) float left[kTile];
  __shared__ __align__(128) float right[kTile];
  __shared__ __align__(128) float sum[kTile];
  __shared__ unsigned long long full;
  if (threadIdx.x == 0) {
    barrier_init(&full, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  unsigned turn = 0;
  for (unsigned start = blockIdx.x * kTile; start < n; start += gridDim.x * kTile, ++turn) {
    unsigned bytes = n - start < kTile ? (n - start) * 4 : kTileBytes;
    if (threadIdx.x == 0) {
      asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&full)), "r"(2 * bytes)
                   : "memory");
      asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared_address(left)),
                   "l"(a + start), "r"(bytes), "r"(shared_address(&full))
                   : "memory");
      asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared_address(right)),
                   "l"(b + start), "r"(bytes), "r"(shared_address(&full))
                   : "memory");
    }
    barrier_wait(&full, turn % 2);
    for (unsigned at = threadIdx.x; at < bytes / 4; at += kThreads) sum[at] = left[at] + right[at];
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
      asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(out + start), "r"(shared_address(sum)), "r"(bytes)
                   : "memory");
      asm volatile("cp.async.bulk.commit_group;\n\tcp.async.bulk.wait_group.read 0;" ::: "memory");
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}
