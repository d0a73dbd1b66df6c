//! Header names on the bus.

/// CloudEvents 1.0, binary mode: id of the event, unique within its source.
pub const CE_ID: &str = "ce-id";
/// CloudEvents: who produced the event.
pub const CE_SOURCE: &str = "ce-source";
/// CloudEvents: kind of the event.
pub const CE_TYPE: &str = "ce-type";
/// CloudEvents: when it happened, RFC 3339.
pub const CE_TIME: &str = "ce-time";
/// CloudEvents: version of the specification, `1.0`.
pub const CE_SPECVERSION: &str = "ce-specversion";
/// CloudEvents: media type of the data; on the bus a header of its own.
pub const CE_DATACONTENTTYPE: &str = "ce-datacontenttype";
/// CloudEvents, extension for distributed tracing: W3C trace context.
pub const CE_TRACEPARENT: &str = "ce-traceparent";
/// Media type of the body.
pub const CONTENT_TYPE: &str = "content-type";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// JetStream's deduplication id.
pub const NATS_MSG_ID: &str = "Nats-Msg-Id";
/// Knowledge instant up to which the source is complete, milliseconds: no later message of this source is
/// known earlier. Producers of replayed history send it; live producers need not.
pub const WATERMARK: &str = "tm-watermark";
/// Error code of a dead letter.
pub const DEAD_CODE: &str = "tm-dead-code";
/// Reason of a dead letter.
pub const DEAD_REASON: &str = "tm-dead-reason";
/// Deliveries after which a job or notice was given up.
pub const DEAD_ATTEMPTS: &str = "tm-dead-attempts";
/// Position inside the message: JSON pointer, column or byte.
pub const DEAD_POSITION: &str = "tm-dead-position";
/// Stream incarnation the dead letter came from.
pub const DEAD_STREAM: &str = "tm-dead-stream";
/// Sequence in that stream.
pub const DEAD_SEQ: &str = "tm-dead-seq";
/// Row inside the message, when only a row was bad.
pub const DEAD_ROW: &str = "tm-dead-row";
/// What a dead letter holds: [`DEAD_BODY_ROW`], or absent for the message as it came. Letters of earlier versions hold
/// the message also where only a row was bad.
pub const DEAD_BODY: &str = "tm-dead-body";
/// Value of [`DEAD_BODY`]: the refused row alone, cut out of a message that may have had others.
pub const DEAD_BODY_ROW: &str = "row";
/// Number of the dead letter whose event this is, published again.
pub const REPLAY_OF: &str = "tm-replay-of";

/// One JSON object, or an array of them.
pub const JSON: &str = "application/json";
/// One JSON object a line.
pub const NDJSON: &str = "application/x-ndjson";
/// Arrow IPC stream.
pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";
/// Event type of a message that carries no rows, only a [`WATERMARK`].
pub const TYPE_WATERMARK: &str = "tidemill.watermark";

/// Kind of origin that ingestion fetched the rows from: `files`, `http` or `postgres`.
pub const SOURCE_KIND: &str = "tm-source-kind";
/// The file, address or table, percent-encoded as CloudEvents attributes are.
pub const SOURCE_OBJECT: &str = "tm-source-object";
/// Number of this content of the object, from 1.
pub const SOURCE_REVISION: &str = "tm-source-revision";
/// SHA-256 of the content, or another name of it.
pub const SOURCE_DIGEST: &str = "tm-source-digest";
/// Position of the first row of the message in the object, from 0.
pub const SOURCE_OFFSET: &str = "tm-source-offset";
/// Rows of the message.
pub const SOURCE_ROWS: &str = "tm-source-rows";
