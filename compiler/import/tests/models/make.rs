//! Small ONNX models, built field by field.

use prost::Message;
use tricot_import::onnx::proto::*;

/// A node of the standard domain, named after its first output.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(format!("{op}_{}", outputs[0])),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: outputs.iter().map(|s| s.to_string()).collect(),
        ..Default::default()
    }
}

/// Adds an integer attribute.
pub fn int(mut node: NodeProto, name: &str, value: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        r#type: Some(attribute_proto::AttributeType::Int as i32),
        i: Some(value),
        ..Default::default()
    });
    node
}

/// Adds an integer list attribute.
pub fn ints(mut node: NodeProto, name: &str, values: &[i64]) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        r#type: Some(attribute_proto::AttributeType::Ints as i32),
        ints: values.to_vec(),
        ..Default::default()
    });
    node
}

/// Adds a graph attribute.
pub fn graph(mut node: NodeProto, name: &str, value: GraphProto) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        r#type: Some(attribute_proto::AttributeType::Graph as i32),
        g: Some(value),
        ..Default::default()
    });
    node
}

/// A declared value; sizes are numbers or names.
pub fn value(name: &str, element: tensor_proto::DataType, dims: &[&str]) -> ValueInfoProto {
    let dim = |d: &&str| tensor_shape_proto::Dimension {
        denotation: None,
        value: Some(match d.parse::<i64>() {
            Ok(v) => tensor_shape_proto::dimension::Value::DimValue(v),
            Err(_) => tensor_shape_proto::dimension::Value::DimParam(d.to_string()),
        }),
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(element as i32),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { denotation: None, value: Some(type_proto::Value::TensorType(tensor)) }),
        ..Default::default()
    }
}

/// An f32 input.
pub fn float(name: &str, dims: &[&str]) -> ValueInfoProto {
    value(name, tensor_proto::DataType::Float, dims)
}

/// An output of undeclared type.
pub fn open(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..Default::default() }
}

/// An i64 initializer.
pub fn longs(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(tensor_proto::DataType::Int64 as i32),
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

/// An f32 initializer with raw data.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(tensor_proto::DataType::Float as i32),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..Default::default()
    }
}

/// A graph.
pub fn body(
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: &[&str],
) -> GraphProto {
    GraphProto {
        name: Some("g".into()),
        node: nodes,
        initializer: weights,
        input: inputs,
        output: outputs.iter().map(|o| open(o)).collect(),
        ..Default::default()
    }
}

/// A model of opset 17 in bytes.
pub fn model(graph: GraphProto) -> Vec<u8> {
    whole(graph).encode_to_vec()
}

/// A model of opset 17.
pub fn whole(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(17) }],
        graph: Some(graph),
        ..Default::default()
    }
}

/// An attention block as dynamic exports write it: shapes taken apart, multiplied and put together again.
pub fn dynamic_block() -> GraphProto {
    let w: Vec<f32> = (0..8 * 8).map(|i| ((i * 5) % 7) as f32 / 7.0 - 0.4).collect();
    let nodes = vec![
        node("Shape", &["x"], &["shape"]),
        int(node("Gather", &["shape", "zero"], &["b"]), "axis", 0),
        int(node("Gather", &["shape", "one"], &["s"]), "axis", 0),
        node("Unsqueeze", &["b", "axes0"], &["b1"]),
        node("Unsqueeze", &["s", "axes0"], &["s1"]),
        node("MatMul", &["x", "w"], &["q"]),
        int(node("Concat", &["b1", "s1", "heads", "minus"], &["split"]), "axis", 0),
        node("Reshape", &["q", "split"], &["q4"]),
        ints(node("Transpose", &["q4"], &["qt"]), "perm", &[0, 2, 1, 3]),
        ints(node("Transpose", &["q4"], &["kt"]), "perm", &[0, 2, 3, 1]),
        node("MatMul", &["qt", "kt"], &["logits"]),
        int(node("Softmax", &["logits"], &["p"]), "axis", -1),
        node("MatMul", &["p", "qt"], &["o"]),
        ints(node("Transpose", &["o"], &["ot"]), "perm", &[0, 2, 1, 3]),
        node("Mul", &["heads", "width"], &["joined"]),
        int(node("Concat", &["b1", "s1", "joined"], &["back"]), "axis", 0),
        node("Reshape", &["ot", "back"], &["merged"]),
        node("Slice", &["table", "axes0", "s1", "axes0"], &["positions"]),
        node("Add", &["merged", "positions"], &["y"]),
        node("Equal", &["back", "minus"], &["wild"]),
        node("Where", &["wild", "back", "back"], &["chosen"]),
        node("Expand", &["y", "chosen"], &["z"]),
        node("Range", &["zero", "s", "one"], &["steps"]),
    ];
    let table: Vec<f32> = (0..16 * 8).map(|i| i as f32 / 128.0).collect();
    let weights = vec![
        floats("w", &[8, 8], &w),
        floats("table", &[16, 8], &table),
        longs("zero", &[], &[0]),
        longs("one", &[], &[1]),
        longs("axes0", &[1], &[0]),
        longs("heads", &[1], &[2]),
        longs("width", &[1], &[4]),
        longs("minus", &[1], &[-1]),
    ];
    body(nodes, weights, vec![float("x", &["batch", "seq", "8"])], &["z", "steps"])
}
