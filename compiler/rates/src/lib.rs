//! What targets sustain: the rates every cost model of the compiler uses, so that rewriting and scheduling weigh alike.
//!
//! The central type is [`Rates`]. It knows numbers, no op, no kernel and no instruction.

use tricot_types::DType;

/// Sustained rates of a target, in operations or bytes a second; sources: the H200 baselines of this project, and a desktop core.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    /// The target.
    pub name: &'static str,
    /// Matrix products of 8-, 16- and 32-bit elements.
    product: [f64; 3],
    /// Elementwise operations.
    pub scalar: f64,
    /// Bytes of memory.
    pub bandwidth: f64,
    /// Seconds to start a kernel.
    pub launch: f64,
    /// How much faster a 2:4 product is than the dense one of the same shape.
    pub sparse: f64,
}

impl Rates {
    /// The rates of `cpu` or `sm_90a`; of `cpu` for names not known.
    pub fn named(name: &str) -> Rates {
        match name {
            "sm_90a" => Rates {
                name: "sm_90a",
                product: [1.1e15, 6.0e14, 4.0e13],
                scalar: 1.5e13,
                bandwidth: 4.0e12,
                launch: 3.0e-6,
                sparse: 1.3,
            },
            _ => Rates {
                name: "cpu",
                product: [1.0e11, 6.0e10, 1.0e11],
                scalar: 4.0e9,
                bandwidth: 2.0e10,
                launch: 1.0e-6,
                sparse: 0.8,
            },
        }
    }

    /// Operations a second of matrix products of `dtype` elements.
    pub fn product(&self, dtype: DType) -> f64 {
        match dtype.bits() {
            ..=8 => self.product[0],
            16 => self.product[1],
            _ => self.product[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_elements_multiply_faster_on_tensor_cores() {
        let gpu = Rates::named("sm_90a");
        assert!(gpu.product(DType::F8E4M3) > gpu.product(DType::BF16));
        assert!(gpu.product(DType::BF16) > gpu.product(DType::F32));
        assert_eq!(Rates::named("no such target"), Rates::named("cpu"));
    }
}
