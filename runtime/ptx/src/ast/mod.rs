//! The tree.
//!
//! Central type: [`Module`]. Lines are those of the text, from 1.

mod debug;
mod function;
mod instruction;
mod module;
mod operand;
mod statement;
mod types;
mod variable;

pub use debug::{FileName, FunctionName, Location, LocationId, Position, Section, SectionItem, SectionValue};
pub use function::{Function, FunctionKind, Prototype, Tuning};
pub use instruction::{Call, Guard, Instruction};
pub use module::{Directive, Module, Version};
pub use operand::{Address, Int, Operand};
pub use statement::{Block, Registers, Statement};
pub use types::{Linkage, Space, Type};
pub use variable::{Attribute, Initial, Pointer, Variable};
