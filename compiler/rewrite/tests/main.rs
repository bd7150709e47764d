//! Rewriting from the outside: recognition, proofs and extraction on whole modules.

mod models;
mod recognise;
mod tamper;
