//! Words with a fixed set of values.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$note])* $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// As PTX spells it, without the dot.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            /// The one that PTX spells `name`, without the dot.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// State space of a declaration (PTX ISA 5.1).
    Space { Reg "reg", Global "global", Shared "shared", Local "local", Const "const", Param "param" }
}

words! {
    /// Who sees a name (PTX ISA 11.6).
    Linkage { Extern "extern", Visible "visible", Weak "weak", Common "common" }
}

words! {
    /// Type of a register or a variable (PTX ISA 5.2).
    Type {
        Pred "pred",
        B8 "b8", B16 "b16", B32 "b32", B64 "b64", B128 "b128",
        U8 "u8", U16 "u16", U32 "u32", U64 "u64",
        S8 "s8", S16 "s16", S32 "s32", S64 "s64",
        F16 "f16", F16x2 "f16x2", Bf16 "bf16", Bf16x2 "bf16x2", F32 "f32", F64 "f64",
    }
}

impl Type {
    /// Bytes of one value; 0 for a predicate, which has no address.
    pub fn bytes(self) -> u64 {
        use Type::*;
        match self {
            Pred => 0,
            B8 | U8 | S8 => 1,
            B16 | U16 | S16 | F16 | Bf16 => 2,
            B32 | U32 | S32 | F16x2 | Bf16x2 | F32 => 4,
            B64 | U64 | S64 | F64 => 8,
            B128 => 16,
        }
    }
}
