//! What a caller sees of a model: its name and ports.
//!
//! The central type is [`Interface`]. It goes with a schedule, so that a bundle can be written without the graph.

use tricot_dialects::{Module, TensorType};
use tricot_plan::Port;

/// A model's name, inputs and outputs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Interface {
    pub name: String,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Interface {
    /// Of the main function; no ports where there is none.
    pub fn of(module: &Module) -> Interface {
        let mut interface = Interface { name: module.name.clone(), ..Interface::default() };
        let Some(main) = module.main() else { return interface };
        let port = |name: &str, ty: &TensorType, alias: Option<String>| Port {
            name: name.into(),
            dtype: ty.dtype,
            shape: ty.shape.clone(),
            alias,
        };
        interface.inputs = main.inputs().zip(main.input_names()).map(|(v, n)| port(n, main.ty(v), None)).collect();
        interface.outputs = main.outputs.iter().map(|o| port(&o.name, main.ty(o.value), o.alias.clone())).collect();
        interface
    }
}
