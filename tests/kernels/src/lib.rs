//! Kernel descriptions under test: [`oracle`], an interpreter of them, and [`cases`], descriptions of every kind to run, and
//! [`random`], any number of nests; [`simulate`] runs emitted PTX of them, [`mutants`] breaks it. Shared by the tests of
//! both backends; knows no backend.

pub mod cases;
pub mod mutants;
pub mod oracle;
pub mod random;
pub mod simulate;
