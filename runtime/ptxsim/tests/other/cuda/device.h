// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the kernels need beyond the language: from the CUDA headers under nvcc, declared here on clang's builtins under
// clang, which then needs no CUDA installation.
#pragma once

#if !defined(__clang__)

#include <cassert>
#include <cstdio>

#else

#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __cluster_dims__(...) __attribute__((cluster_dims(__VA_ARGS__)))
#define __align__(n) __attribute__((aligned(n)))

#include <__clang_cuda_builtin_vars.h>

extern "C" __device__ void __assertfail(const char* condition, const char* file, unsigned line, const char* function, unsigned long size)
    __attribute__((noreturn));
extern "C" __device__ int vprintf(const char* format, const char* arguments);
extern "C" __device__ int printf(const char* format, ...);

#define assert(condition) \
  ((condition) ? static_cast<void>(0) : __assertfail(#condition, __FILE__, __LINE__, __func__, sizeof(char)))

__device__ inline unsigned __activemask() { return __nvvm_activemask(); }
__device__ inline unsigned __match_any_sync(unsigned mask, unsigned value) { return __nvvm_match_any_sync_i32(mask, value); }
__device__ inline int __reduce_add_sync(unsigned mask, int value) { return __nvvm_redux_sync_add(value, mask); }
__device__ inline int __ffs(int value) { return __builtin_ffs(value); }
__device__ inline int __popc(unsigned value) { return __builtin_popcount(value); }
__device__ inline void __threadfence() { __nvvm_membar_gl(); }

__device__ inline float __shfl_down_sync(unsigned mask, float value, unsigned step) {
  return __nvvm_shfl_sync_down_f32(mask, value, step, 31);
}
__device__ inline double __shfl_down_sync(unsigned mask, double value, unsigned step) {
  struct Halves {
    int low, high;
  } halves = __builtin_bit_cast(Halves, value);
  halves.low = __nvvm_shfl_sync_down_i32(mask, halves.low, step, 31);
  halves.high = __nvvm_shfl_sync_down_i32(mask, halves.high, step, 31);
  return __builtin_bit_cast(double, halves);
}

__device__ inline int atomicAdd(int* at, int value) { return __nvvm_atom_add_gen_i(at, value); }
__device__ inline unsigned atomicAdd(unsigned* at, unsigned value) {
  return __nvvm_atom_add_gen_i(reinterpret_cast<int*>(at), static_cast<int>(value));
}
__device__ inline float atomicAdd(float* at, float value) { return __nvvm_atom_add_gen_f(at, value); }
__device__ inline unsigned atomicInc(unsigned* at, unsigned limit) { return __nvvm_atom_inc_gen_ui(at, limit); }

__device__ inline unsigned long __cvta_generic_to_shared(const void* at) {
  return reinterpret_cast<unsigned long>((const __attribute__((address_space(3))) void*)at);
}

#endif
