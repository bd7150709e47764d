//! Matrix products for compiled code: floats through the `gemm` crate, integers by wrapping loops.
//!
//! Every function computes `dst = a * b` (or adds to `dst`) on one thread; strides are in elements and may be anything.

/// See [`tricot_plan::helpers::Slot::GemmF32`].
pub(super) type Gemm<T> = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    i64,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
);

macro_rules! float_gemm {
    ($name:ident, $t:ty) => {
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe extern "C" fn $name(
            m: usize,
            n: usize,
            k: usize,
            dst: *mut $t,
            dst_rs: isize,
            dst_cs: isize,
            accumulate: i64,
            a: *const $t,
            a_rs: isize,
            a_cs: isize,
            b: *const $t,
            b_rs: isize,
            b_cs: isize,
        ) {
            if m == 0 || n == 0 || (k == 0 && accumulate != 0) {
                return;
            }
            // SAFETY: compiled code passes matrices that lie inside its buffers; `dst` overlaps neither operand.
            unsafe {
                if k == 0 {
                    return fill_zero(m, n, dst, dst_rs, dst_cs);
                }
                gemm::gemm(
                    m,
                    n,
                    k,
                    dst,
                    dst_cs,
                    dst_rs,
                    accumulate != 0,
                    a,
                    a_cs,
                    a_rs,
                    b,
                    b_cs,
                    b_rs,
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
    };
}

float_gemm!(gemm_f32, f32);
float_gemm!(gemm_f64, f64);

macro_rules! int_gemm {
    ($name:ident, $t:ty) => {
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe extern "C" fn $name(
            m: usize,
            n: usize,
            k: usize,
            dst: *mut $t,
            dst_rs: isize,
            dst_cs: isize,
            accumulate: i64,
            a: *const $t,
            a_rs: isize,
            a_cs: isize,
            b: *const $t,
            b_rs: isize,
            b_cs: isize,
        ) {
            // Four rows of sixteen sums stay in registers; the inner loop is a broadcast times a row.
            const ROWS: usize = 4;
            const COLS: usize = 16;
            for i0 in (0..m).step_by(ROWS) {
                let rows = ROWS.min(m - i0);
                for j0 in (0..n).step_by(COLS) {
                    let cols = COLS.min(n - j0);
                    let mut sums = [[0 as $t; COLS]; ROWS];
                    // SAFETY: indices stay below m, n and k; compiled code passes matrices inside its buffers.
                    unsafe {
                        for p in 0..k {
                            let row = b.offset(p as isize * b_rs + j0 as isize * b_cs);
                            let mut line = [0 as $t; COLS];
                            if b_cs == 1 && cols == COLS {
                                line = row.cast::<[$t; COLS]>().read_unaligned();
                            } else {
                                for (j, x) in line.iter_mut().enumerate().take(cols) {
                                    *x = *row.offset(j as isize * b_cs);
                                }
                            }
                            for (i, sum) in sums.iter_mut().enumerate().take(rows) {
                                let x = *a.offset((i0 + i) as isize * a_rs + p as isize * a_cs);
                                for j in 0..COLS {
                                    sum[j] = sum[j].wrapping_add(x.wrapping_mul(line[j]));
                                }
                            }
                        }
                        for (i, sum) in sums.iter().enumerate().take(rows) {
                            for (j, x) in sum.iter().enumerate().take(cols) {
                                let at = dst.offset((i0 + i) as isize * dst_rs + (j0 + j) as isize * dst_cs);
                                *at = if accumulate != 0 { (*at).wrapping_add(*x) } else { *x };
                            }
                        }
                    }
                }
            }
        }
    };
}

int_gemm!(gemm_i32, i32);
int_gemm!(gemm_i64, i64);

/// Writes zeros: the product over an empty inner dimension.
unsafe fn fill_zero<T: Default>(m: usize, n: usize, dst: *mut T, rs: isize, cs: isize) {
    for i in 0..m as isize {
        for j in 0..n as isize {
            // SAFETY: inside the m by n matrix the caller passed.
            unsafe { dst.offset(i * rs + j * cs).write(T::default()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_multiply_at_any_stride() {
        for (m, n, k) in [(1, 1, 1), (5, 17, 9), (4, 16, 3), (3, 40, 0)] {
            for transposed in [false, true] {
                for accumulate in [0, 1] {
                    let a: Vec<i32> = (0..m * k).map(|i| (i * 7919 % 201) as i32 - 100).collect();
                    let b: Vec<i32> = (0..n * k).map(|i| (i * 104_729 % 201) as i32 - 100).collect();
                    let mut c = vec![5i32; m * n];
                    let (b_rs, b_cs) = if transposed { (1, k) } else { (n, 1) };
                    // SAFETY: the strides describe the vectors above.
                    unsafe {
                        gemm_i32(
                            m,
                            n,
                            k,
                            c.as_mut_ptr(),
                            n as isize,
                            1,
                            accumulate,
                            a.as_ptr(),
                            k as isize,
                            1,
                            b.as_ptr(),
                            b_rs as isize,
                            b_cs as isize,
                        );
                    }
                    for i in 0..m {
                        for j in 0..n {
                            let sum: i32 = (0..k).map(|p| a[i * k + p] * b[p * b_rs + j * b_cs]).sum();
                            assert_eq!(c[i * n + j], sum + 5 * accumulate as i32, "{m} {n} {k} at {i} {j}");
                        }
                    }
                }
            }
        }
    }
}
