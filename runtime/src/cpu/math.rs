//! Scalar elementary functions for compiled code, in f32 and f64, in the order of [`tricot_plan::helpers`].

unsafe extern "C" {
    #[link_name = "erf"]
    safe fn c_erf(x: f64) -> f64;
    #[link_name = "erff"]
    safe fn c_erff(x: f32) -> f32;
}

macro_rules! functions {
    ($t:ty, $erf:ident, $unary:ident, $binary:ident, [$($name:ident = $method:ident),*]) => {
        /// The unary functions, in slot order.
        pub(super) const $unary: [unsafe extern "C" fn($t) -> $t; tricot_plan::helpers::UNARY.len()] = {
            $(unsafe extern "C" fn $name(x: $t) -> $t { x.$method() })*
            unsafe extern "C" fn erf(x: $t) -> $t { $erf(x) }
            [$($name,)* erf]
        };
        /// The binary functions, in slot order.
        pub(super) const $binary: [unsafe extern "C" fn($t, $t) -> $t; tricot_plan::helpers::BINARY.len()] = {
            unsafe extern "C" fn pow(x: $t, y: $t) -> $t { x.powf(y) }
            unsafe extern "C" fn atan2(x: $t, y: $t) -> $t { x.atan2(y) }
            unsafe extern "C" fn fmod(x: $t, y: $t) -> $t { x % y }
            [pow, atan2, fmod]
        };
    };
    ($t:ty, $erf:ident, $unary:ident, $binary:ident) => {
        functions!($t, $erf, $unary, $binary, [
            exp = exp, exp2 = exp2, expm1 = exp_m1, log = ln, log2 = log2, log1p = ln_1p, sin = sin, cos = cos,
            tan = tan, asin = asin, acos = acos, atan = atan, sinh = sinh, cosh = cosh, tanh = tanh, asinh = asinh,
            acosh = acosh, atanh = atanh
        ]);
    };
}

functions!(f32, c_erff, UNARY_F32, BINARY_F32);
functions!(f64, c_erf, UNARY_F64, BINARY_F64);
