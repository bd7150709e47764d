//! What the tests of several rooms share: [`oracle`], an interpreter of kernel descriptions.

pub mod oracle;
