//! What is told to everybody: notices of what has happened, and entries of the audit log. One way to publish both, so that
//! each continues the trace in which it happened, as a step of the role that tells it.

use prost::Message as _;
use serde::Serialize;
use tidemill_bus::{Bus, Error, Headers, trace};
use tidemill_contracts::events::{AlertRaised, AlertResolved, Notice, notice::Fact};
use tidemill_contracts::{headers, subjects};
use tidemill_types::ProjectName;
use tracing::{Instrument as _, info_span};

/// Who tells, and of which project.
pub struct Teller<'a> {
    /// The role, as traces name it; `tidemill` for the program itself.
    pub role: &'static str,
    /// Where it is told.
    pub bus: &'a Bus,
    /// The project it is about.
    pub project: &'a ProjectName,
}

impl Teller<'_> {
    /// Publishes a notice of a turn of the loop; `cycle` is empty outside of one. The same `id` twice is one message.
    ///
    /// # Errors
    /// The bus does not take it.
    pub async fn notice(
        &self,
        (noun, participle): (&str, &str),
        (cycle, id): (&str, Option<&str>),
        fact: Fact,
    ) -> Result<(), Error> {
        let notice = Notice { project: self.project.to_string(), cycle_id: cycle.to_owned(), fact: Some(fact) };
        let name = format!("tm.notices.{{project}}.{noun}.{participle} publish");
        let span = info_span!("publish", otel.name = name, otel.kind = "producer", tidemill.role = self.role);
        let subject = subjects::notice(self.project, noun, participle);
        self.publish(&subject, id, Headers::new(), notice.encode_to_vec()).instrument(span).await
    }

    /// Raises an alert. The same `id` twice is one alert.
    ///
    /// # Errors
    /// As [`Teller::notice`].
    pub async fn alert(&self, id: Option<&str>, alert: AlertRaised) -> Result<(), Error> {
        self.notice(("alert", "raised"), ("", id), Fact::AlertRaised(alert)).await
    }

    /// Tells that what an alert was about is over. The same `id` twice is told once.
    ///
    /// # Errors
    /// As [`Teller::notice`].
    pub async fn resolved(&self, id: Option<&str>, alert: AlertResolved) -> Result<(), Error> {
        self.notice(("alert", "resolved"), ("", id), Fact::AlertResolved(alert)).await
    }

    /// Appends an entry to the audit log; it is on disk when this returns. The same `id` twice is one entry.
    ///
    /// # Errors
    /// The bus does not take it, or the entry is no JSON.
    pub async fn audit(&self, id: Option<&str>, entry: &impl Serialize) -> Result<(), Error> {
        let body = serde_json::to_vec(entry).map_err(|e| Error::Malformed(e.to_string()))?;
        let sent = Headers::new().with(headers::CONTENT_TYPE, headers::JSON)?;
        let span = info_span!("tm.audit.{project} publish", otel.kind = "producer", tidemill.role = self.role);
        self.publish(&subjects::audit(self.project), id, sent, body).instrument(span).await
    }

    async fn publish(&self, subject: &str, id: Option<&str>, mut sent: Headers, body: Vec<u8>) -> Result<(), Error> {
        if let Some(id) = id {
            sent.set(headers::NATS_MSG_ID, id)?;
        }
        trace::inject(&mut sent, tidemill_telemetry::current_traceparent().as_deref())?;
        self.bus.publish(subject, &sent, body).await?;
        Ok(())
    }
}
