//! `predict`: one prediction by the Open Inference Protocol, as any other client would ask.

use super::instant;
use super::output::{Output, next};
use super::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::{Map, Value, json};
use tidemill_contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use tidemill_contracts::inference::infer_parameter::ParameterChoice;
use tidemill_contracts::inference::model_infer_request::InferInputTensor;
use tidemill_contracts::inference::model_infer_response::InferOutputTensor;
use tidemill_contracts::inference::{
    InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse,
};
use tidemill_types::Millis;

const EXAMPLES: &str = "\
Examples:
  tidemill predict --key 12345
  tidemill predict --key 12345 --as-of 2013-06-01T10:00:00Z -o json
  tidemill predict --row '{\"carrier\": \"UA\", \"origin\": \"EWR\", \"dep_hour\": 17}'";

/// `tidemill predict`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[group(required = true, multiple = true)]
pub(super) struct PredictArgs {
    /// Key of the entity; its features are fetched.
    #[arg(long, conflicts_with = "row", value_name = "KEY")]
    key: Option<String>,
    /// Features as a JSON object; those left out are missing values.
    #[arg(long, value_name = "JSON")]
    row: Option<String>,
    /// Answer from what was known at this instant; by default now.
    #[arg(long, value_parser = instant, value_name = "INSTANT")]
    as_of: Option<Millis>,
    /// Version of the model; by default the champion.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "VERSION")]
    version: String,
}

/// Asks and shows the answer.
pub(super) async fn run(target: &Target, out: Output, args: PredictArgs) -> Result<u8> {
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let model_name = spec.serve.deployment.to_string();
    let channel = target.channel("serving", &target.endpoints.serving_grpc).await?;
    let mut client = GrpcInferenceServiceClient::new(channel);
    let asked = ModelMetadataRequest { name: model_name.clone(), version: args.version.clone() };
    let metadata = client.model_metadata(asked).await.map_err(Error::remote("model metadata"))?.into_inner();
    let mut inputs = match (&args.key, &args.row) {
        (Some(key), _) => vec![tensor(&metadata, &spec.features.entity.key, &Value::String(key.clone()))?],
        (None, Some(row)) => features(&metadata, row)?,
        (None, None) => return Err(Error::Usage("say --key KEY or --row JSON".to_owned())),
    };
    if let Some(as_of) = args.as_of {
        inputs.push(tensor(&metadata, "as_of", &json!(as_of.0))?);
    }
    let request = ModelInferRequest { model_name, model_version: args.version, inputs, ..ModelInferRequest::default() };
    let answer = client.model_infer(request).await.map_err(Error::remote("predict"))?.into_inner();
    let shown = shown(&answer);
    out.record(&shown)?;
    next(match shown["status"].as_str() {
        Some("unknown_entity") => {
            "ask for an instant at which the key is known, at most features.lookback ago: --as-of INSTANT"
        }
        Some("outside_lookback") => "ask for a later instant, or raise features.lookback",
        _ => "tidemill status shows when its outcome has joined",
    });
    Ok(0)
}

fn features(metadata: &ModelMetadataResponse, row: &str) -> Result<Vec<InferInputTensor>> {
    let fields: Map<String, Value> =
        serde_json::from_str(row).map_err(|e| Error::Usage(format!("--row is no JSON object: {e}")))?;
    fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| tensor(metadata, name, value)).collect()
}

/// One value as a tensor of the type that the model declares.
fn tensor(metadata: &ModelMetadataResponse, name: &str, value: &Value) -> Result<InferInputTensor> {
    let known = || metadata.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ");
    let declared = metadata.inputs.iter().find(|input| input.name == name);
    let declared =
        declared.ok_or_else(|| Error::Usage(format!("the model reads no \"{name}\"; it reads {}", known())))?;
    let datatype = declared.datatype.clone();
    let contents = contents(&datatype, value)
        .ok_or_else(|| Error::Usage(format!("\"{name}\" must be {datatype}, and {value} is not")))?;
    Ok(InferInputTensor {
        name: name.to_owned(),
        datatype,
        shape: vec![1],
        contents: Some(contents),
        ..InferInputTensor::default()
    })
}

fn contents(datatype: &str, value: &Value) -> Option<InferTensorContents> {
    let whole = || value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let number = || {
        value
            .as_f64()
            .or_else(|| value.as_str()?.parse().ok())
            .or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))))
    };
    let text = || match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let mut made = InferTensorContents::default();
    match datatype {
        "BOOL" => made.bool_contents = vec![value.as_bool()?],
        "INT8" | "INT16" | "INT32" => made.int_contents = vec![i32::try_from(whole()?).ok()?],
        "INT64" => made.int64_contents = vec![whole()?],
        #[expect(clippy::cast_possible_truncation, reason = "the model reads single precision")]
        "FP32" => made.fp32_contents = vec![number()? as f32],
        "FP64" => made.fp64_contents = vec![number()?],
        "BYTES" => made.bytes_contents = vec![text()?.into_bytes().into()],
        _ => return None,
    }
    Some(made)
}

/// Outputs and parameters of the one row that was asked for.
fn shown(answer: &ModelInferResponse) -> Value {
    let mut fields = Map::new();
    for (at, output) in answer.outputs.iter().enumerate() {
        let raw = answer.raw_output_contents.get(at).map(AsRef::as_ref);
        fields.insert(output.name.clone(), first(output, raw));
    }
    fields.insert("model_version".to_owned(), answer.model_version.clone().into());
    for (name, parameter) in &answer.parameters {
        let value = match &parameter.parameter_choice {
            Some(ParameterChoice::StringParam(text)) => json!(text),
            Some(ParameterChoice::DoubleParam(number)) => json!(number),
            Some(ParameterChoice::Int64Param(number)) => json!(number),
            Some(ParameterChoice::Uint64Param(number)) => json!(number),
            Some(ParameterChoice::BoolParam(flag)) => json!(flag),
            None => Value::Null,
        };
        fields.insert(name.clone(), value);
    }
    Value::Object(fields)
}

/// First element of an output, from its typed or its raw contents. NaN, an absent score, is null.
fn first(output: &InferOutputTensor, raw: Option<&[u8]>) -> Value {
    let typed = output.contents.clone().unwrap_or_default();
    match output.datatype.as_str() {
        "FP64" => {
            let bytes = raw.and_then(|raw| raw.get(..8)?.try_into().ok()).map(f64::from_le_bytes);
            json!(typed.fp64_contents.first().copied().or(bytes))
        }
        "BOOL" => json!(typed.bool_contents.first().copied().or(raw.and_then(|raw| raw.first()).map(|b| *b != 0))),
        "BYTES" => {
            let bytes = raw.and_then(|raw| raw.get(4..)).map(<[u8]>::to_vec);
            let found = typed.bytes_contents.first().map(|b| b.to_vec()).or(bytes);
            json!(found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sent_as_the_type_that_the_model_declares() {
        assert_eq!(contents("INT32", &json!("12345")).unwrap().int_contents, [12345]);
        assert_eq!(contents("FP64", &json!(true)).unwrap().fp64_contents, [1.0]);
        assert_eq!(contents("BYTES", &json!("UA")).unwrap().bytes_contents[0].to_vec(), b"UA");
        assert!(contents("INT32", &json!("x")).is_none());
        assert!(contents("INT32", &json!(1_i64 << 40)).is_none());
    }
}
