//! Bodies of the HTTP protocol: JSON, optionally followed by binary tensors (Triton's binary tensor extension).
//!
//! With the extension a body is JSON of the length that a header states, then the raw form of each tensor that
//! has a `binary_data_size`, in order.

use crate::domain::answer::Parameter;
use crate::domain::tensor::{self, Datatype, Tensor, Values};
use crate::error::Error;
use crate::infer::{Request, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Header with the length of the JSON part.
pub(crate) const LENGTH_HEADER: &str = "inference-header-content-length";
const SIZE: &str = "binary_data_size";

#[derive(Deserialize)]
struct InferBody {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    data: Option<Value>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// Which outputs are wanted in binary form.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Unless an output says otherwise.
    all_binary: bool,
    /// What outputs say, by name.
    by_output: Vec<(String, bool)>,
}

impl Form {
    fn is_binary(&self, output: &str) -> bool {
        self.by_output.iter().find(|(name, _)| name == output).map_or(self.all_binary, |(_, binary)| *binary)
    }
}

/// A decoded body. Model and version come from the path.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) request: Request,
    pub(crate) id: Option<String>,
    /// Triton's `timeout` parameter, microseconds.
    pub(crate) timeout_us: Option<u64>,
    pub(crate) form: Form,
}

/// An encoded body.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) body: Vec<u8>,
    /// Length of the JSON part when binary tensors follow.
    pub(crate) json_bytes: Option<usize>,
}

/// Reads a body whose first `json_bytes` (all when absent) are JSON.
pub(crate) fn decode(body: &Bytes, json_bytes: Option<usize>) -> Result<Decoded, Error> {
    let length = json_bytes.unwrap_or(body.len());
    if length > body.len() {
        return Err(Error::BadRequest(format!("{length} bytes of JSON announced, the body has {}", body.len())));
    }
    let parsed: InferBody =
        serde_json::from_slice(&body[..length]).map_err(|e| Error::BadRequest(format!("request JSON: {e}")))?;
    let mut binary = body.slice(length..);
    let tensors = parsed.inputs.into_iter().map(|input| decode_input(input, &mut binary)).collect::<Result<_, _>>()?;
    if !binary.is_empty() {
        return Err(Error::BadRequest(format!("{} bytes follow the last binary tensor", binary.len())));
    }
    let flag = |parameters: &Map<String, Value>, name: &str| parameters.get(name).and_then(Value::as_bool);
    let by_output = parsed.outputs.iter().filter_map(|o| Some((o.name.clone(), flag(&o.parameters, "binary_data")?)));
    let form = Form {
        all_binary: flag(&parsed.parameters, "binary_data_output").unwrap_or(false),
        by_output: by_output.collect(),
    };
    for output in &parsed.outputs {
        refuse(&output.name, &output.parameters, &["classification", "shared_memory_region"])?;
    }
    let timeout_us = parsed.parameters.get("timeout").and_then(Value::as_u64).filter(|t| *t > 0);
    let outputs = parsed.outputs.into_iter().map(|o| o.name).collect();
    let request = Request { tensors, outputs, ..Request::default() };
    Ok(Decoded { request, id: parsed.id, timeout_us, form })
}

/// Extensions that would change the meaning of a tensor and that we do not have.
fn refuse(name: &str, parameters: &Map<String, Value>, absent: &[&str]) -> Result<(), Error> {
    match absent.iter().find(|p| parameters.contains_key(**p)) {
        Some(parameter) => Err(Error::tensor(name, format!("the extension \"{parameter}\" is not offered"))),
        None => Ok(()),
    }
}

fn decode_input(input: Input, binary: &mut Bytes) -> Result<Tensor, Error> {
    let Input { name, shape, datatype, parameters, data } = input;
    refuse(&name, &parameters, &["shared_memory_region"])?;
    let datatype = tensor::datatype(&name, &datatype)?;
    let values = match (parameters.get(SIZE), data) {
        (Some(_), Some(_)) => return Err(Error::tensor(&name, "has both data and binary_data_size: send one")),
        (None, None) => return Err(Error::tensor(&name, "has neither data nor binary_data_size")),
        (None, Some(data)) => from_json(&name, datatype, &data)?,
        (Some(size), None) => {
            let size = size.as_u64().and_then(|s| usize::try_from(s).ok());
            let Some(size) = size.filter(|s| *s <= binary.len()) else {
                return Err(Error::tensor(&name, format!("binary_data_size is past the {} bytes left", binary.len())));
            };
            tensor::from_raw(&name, datatype, &binary.split_to(size))?
        }
    };
    Ok(Tensor { name, datatype, shape, values })
}

/// JSON data, flat or nested, in row-major order. `null` is NaN in floats and empty in `BYTES`.
fn from_json(name: &str, datatype: Datatype, data: &Value) -> Result<Values, Error> {
    let mut leaves = Vec::new();
    flatten(data, &mut leaves);
    let wrong = |value: &Value| Error::tensor(name, format!("{value} is no {}", datatype.name()));
    macro_rules! all {
        ($variant:ident, $read:expr) => {
            leaves.into_iter().map(|v| $read(v).ok_or_else(|| wrong(v))).collect::<Result<_, _>>().map(Values::$variant)
        };
    }
    match datatype {
        Datatype::Bool => all!(Bool, |v: &Value| v.as_bool().or_else(|| v.as_u64().map(|n| n != 0))),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 | Datatype::Int64 => all!(Int, Value::as_i64),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 | Datatype::Uint64 => all!(Uint, Value::as_u64),
        Datatype::Fp16 | Datatype::Fp32 | Datatype::Fp64 => {
            all!(Float, |v: &Value| if v.is_null() { Some(f64::NAN) } else { v.as_f64() })
        }
        Datatype::Bytes => all!(Bytes, |v: &Value| match v {
            Value::Null => Some(Bytes::new()),
            other => other.as_str().map(|s| Bytes::copy_from_slice(s.as_bytes())),
        }),
    }
}

fn flatten<'a>(value: &'a Value, leaves: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, leaves)),
        leaf => leaves.push(leaf),
    }
}

/// Writes an answer, with binary tensors where they are wanted.
pub(crate) fn encode(model: &str, id: Option<String>, inferred: Response, form: &Form) -> Result<Encoded, Error> {
    let mut binary: Option<Vec<u8>> = None;
    let mut outputs = Vec::new();
    for output in &inferred.outputs {
        let mut described = json!({"name": output.name, "datatype": output.datatype.name(), "shape": output.shape});
        if form.is_binary(&output.name) {
            let raw = tensor::to_raw(output.datatype, &output.values);
            described["parameters"] = json!({ SIZE: raw.len() });
            binary.get_or_insert_default().extend(raw);
        } else {
            described["data"] = to_json(&output.values);
        }
        outputs.push(described);
    }
    let parameters: Map<_, _> = inferred.answer.parameters().into_iter().map(|(k, v)| (k, parameter(v))).collect();
    let mut whole = json!({
        "model_name": model,
        "model_version": inferred.version(),
        "parameters": parameters,
        "outputs": outputs,
    });
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        whole["id"] = Value::String(id);
    }
    let mut body = serde_json::to_vec(&whole).map_err(|e| Error::BadRequest(format!("response JSON: {e}")))?;
    let json_bytes = binary.map(|raw| {
        let length = body.len();
        body.extend(raw);
        length
    });
    Ok(Encoded { body, json_bytes })
}

fn parameter(value: Parameter) -> Value {
    match value {
        Parameter::Text(text) => Value::String(text),
        Parameter::Number(number) => json!(number),
    }
}

/// JSON has no NaN: `null` stands for it.
fn to_json(values: &Values) -> Value {
    match values {
        Values::Bool(v) => json!(v),
        Values::Int(v) => json!(v),
        Values::Uint(v) => json!(v),
        Values::Float(v) => json!(v),
        Values::Bytes(v) => v.iter().map(|b| Value::String(String::from_utf8_lossy(b).into_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::domain::answer::{Answer, PRESENT};

    fn inferred() -> Response {
        let answer = Answer {
            model: "0123456789abcdef".into(),
            variant: "champion",
            trace_id: None,
            plan_digest: String::new(),
            feature_ages_s: Default::default(),
            scores: vec![Some(0.25), None],
            alerted: vec![true, false],
            prediction_ids: vec!["a".into(), "b".into()],
            statuses: vec![PRESENT.into(), "unknown_entity".into()],
        };
        let outputs = answer.outputs(&["score".into(), "status".into()]).unwrap();
        Response { answer, outputs }
    }

    #[test]
    fn json_and_binary_requests_mean_the_same() {
        let json = br#"{"inputs":[{"name":"c","shape":[2],"datatype":"BYTES","data":["UA","B"]},
            {"name":"d","shape":[2,1],"datatype":"FP32","data":[[1.5],[2]]}]}"#;
        let header = br#"{"inputs":[{"name":"c","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}},
            {"name":"d","shape":[2,1],"datatype":"FP32","parameters":{"binary_data_size":8}}]}"#;
        let mut body = header.to_vec();
        body.extend(b"\x02\0\0\0UA\x01\0\0\0B");
        body.extend(1.5f32.to_le_bytes());
        body.extend(2f32.to_le_bytes());
        let one = decode(&Bytes::from_static(json), None).unwrap();
        let two = decode(&Bytes::from(body), Some(header.len())).unwrap();
        assert_eq!(one.request.tensors, two.request.tensors);
    }

    #[test]
    fn requests_that_do_not_add_up_are_refused() {
        let bodies: [(&str, Option<usize>); 6] = [
            ("{", None),
            ("{}", None),
            (r#"{"inputs":[{"name":"c","shape":[1],"datatype":"INT8"}]}"#, None),
            (r#"{"inputs":[{"name":"c","shape":[1],"datatype":"INT8","data":["x"]}]}"#, None),
            (r#"{"inputs":[{"name":"c","shape":[1],"datatype":"INT8","parameters":{"binary_data_size":9}}]}"#, None),
            (r#"{"inputs":[]} "#, Some(13)),
        ];
        for (body, length) in bodies {
            assert!(decode(&Bytes::from_static(body.as_bytes()), length).is_err(), "{body}");
        }
        assert!(decode(&Bytes::from_static(b"{}"), Some(3)).is_err());
    }

    #[test]
    fn an_absent_score_is_null_in_json() {
        let encoded = encode("m", Some("7".into()), inferred(), &Form::default()).unwrap();
        assert!(encoded.json_bytes.is_none());
        let value: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(value["outputs"][0]["data"], json!([0.25, null]));
        assert_eq!((value["id"].as_str(), value["model_version"].as_str()), (Some("7"), Some("0123456789ab")));
    }

    #[test]
    fn binary_outputs_follow_the_json_in_order() {
        let form = Form { all_binary: true, by_output: vec![("status".into(), false)] };
        let encoded = encode("m", None, inferred(), &form).unwrap();
        let (header, raw) = encoded.body.split_at(encoded.json_bytes.unwrap());
        let value: Value = serde_json::from_slice(header).unwrap();
        assert_eq!(value["outputs"][0]["parameters"][SIZE], json!(16));
        assert_eq!(&raw[..8], 0.25f64.to_le_bytes());
        assert_eq!(value["outputs"][1]["data"][1], json!("unknown_entity"));
    }
}
