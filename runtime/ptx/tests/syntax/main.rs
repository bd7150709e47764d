//! Reading and printing PTX.

mod corpus;
mod errors;
mod grammar;
mod hostile;
mod random;
mod samples;
