//! What conversions between element types keep.

use tricot_types::DType;

/// Whether every value of `from` is a value of `to`.
pub fn widens(from: DType, to: DType) -> bool {
    use DType::*;
    if from == to {
        return true;
    }
    match (from.is_float(), to.is_float()) {
        (true, true) => match to {
            F64 => true,
            F32 => from != F64,
            F16 => matches!(from, F8E4M3 | F8E5M2),
            BF16 => matches!(from, F8E4M3 | F8E5M2),
            _ => false,
        },
        (false, true) => {
            let digits = match to {
                F64 => 53,
                F32 => 24,
                F16 => 11,
                BF16 => 8,
                _ => return false,
            };
            from.int_range().is_some_and(|(lo, hi)| lo >= -(1 << digits) && hi <= 1 << digits)
        }
        (false, false) => match (from.int_range(), to.int_range()) {
            (Some((a, b)), Some((c, d))) => to != Bool && a >= c && b <= d,
            _ => false,
        },
        _ => false,
    }
}
