//! The step of the SDK's pipeline that keeps spans in memory.

use super::{Recent, RecentSpan};
use crate::role::Roles;
use opentelemetry::Context;
use opentelemetry::trace::Span as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use std::time::Duration;

/// Hands every recorded span to [`Recent`].
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Where they are kept.
    pub(crate) recent: Recent,
    /// To whom a span belongs.
    pub(crate) roles: Roles,
}

impl SpanProcessor for Keeper {
    fn on_start(&self, span: &mut Span, _: &Context) {
        if span.is_recording() {
            self.recent.opened(span.span_context().trace_id().to_string());
        }
    }

    fn on_end(&self, mut span: SpanData) {
        let service = self.roles.take(&mut span);
        self.recent.closed(RecentSpan::of(&span, service));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
