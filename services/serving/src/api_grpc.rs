//! Open Inference Protocol v2 over gRPC.

use crate::domain::answer::Parameter;
use crate::domain::tensor::{self, Datatype, Tensor, Values};
use crate::error::Error;
use crate::infer::{Request as Inference, Response as Inferred, Serving};
use crate::metadata;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_contracts::inference::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use tidemill_contracts::inference::infer_parameter::ParameterChoice;
use tidemill_contracts::inference::model_infer_request::InferInputTensor;
use tidemill_contracts::inference::model_infer_response::InferOutputTensor;
use tidemill_contracts::inference::model_metadata_response::TensorMetadata;
use tidemill_contracts::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse, ServerLiveRequest, ServerLiveResponse,
    ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};
use tidemill_runtime::to_status;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

/// The service and its reflection, as routes of a gRPC server.
pub(crate) fn routes(serving: Arc<Serving>) -> Result<tonic::service::Routes, Error> {
    let limit = serving.config.request_bytes;
    let service = GrpcInferenceServiceServer::new(Api { serving })
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tidemill_contracts::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|e| Error::Server { what: "reflection", reason: e.to_string() })?;
    Ok(tonic::service::Routes::new(service).add_service(reflection))
}

struct Api {
    serving: Arc<Serving>,
}

#[tonic::async_trait]
impl GrpcInferenceService for Api {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.serving.is_ready() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let request = request.into_inner();
        let deployment = self.serving.deployment(&request.name).map_err(|e| to_status(&e))?;
        let ready = deployment.routes().route(&deployment.name, &request.version).is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: metadata::SERVER.to_owned(),
            version: metadata::VERSION.to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let request = request.into_inner();
        let deployment = self.serving.deployment(&request.name).map_err(|e| to_status(&e))?;
        let model = metadata::model(deployment, &request.version).map_err(|e| to_status(&e))?;
        let tensors = |list: Vec<metadata::TensorMetadata>| {
            let wire = |t: metadata::TensorMetadata| TensorMetadata {
                name: t.name,
                datatype: t.datatype.to_owned(),
                shape: t.shape.to_vec(),
            };
            list.into_iter().map(wire).collect()
        };
        Ok(Response::new(ModelMetadataResponse {
            name: model.name,
            versions: model.versions,
            platform: model.platform.to_owned(),
            inputs: tensors(model.inputs),
            outputs: tensors(model.outputs),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let deadline = timeout(request.metadata());
        let request = request.into_inner();
        let (name, id, raw) = (request.model_name.clone(), request.id.clone(), !request.raw_input_contents.is_empty());
        let inference = decode(request, deadline).map_err(|e| to_status(&e))?;
        let inferred = self.serving.infer(inference).await.map_err(|e| to_status(&e))?;
        Ok(Response::new(encode(name, id, inferred, raw)))
    }
}

/// The caller's `grpc-timeout` less a twentieth, so that our answer is on its way before the caller gives up.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let n: u64 = digits.parse().ok()?;
    let whole = match unit {
        "H" => Duration::from_secs(n.checked_mul(3_600)?),
        "M" => Duration::from_secs(n.checked_mul(60)?),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    };
    Some(whole - whole / 20)
}

/// From the wire. The trace context is already that of the call's span.
fn decode(request: ModelInferRequest, deadline: Option<Duration>) -> Result<Inference, Error> {
    let raw = request.raw_input_contents;
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let text = format!("{} raw_input_contents for {} inputs", raw.len(), request.inputs.len());
        return Err(Error::BadRequest(text));
    }
    let mut raw = raw.into_iter();
    let tensors = request.inputs.into_iter().map(|input| input_tensor(input, raw.next()));
    Ok(Inference {
        model: request.model_name,
        version: request.model_version,
        tensors: tensors.collect::<Result<_, _>>()?,
        outputs: request.outputs.into_iter().map(|o| o.name).collect(),
        deadline,
        traceparent: None,
    })
}

fn input_tensor(input: InferInputTensor, raw: Option<Bytes>) -> Result<Tensor, Error> {
    let InferInputTensor { name, datatype, shape, contents, .. } = input;
    let datatype = tensor::datatype(&name, &datatype)?;
    let values = match (raw, contents) {
        (Some(_), Some(contents)) if contents != InferTensorContents::default() => {
            return Err(Error::tensor(&name, "has both contents and raw_input_contents: send one"));
        }
        (Some(raw), _) => tensor::from_raw(&name, datatype, &raw)?,
        (None, contents) => typed(&name, datatype, contents.unwrap_or_default())?,
    };
    Ok(Tensor { name, datatype, shape, values })
}

fn typed(name: &str, datatype: Datatype, contents: InferTensorContents) -> Result<Values, Error> {
    let c = contents;
    let values = match datatype {
        Datatype::Bool => Values::Bool(c.bool_contents),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => {
            Values::Int(c.int_contents.into_iter().map(i64::from).collect())
        }
        Datatype::Int64 => Values::Int(c.int64_contents),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => {
            Values::Uint(c.uint_contents.into_iter().map(u64::from).collect())
        }
        Datatype::Uint64 => Values::Uint(c.uint64_contents),
        Datatype::Fp32 => Values::Float(c.fp32_contents.into_iter().map(f64::from).collect()),
        Datatype::Fp64 => Values::Float(c.fp64_contents),
        Datatype::Bytes => Values::Bytes(c.bytes_contents),
        Datatype::Fp16 => return Err(Error::tensor(name, "FP16 has no typed contents: use raw_input_contents")),
    };
    Ok(values)
}

/// To the wire; in raw form when the request was.
fn encode(model_name: String, id: String, inferred: Inferred, raw: bool) -> ModelInferResponse {
    let parameters: HashMap<_, _> = inferred.answer.parameters().into_iter().map(|(k, v)| (k, parameter(v))).collect();
    let mut response = ModelInferResponse {
        model_name,
        model_version: inferred.version().to_owned(),
        id,
        parameters,
        ..ModelInferResponse::default()
    };
    for output in inferred.outputs {
        if raw {
            response.raw_output_contents.push(Bytes::from(tensor::to_raw(output.datatype, &output.values)));
        }
        response.outputs.push(InferOutputTensor {
            name: output.name,
            datatype: output.datatype.name().to_owned(),
            shape: output.shape,
            parameters: HashMap::new(),
            contents: (!raw).then(|| contents(output.values)),
        });
    }
    response
}

/// Typed contents of the types that outputs have.
fn contents(values: Values) -> InferTensorContents {
    let empty = InferTensorContents::default();
    match values {
        Values::Bool(bool_contents) => InferTensorContents { bool_contents, ..empty },
        Values::Int(int64_contents) => InferTensorContents { int64_contents, ..empty },
        Values::Uint(uint64_contents) => InferTensorContents { uint64_contents, ..empty },
        Values::Float(fp64_contents) => InferTensorContents { fp64_contents, ..empty },
        Values::Bytes(bytes_contents) => InferTensorContents { bytes_contents, ..empty },
    }
}

fn parameter(value: Parameter) -> InferParameter {
    let choice = match value {
        Parameter::Text(text) => ParameterChoice::StringParam(text),
        Parameter::Number(number) => ParameterChoice::DoubleParam(number),
    };
    InferParameter { parameter_choice: Some(choice) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn input(name: &str, datatype: &str, contents: Option<InferTensorContents>) -> InferInputTensor {
        InferInputTensor {
            name: name.into(),
            datatype: datatype.into(),
            shape: vec![1],
            parameters: HashMap::new(),
            contents,
        }
    }

    #[test]
    fn typed_and_raw_contents_mean_the_same() {
        let typed = InferTensorContents { int_contents: vec![7], ..Default::default() };
        let typed = ModelInferRequest { inputs: vec![input("k", "INT16", Some(typed))], ..Default::default() };
        let raw = ModelInferRequest {
            inputs: vec![input("k", "INT16", None)],
            raw_input_contents: vec![Bytes::from_static(&[7, 0])],
            ..Default::default()
        };
        assert_eq!(decode(typed, None).unwrap().tensors, decode(raw, None).unwrap().tensors);
    }

    #[test]
    fn contents_are_given_once_and_for_every_input() {
        let typed = InferTensorContents { int64_contents: vec![7], ..Default::default() };
        let both = ModelInferRequest {
            inputs: vec![input("k", "INT64", Some(typed))],
            raw_input_contents: vec![Bytes::from_static(&[7, 0, 0, 0, 0, 0, 0, 0])],
            ..Default::default()
        };
        assert!(decode(both, None).is_err());
        let too_many = ModelInferRequest { raw_input_contents: vec![Bytes::new()], ..Default::default() };
        assert!(decode(too_many, None).is_err());
        let unknown = ModelInferRequest { inputs: vec![input("k", "BF16", None)], ..Default::default() };
        assert!(decode(unknown, None).is_err());
    }

    #[test]
    fn the_deadline_of_a_caller_is_read() {
        let mut metadata = MetadataMap::new();
        for (text, millis) in [("2S", Some(1_900)), ("100m", Some(95)), ("1x", None), ("", None)] {
            metadata.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(timeout(&metadata), millis.map(Duration::from_millis), "{text}");
        }
    }
}
