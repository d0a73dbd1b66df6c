//! Sends spans by OTLP under the name of the role they belong to, one resource for each role.

use crate::role::Roles;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::collections::BTreeMap;
use std::time::Duration;

/// One exporter for each role; the SDK's own knows one resource only.
#[derive(Debug)]
pub(crate) struct ByRole {
    roles: Roles,
    exporters: BTreeMap<String, Otlp>,
}

impl ByRole {
    /// Exporters to `endpoint` for the process and each of its roles. Connections are made when first used.
    ///
    /// # Errors
    /// What the exporter says about the endpoint.
    pub(crate) fn new(endpoint: &str, roles: Roles) -> Result<Self, String> {
        let names = roles.names();
        let build = |name: String| {
            let mut exporter =
                Otlp::builder().with_tonic().with_endpoint(endpoint).build().map_err(|e| e.to_string())?;
            exporter.set_resource(&resource(&name));
            Ok((name, exporter))
        };
        let exporters = names.into_iter().map(build).collect::<Result<_, String>>()?;
        Ok(Self { roles, exporters })
    }
}

/// Who sends: the role, and which process plays it.
pub(crate) fn resource(service: &str) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let process = KeyValue::new("process.pid", i64::from(std::process::id()));
    Resource::builder().with_service_name(service.to_owned()).with_attributes([version, process]).build()
}

impl SpanExporter for ByRole {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut shares: BTreeMap<String, Vec<SpanData>> = BTreeMap::new();
        for mut span in batch {
            let service = self.roles.take(&mut span);
            shares.entry(service).or_default().push(span);
        }
        let mut outcome = Ok(());
        for (service, spans) in shares {
            let Some(exporter) = self.exporters.get(&service) else { continue };
            // One role's failure must not cost the spans of the others.
            outcome = outcome.and(exporter.export(spans).await);
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        // All of them, also after one has failed.
        let outcomes: Vec<_> =
            self.exporters.values().map(|exporter| exporter.shutdown_with_timeout(timeout)).collect();
        outcomes.into_iter().collect()
    }

    fn force_flush(&self) -> OTelSdkResult {
        let outcomes: Vec<_> = self.exporters.values().map(SpanExporter::force_flush).collect();
        outcomes.into_iter().collect()
    }
}
