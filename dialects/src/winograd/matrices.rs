//! The transform matrices of F(m, r), from exact rationals.
//!
//! Toom-Cook on the points 0, 1, -1, 2, -2, 1/2, -1/2, … and infinity, transposed to correlation (Lavin and Gray, arXiv
//! 1509.09308; Barabasz et al., arXiv 1803.10986).

use num_rational::Ratio;

/// Tiles `m + r - 1` larger than this are refused: their rounding errors are beyond use.
pub const MAX_TILE: i64 = 16;

/// A dense matrix of exact rationals, by rows.
pub type Matrix = Vec<Vec<Ratio<i128>>>;

/// The three matrices: `y = AT [(G g) * (BT d)]` for `m` outputs, `r` taps and `m + r - 1` inputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matrices {
    /// `[m + r - 1][m + r - 1]`
    pub bt: Matrix,
    /// `[m + r - 1][r]`
    pub g: Matrix,
    /// `[m][m + r - 1]`
    pub at: Matrix,
}

/// The first `count` finite points: 0, then `±p` for small numbers with few bits.
fn points(count: usize) -> Vec<Ratio<i128>> {
    const POSITIVE: [(i128, i128); 7] = [(1, 1), (2, 1), (1, 2), (4, 1), (1, 4), (3, 1), (1, 3)];
    let pairs = POSITIVE.iter().flat_map(|(n, d)| [Ratio::new(*n, *d), Ratio::new(-n, *d)]);
    std::iter::once(Ratio::from_integer(0)).chain(pairs).take(count).collect()
}

/// Coefficients of `prod (x - p)`, lowest first.
fn expand(roots: impl Iterator<Item = Ratio<i128>>) -> Vec<Ratio<i128>> {
    let zero = Ratio::from_integer(0);
    roots.fold(vec![Ratio::from_integer(1)], |poly, root| {
        let shifted = std::iter::once(zero).chain(poly.iter().copied());
        let scaled = poly.iter().map(|c| *c * root).chain(std::iter::once(zero));
        shifted.zip(scaled).map(|(a, b)| a - b).collect()
    })
}

impl Matrices {
    /// The matrices of F(m, r); the message names the limit broken.
    pub fn new(m: i64, r: i64) -> Result<Matrices, String> {
        let tile =
            m.checked_add(r).and_then(|t| t.checked_sub(1)).filter(|t| m >= 1 && r >= 1 && *t >= 2 && *t <= MAX_TILE);
        let Some(tile) = tile else {
            return Err(format!("F({m}, {r}): m and r must be at least 1 and m + r - 1 in 2..={MAX_TILE}"));
        };
        let (m, r, tile) = (m as usize, r as usize, tile as usize);
        let points = points(tile - 1);
        let (zero, one) = (Ratio::from_integer(0), Ratio::from_integer(1));
        let unit =
            |at: usize, n: usize| -> Vec<Ratio<i128>> { (0..n).map(|i| if i == at { one } else { zero }).collect() };
        let (mut bt, mut g) = (vec![], vec![]);
        for (k, p) in points.iter().enumerate() {
            let others = || points.iter().enumerate().filter(|(l, _)| *l != k).map(|(_, q)| *q);
            let norm = others().fold(one, |n, q| n * (*p - q));
            // Both rows may change sign together; the point 0 gets the sign the literature prints.
            let sign = if k == 0 && norm < zero { -one } else { one };
            let mut row: Vec<_> = expand(others()).into_iter().map(|c| c * sign).collect();
            row.push(zero);
            bt.push(row);
            g.push((0..r).map(|j| p.pow(j as i32) / (norm * sign)).collect());
        }
        bt.push(expand(points.iter().copied()));
        g.push(unit(r - 1, r));
        let at = (0..m)
            .map(|i| {
                let finite = points.iter().map(|p| p.pow(i as i32));
                finite.chain(std::iter::once(if i == m - 1 { one } else { zero })).collect()
            })
            .collect();
        Ok(Matrices { bt, g, at })
    }
}

/// The matrix with each row multiplied by the odd part of its common denominator, and those factors: the products are dyadic,
/// so binary floats hold them exactly, and dividing by the factors afterwards is the only rounding.
pub fn dyadic(matrix: &Matrix) -> (Vec<f64>, Vec<f64>) {
    let gcd = |mut a: i128, mut b: i128| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let (mut values, mut factors) = (vec![], vec![]);
    for row in matrix {
        let common = row.iter().fold(1i128, |l, c| l / gcd(l, *c.denom()) * c.denom());
        let odd = common >> common.trailing_zeros();
        values.extend(row.iter().map(|c| {
            let scaled = *c * Ratio::from_integer(odd);
            *scaled.numer() as f64 / *scaled.denom() as f64
        }));
        factors.push(odd as f64);
    }
    (values, factors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&str]) -> Matrix {
        let number = |s: &str| s.parse().expect("a rational");
        rows.iter().map(|r| r.split_whitespace().map(number).collect()).collect()
    }

    #[test]
    fn every_size_computes_correlations() {
        for m in 1..=MAX_TILE {
            for r in 1..=MAX_TILE {
                let Ok(w) = Matrices::new(m, r) else {
                    assert!(m + r - 1 > MAX_TILE || m + r - 1 < 2);
                    continue;
                };
                for (i, at) in w.at.iter().enumerate() {
                    for j in 0..r as usize {
                        for l in 0..(m + r - 1) as usize {
                            let sum =
                                (0..at.len()).fold(Ratio::from_integer(0), |s, k| s + at[k] * w.g[k][j] * w.bt[k][l]);
                            assert_eq!(sum, Ratio::from_integer(i128::from(l == i + j)), "F({m}, {r}) at {i} {j} {l}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn small_sizes_are_those_in_print() {
        let f23 = Matrices::new(2, 3).unwrap();
        assert_eq!(f23.bt, matrix(&["1 0 -1 0", "0 1 1 0", "0 -1 1 0", "0 -1 0 1"]));
        assert_eq!(f23.g, matrix(&["1 0 0", "1/2 1/2 1/2", "1/2 -1/2 1/2", "0 0 1"]));
        assert_eq!(f23.at, matrix(&["1 1 1 0", "0 1 -1 1"]));
        let f43 = Matrices::new(4, 3).unwrap();
        assert_eq!(f43.bt[0], matrix(&["4 0 -5 0 1 0"])[0]);
        assert_eq!(f43.g[4], matrix(&["1/24 -1/12 1/6"])[0]);
        let f63 = Matrices::new(6, 3).unwrap();
        assert_eq!(f63.bt[0], matrix(&["1 0 -21/4 0 21/4 0 -1 0"])[0]);
        assert_eq!(f63.g[5], matrix(&["32/45 16/45 8/45"])[0]);
    }

    #[test]
    fn scaled_rows_are_dyadic() {
        for (m, r) in [(4, 3), (6, 3), (9, 8)] {
            let w = Matrices::new(m, r).unwrap();
            for matrix in [&w.bt, &w.g, &w.at] {
                let (values, factors) = dyadic(matrix);
                for (i, row) in matrix.iter().enumerate() {
                    for (j, c) in row.iter().enumerate() {
                        let scaled = *c * Ratio::from_integer(factors[i] as i128);
                        assert!((scaled.denom() & (scaled.denom() - 1)) == 0);
                        assert_eq!(values[i * row.len() + j], *scaled.numer() as f64 / *scaled.denom() as f64);
                    }
                }
            }
        }
    }
}
