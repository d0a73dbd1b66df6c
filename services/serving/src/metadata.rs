//! What a deployment tells about itself, the same over both protocols.

use crate::domain::answer::OUTPUTS;
use crate::domain::row::AS_OF;
use crate::error::Error;
use crate::infer::Deployment;
use arrow::datatypes::DataType;

/// Name of the server in the protocol.
pub(crate) const SERVER: &str = "tidemill";
/// Version of the server in the protocol.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Extensions of the protocol over HTTP.
pub(crate) const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];

/// Name, element type and shape of a tensor; −1 is any length.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct TensorMetadata {
    pub(crate) name: String,
    pub(crate) datatype: &'static str,
    pub(crate) shape: [i64; 1],
}

/// A model as the protocol describes it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct ModelMetadata {
    pub(crate) name: String,
    pub(crate) versions: Vec<String>,
    pub(crate) platform: &'static str,
    pub(crate) inputs: Vec<TensorMetadata>,
    pub(crate) outputs: Vec<TensorMetadata>,
}

/// The signature of the version asked for: the entity key and `as_of`, or one tensor per feature.
pub(crate) fn model(deployment: &Deployment, version: &str) -> Result<ModelMetadata, Error> {
    let routes = deployment.routes();
    let route = routes.route(&deployment.name, version)?;
    let tensor = |name: &str, datatype| TensorMetadata { name: name.to_owned(), datatype, shape: [-1] };
    let mut inputs =
        vec![tensor(&deployment.spec.features.entity.key, datatype(&deployment.key_type)), tensor(AS_OF, "INT64")];
    inputs.extend(route.answers.features.iter().map(|f| tensor(f.name(), datatype(f.data_type()))));
    Ok(ModelMetadata {
        name: deployment.name.clone(),
        versions: routes.versions().iter().map(|d| d.short().to_owned()).collect(),
        platform: "tidemill",
        inputs,
        outputs: OUTPUTS.iter().map(|(name, d)| tensor(name, d.name())).collect(),
    })
}

fn datatype(stored: &DataType) -> &'static str {
    match stored {
        DataType::Boolean => "BOOL",
        DataType::Int8 => "INT8",
        DataType::Int16 => "INT16",
        DataType::Int32 => "INT32",
        DataType::Int64 | DataType::Timestamp(..) => "INT64",
        DataType::Float32 => "FP32",
        DataType::Float64 => "FP64",
        _ => "BYTES",
    }
}
