//! Tests of the import on models made in memory.

mod dynamic;
mod external;
mod hostile;
mod make;
mod refused;
