// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Transposition of a matrix through a tile in shared memory. Without padding a column of the tile lies in one bank.
#include "device.h"

// A block of 32 x 8 threads moves a tile of 32 x 32 elements; rows and columns are those of x.
template <typename T, int kPad>
__global__ void transpose(const T* __restrict__ x, T* __restrict__ out, int rows, int columns) {
  constexpr int kTile = 32;
  __shared__ T tile[kTile][kTile + kPad];

  int row = blockIdx.y * kTile + threadIdx.y;
  int column = blockIdx.x * kTile + threadIdx.x;
  for (int step = 0; step < kTile; step += blockDim.y) {
    if (row + step < rows && column < columns) {
      tile[threadIdx.y + step][threadIdx.x] = x[static_cast<long long>(row + step) * columns + column];
    }
  }
  __syncthreads();

  int out_row = blockIdx.x * kTile + threadIdx.y;
  int out_column = blockIdx.y * kTile + threadIdx.x;
  for (int step = 0; step < kTile; step += blockDim.y) {
    if (out_row + step < columns && out_column < rows) {
      out[static_cast<long long>(out_row + step) * rows + out_column] = tile[threadIdx.x][threadIdx.y + step];
    }
  }
}

template __global__ void transpose<float, 0>(const float* __restrict__, float* __restrict__, int, int);
template __global__ void transpose<float, 1>(const float* __restrict__, float* __restrict__, int, int);
template __global__ void transpose<unsigned short, 2>(const unsigned short* __restrict__, unsigned short* __restrict__, int, int);
template __global__ void transpose<double, 1>(const double* __restrict__, double* __restrict__, int, int);
