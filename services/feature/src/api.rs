//! gRPC in: online reads, training sets, state.

use crate::error::FeatureServiceError;
use crate::offline::Offline;
use crate::online::Reader;
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, TimestampMillisecondType};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tidemill_conform::{Limits, decode_stream, encode_stream};
use tidemill_contracts::feature::feature_service_server::FeatureService;
use tidemill_contracts::feature::{
    BuildTrainingSetRequest, BuildTrainingSetResponse, DescribeRequest, DescribeResponse, ReadOnlineRequest,
    ReadOnlineResponse,
};
use tidemill_features::{Plan, Status};
use tidemill_runtime::to_status;
use tidemill_telemetry::{Metrics, names};
use tidemill_types::{Millis, ProjectName};
use tonic::{Request, Response};
use tracing::{Instrument as _, info_span};

/// Column of the requested instants.
const AS_OF: &str = "as_of";
/// Column of the statuses in an answer.
const STATUS: &str = "status";

/// The service.
pub(crate) struct Api {
    pub(crate) plan: Arc<Plan>,
    pub(crate) online: Reader,
    pub(crate) offline: Offline,
    pub(crate) project: ProjectName,
    pub(crate) metrics: Metrics,
}

#[tonic::async_trait]
impl FeatureService for Api {
    async fn read_online(
        &self,
        request: Request<ReadOnlineRequest>,
    ) -> Result<Response<ReadOnlineResponse>, tonic::Status> {
        let request = request.into_inner();
        self.check_project(&request.project)?;
        let began = Instant::now();
        let read = self.read(&request).await;
        self.metrics.histogram(names::FEATURE_READ_SECONDS).observe(&[], began.elapsed().as_secs_f64());
        read.map(Response::new).map_err(|e| to_status(&e))
    }

    async fn build_training_set(
        &self,
        request: Request<BuildTrainingSetRequest>,
    ) -> Result<Response<BuildTrainingSetResponse>, tonic::Status> {
        let request = request.into_inner();
        self.check_project(&request.project)?;
        let span = info_span!("build training set");
        let built = self.offline.build(&request).instrument(span).await.map_err(|e| to_status(&e))?;
        self.metrics.histogram(names::FEATURE_TRAINING_SET_SECONDS).observe(&[], built.seconds);
        Ok(Response::new(built))
    }

    async fn describe(&self, request: Request<DescribeRequest>) -> Result<Response<DescribeResponse>, tonic::Status> {
        self.check_project(&request.into_inner().project)?;
        let marks = self.online.marks();
        let size = self.online.size();
        let waiting = marks.iter().filter(|(_, mark)| mark.waits).map(|(source, _)| source.to_string());
        let by_source = marks.iter().filter_map(|(s, mark)| Some((s.to_string(), mark.watermark?.0))).collect();
        Ok(Response::new(DescribeResponse {
            plan_digest: self.plan.digest().to_string(),
            features: self.plan.schema().fields().iter().map(|f| f.name().clone()).collect(),
            watermark_ms: marks.values().filter_map(|mark| mark.watermark).map(|m| m.0).min().unwrap_or_default(),
            watermark_by_source_ms: by_source,
            rows_applied: size.rows,
            state_entries: size.entries,
            late_rows: size.late,
            waiting_sources: waiting.collect(),
            retracted_rows: size.retracted,
        }))
    }
}

impl Api {
    fn check_project(&self, project: &str) -> Result<(), tonic::Status> {
        if project == self.project.as_str() {
            return Ok(());
        }
        let wrong =
            FeatureServiceError::Request(format!("this service runs project {}, not \"{project}\"", self.project));
        Err(to_status(&wrong))
    }

    async fn read(&self, request: &ReadOnlineRequest) -> Result<ReadOnlineResponse, FeatureServiceError> {
        let bad = |what: String| FeatureServiceError::Request(what);
        let refused = |e: tidemill_conform::Reject| bad(format!("keys are refused ({}): {}", e.code, e.reason));
        let asked = decode_stream(&request.keys, &Limits::default()).map_err(refused)?;
        let schema = asked.first().map(RecordBatch::schema).ok_or_else(|| bad("keys are empty".to_owned()))?;
        let asked = concat_batches(&schema, &asked)?;
        let key_field = self.plan.entity_columns().field_with_name(self.plan.entity_key())?;
        let keys = asked.column_by_name(self.plan.entity_key());
        let keys = keys.ok_or_else(|| bad(format!("column {} is missing", self.plan.entity_key())))?;
        let keys = cast(keys, key_field.data_type())?;
        let as_of = instants(&asked)?;
        let deadline = Duration::from_millis(u64::try_from(request.deadline_ms).unwrap_or(0).clamp(1, 60_000));
        let (reading, _complete) = self.online.read(keys, as_of.clone(), deadline).await?;
        for read in [Status::Present, Status::UnknownEntity, Status::OutsideLookback] {
            let rows = reading.status.iter().filter(|status| **status == read).count() as u64;
            self.metrics.counter(names::FEATURE_READS).add(&[("status", status_name(read))], rows);
        }
        let status: StringArray = reading.status.iter().map(|s| Some(status_name(*s))).collect();
        let mut fields = vec![Field::new(AS_OF, Millis::arrow_type(), false)];
        let instants = TimestampMillisecondArray::from_iter_values(as_of.iter().map(|t| t.0)).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![Arc::new(instants)];
        fields.extend(reading.batch.schema().fields().iter().map(|f| f.as_ref().clone()));
        columns.extend(reading.batch.columns().iter().cloned());
        fields.push(Field::new(STATUS, DataType::Utf8, false));
        columns.push(Arc::new(status));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        // Nothing later than the instants asked for was used.
        let asked_until = as_of.iter().copied().max().unwrap_or(Millis::MAX);
        let newest: HashMap<String, i64> = reading
            .newest_known_at
            .iter()
            .filter_map(|(s, t)| t.map(|t| (s.to_string(), t.min(asked_until).0)))
            .collect();
        Ok(ReadOnlineResponse {
            rows: encode_stream(&[rows]).map_err(|e| bad(e.to_string()))?.into(),
            plan_digest: self.plan.digest().to_string(),
            newest_known_ms: newest,
        })
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Present => "present",
        Status::UnknownEntity => "unknown_entity",
        Status::OutsideLookback => "outside_lookback",
    }
}

/// The requested instants; absent or null means now.
fn instants(asked: &RecordBatch) -> Result<Vec<Millis>, FeatureServiceError> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = i64::try_from(elapsed).unwrap_or(i64::MAX);
    let Some(column) = asked.column_by_name(AS_OF) else {
        return Ok(vec![Millis(now); asked.num_rows()]);
    };
    let column = cast(column, &Millis::arrow_type())?;
    Ok(column.as_primitive::<TimestampMillisecondType>().iter().map(|t| Millis(t.unwrap_or(now))).collect())
}
