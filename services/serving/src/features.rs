//! Client of the feature service: feature rows of entities at instants.

use crate::domain::entry::stream;
use crate::domain::row::AS_OF;
use crate::error::Error;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimestampMillisecondType};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_conform::{Limits, decode_stream};
use tidemill_contracts::feature::ReadOnlineRequest;
use tidemill_contracts::feature::feature_service_client::FeatureServiceClient;
use tidemill_types::{ErrorKind, Millis};
use tonic::transport::{Channel, Endpoint};
use tracing::{Instrument as _, info_span};

/// Largest answer that is taken; 10,000 rows of a hundred features are 8 MB.
const ANSWER_BYTES: usize = 64 << 20;
const STATUS: &str = "status";

/// Feature rows in the order of the keys.
#[derive(Debug)]
pub(crate) struct FeatureRows {
    /// One column per feature.
    pub(crate) features: RecordBatch,
    /// Instant each row was read for.
    pub(crate) as_of: TimestampMillisecondArray,
    /// `present`, `unknown_entity` or `outside_lookback`.
    pub(crate) statuses: Vec<String>,
    /// Digest of the plan that computed them.
    pub(crate) plan_digest: String,
    /// Knowledge instant of the newest row used, by source.
    pub(crate) newest_known_ms: BTreeMap<String, i64>,
}

/// Reads features over gRPC; cheap to clone, connects when first used and again after a loss.
#[derive(Clone, Debug)]
pub(crate) struct FeatureClient {
    client: FeatureServiceClient<Channel>,
    project: String,
    key: String,
}

impl FeatureClient {
    /// A client for `http://host:port`; does not connect yet.
    pub(crate) fn new(endpoint: &str, project: &str, key: &str) -> Result<Self, Error> {
        let bad =
            |e: tonic::transport::Error| Error::Server { what: "feature endpoint", reason: format!("{endpoint}: {e}") };
        let channel = Endpoint::from_shared(endpoint.to_owned()).map_err(bad)?;
        let channel = channel.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true).connect_lazy();
        let client = FeatureServiceClient::new(channel)
            .max_decoding_message_size(ANSWER_BYTES)
            .max_encoding_message_size(ANSWER_BYTES);
        Ok(Self { client, project: project.to_owned(), key: key.to_owned() })
    }

    /// Features of `keys`, each at its `as_of`, or now.
    pub(crate) async fn read(
        &self,
        keys: ArrayRef,
        as_of: Option<TimestampMillisecondArray>,
        deadline: Duration,
    ) -> Result<FeatureRows, Error> {
        let rows = keys.len();
        let request = ReadOnlineRequest {
            project: self.project.clone(),
            keys: self.question(keys, as_of)?,
            deadline_ms: i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX),
        };
        let mut request = tonic::Request::new(request);
        request.set_timeout(deadline);
        let call = async {
            if let Some(parent) = tidemill_telemetry::current_traceparent().and_then(|t| t.parse().ok()) {
                request.metadata_mut().insert("traceparent", parent);
            }
            self.client.clone().read_online(request).await.map_err(|status| refused(&status, deadline))
        };
        let span = info_span!("/tidemill.feature.v1.FeatureService/ReadOnline", otel.kind = "client");
        let answer = call.instrument(span).await?;
        let answer = answer.into_inner();
        let newest = answer.newest_known_ms.into_iter().collect();
        parse(&answer.rows, rows, answer.plan_digest, newest)
    }

    fn question(&self, keys: ArrayRef, as_of: Option<TimestampMillisecondArray>) -> Result<Bytes, Error> {
        let as_of: ArrayRef = match as_of {
            Some(as_of) => Arc::new(as_of),
            None => Arc::new(TimestampMillisecondArray::new_null(keys.len()).with_timezone("UTC")),
        };
        let schema = Schema::new(vec![
            Field::new(&self.key, keys.data_type().clone(), false),
            Field::new(AS_OF, Millis::arrow_type(), true),
        ]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![keys, as_of])
            .map_err(Error::arrow("putting together a feature request"))?;
        stream(&batch).map(Bytes::from)
    }
}

fn refused(status: &tonic::Status, deadline: Duration) -> Error {
    use tonic::Code;
    let kind = match status.code() {
        // A client-side time-out shows as cancelled.
        Code::DeadlineExceeded | Code::Cancelled => {
            return Error::Deadline(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
        }
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::Invalid,
        Code::NotFound => ErrorKind::NotFound,
        Code::ResourceExhausted => ErrorKind::Overloaded,
        Code::Unavailable | Code::Unknown => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    Error::Features { text: status.message().to_owned(), kind }
}

fn damaged(text: impl Into<String>) -> Error {
    Error::Features { text: text.into(), kind: ErrorKind::Corrupt }
}

/// Splits the answer into instants, statuses and features.
fn parse(
    stream: &[u8],
    rows: usize,
    plan_digest: String,
    newest_known_ms: BTreeMap<String, i64>,
) -> Result<FeatureRows, Error> {
    // The envelope is checked first: a damaged length would make the reader ask for more memory than there is.
    let limits = Limits { body_bytes: ANSWER_BYTES, decoded_bytes: ANSWER_BYTES, rows: rows.max(1) };
    let batches = decode_stream(stream, &limits).map_err(|reject| damaged(reject.reason))?;
    let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| damaged("no feature rows"))?;
    let batch = arrow::compute::concat_batches(&schema, &batches).map_err(Error::arrow("reading feature rows"))?;
    if batch.num_rows() != rows {
        return Err(damaged(format!("{} feature rows for {rows} keys", batch.num_rows())));
    }
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| damaged(format!("no column \"{name}\"")));
    let as_of = column(AS_OF)?.as_primitive_opt::<TimestampMillisecondType>().cloned();
    let as_of = as_of.ok_or_else(|| damaged("as_of is no instant"))?;
    let statuses = arrow::compute::cast(column(STATUS)?, &DataType::Utf8).map_err(Error::arrow("reading statuses"))?;
    let statuses: &StringArray = statuses.as_string();
    let statuses = statuses.iter().map(|s| s.unwrap_or_default().to_owned()).collect();
    let keep: Vec<usize> =
        (0..schema.fields().len()).filter(|i| ![AS_OF, STATUS].contains(&schema.field(*i).name().as_str())).collect();
    let features = batch.project(&keep).map_err(Error::arrow("reading feature rows"))?;
    Ok(FeatureRows { features, as_of, statuses, plan_digest, newest_known_ms })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::Float64Array;

    fn answer(rows: usize) -> Vec<u8> {
        let schema = Schema::new(vec![
            Field::new(AS_OF, Millis::arrow_type(), false),
            Field::new("x", DataType::Float64, true),
            Field::new(STATUS, DataType::Utf8, false),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMillisecondArray::from(vec![5; rows]).with_timezone("UTC")),
            Arc::new(Float64Array::from(vec![1.0; rows])),
            Arc::new(StringArray::from(vec!["present"; rows])),
        ];
        stream(&RecordBatch::try_new(Arc::new(schema), columns).unwrap()).unwrap()
    }

    #[test]
    fn features_are_told_from_instants_and_statuses() {
        let rows = parse(&answer(2), 2, "p".to_owned(), BTreeMap::new()).unwrap();
        assert_eq!(rows.features.schema().fields().len(), 1);
        assert_eq!((rows.as_of.value(1), rows.statuses[1].as_str()), (5, "present"));
    }

    #[test]
    fn an_answer_of_another_length_is_refused() {
        assert!(parse(&answer(2), 3, String::new(), BTreeMap::new()).is_err());
        assert!(parse(b"no arrow", 1, String::new(), BTreeMap::new()).is_err());
    }
}
