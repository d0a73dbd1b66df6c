//! From the context of a process to the dependencies of each role.

use super::{Context, Port};
use crate::error::{Error, Result};
use std::sync::Arc;
use tidemill_dataset::Upkeep;
use tidemill_registry::SigningKey;
use tidemill_runtime::Backoff;
use tidemill_validation::share::Tokens;

impl Context {
    pub(super) fn start_ingestion(&mut self) -> Result<()> {
        let settings = &self.config.ingestion;
        let token = settings.http_token_file.as_deref().map(crate::process::secret).transpose()?;
        let http = settings.http.as_ref().map(|_| self.listeners.give(Port::IngestionHttp)).transpose()?;
        let deps = tidemill_ingestion::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            spec: Arc::clone(&self.spec),
            options: tidemill_ingestion::Options {
                commit_bytes: count(settings.commit_bytes.0),
                commit_age: settings.commit_age.0,
                dedupe_window: count(settings.dedupe_messages),
                dead_share: settings.dead_share,
                dead_window: settings.dead_window,
                scratch: Some(self.config.data_dir.join("scratch")),
                push_token: token.map(|token| tidemill_types::Digest::of(token.as_bytes())),
                push_names: settings.http_names.split(',').map(|name| name.trim().to_owned()).collect(),
                push_requests: count(settings.http_requests),
                push_body_time: settings.http_body_time.0,
            },
            metrics: self.metrics.clone(),
            http,
        };
        self.supervisor.spawn("ingestion", tidemill_ingestion::run(deps, self.supervisor.token()));
        let (storage, spec, upkeep) = (self.storage.clone(), Arc::clone(&self.spec), self.upkeep());
        let start = move |token| tidemill_ingestion::upkeep(storage.clone(), Arc::clone(&spec), upkeep, token);
        self.supervisor.spawn_restarting("raw upkeep", Backoff::default(), start);
        Ok(())
    }

    /// How owners of tables keep their files well-sized.
    fn upkeep(&self) -> Upkeep {
        let store = &self.config.store;
        Upkeep { every: store.compact_every.0, target_bytes: store.compact_file_size.0 }
    }

    pub(super) fn start_validation(&mut self) -> Result<()> {
        let deps = tidemill_validation::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            spec: Arc::clone(&self.spec),
            metrics: self.metrics.clone(),
        };
        self.supervisor.spawn("validation", tidemill_validation::run(deps, self.supervisor.token()));
        let (storage, spec, upkeep) = (self.storage.clone(), Arc::clone(&self.spec), self.upkeep());
        let start = move |token| tidemill_validation::upkeep(storage.clone(), Arc::clone(&spec), upkeep, token);
        self.supervisor.spawn_restarting("clean upkeep", Backoff::default(), start);
        if self.config.validation.flight.is_some() {
            self.start_shares()?;
        }
        Ok(())
    }

    fn start_shares(&mut self) -> Result<()> {
        let settings = &self.config.validation;
        let file = settings.manifest_key_file.clone();
        let key = file.unwrap_or_else(|| self.config.data_dir.join("keys").join("manifest.key"));
        let deps = tidemill_validation::share::ShareDeps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            spec: Arc::clone(&self.spec),
            key: SigningKey::load_or_create(&key)?,
            tokens: settings.tokens_file.as_deref().map(Tokens::load).transpose()?.unwrap_or_default(),
            listener: self.listeners.give(Port::Shares)?,
        };
        self.supervisor.spawn("shares", tidemill_validation::share::share(deps, self.supervisor.token()));
        Ok(())
    }

    pub(super) fn start_feature(&mut self) -> Result<()> {
        let deps = tidemill_feature::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            spec: Arc::clone(&self.spec),
            options: tidemill_feature::Options {
                checkpoint_every: self.config.feature.checkpoint_age.0,
                ..tidemill_feature::Options::default()
            },
            metrics: self.metrics.clone(),
            listener: self.listeners.give(Port::Feature)?,
        };
        self.supervisor.spawn("feature", tidemill_feature::run(deps, self.supervisor.token()));
        Ok(())
    }

    pub(super) fn start_training(&mut self) -> Result<()> {
        let unsigned = || Error::Usage("training signs what it makes: set keys.signing_file".to_owned());
        let deps = tidemill_training::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            spec: Arc::clone(&self.spec),
            signing_key: self.key.clone().ok_or_else(unsigned)?,
            options: tidemill_training::Options {
                feature_url: self.endpoints.feature.clone(),
                trial_limit: self.config.training.trial_limit.0,
                ..tidemill_training::Options::default()
            },
            metrics: self.metrics.clone(),
            listener: self.listeners.give(Port::Training)?,
        };
        self.supervisor.spawn("training", tidemill_training::run(deps, self.supervisor.token()));
        Ok(())
    }

    pub(super) fn start_evaluation(&mut self) -> Result<()> {
        let deps = tidemill_evaluation::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            spec: Arc::clone(&self.spec),
            trusted: self.trusted.clone(),
            metrics: self.metrics.clone(),
            listener: self.listeners.give(Port::Evaluation)?,
        };
        self.supervisor.spawn("evaluation", tidemill_evaluation::run(deps, self.supervisor.token()));
        Ok(())
    }

    pub(super) fn start_serving(&mut self) -> Result<()> {
        let settings = &self.config.serving;
        let deps = tidemill_serving::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            trusted: self.trusted.clone(),
            specs: vec![Arc::clone(&self.spec)],
            feature_endpoint: self.endpoints.feature.clone(),
            grpc: self.listeners.give(Port::ServingGrpc)?,
            http: self.listeners.give(Port::ServingHttp)?,
            metrics: self.metrics.clone(),
            readiness: self.readiness.clone(),
            shutdown: self.supervisor.token(),
            spool_dir: self.config.data_dir.join("spool"),
            config: tidemill_serving::Config {
                rows_per_request: count(settings.request_rows),
                log_rows_in_memory: settings.log_buffer_rows,
                ..tidemill_serving::Config::default()
            },
        };
        self.supervisor.spawn("serving", tidemill_serving::run(deps));
        Ok(())
    }

    pub(super) fn start_monitoring(&mut self) -> Result<()> {
        let deps = tidemill_monitoring::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            registry: self.registry.clone(),
            trusted: self.trusted.clone(),
            spec: Arc::clone(&self.spec),
            options: tidemill_monitoring::Options {
                commit_age: self.config.monitoring.commit_age.0,
                lineage_url: Some(self.config.lineage.url.clone()).filter(|url| !url.is_empty()),
                ..tidemill_monitoring::Options::default()
            },
            metrics: self.metrics.clone(),
            listener: self.listeners.give(Port::Monitoring)?,
        };
        self.supervisor.spawn("monitoring", tidemill_monitoring::run(deps, self.supervisor.token()));
        let (storage, spec, upkeep) = (self.storage.clone(), Arc::clone(&self.spec), self.upkeep());
        let start = move |token| tidemill_monitoring::upkeep(storage.clone(), Arc::clone(&spec), upkeep, token);
        self.supervisor.spawn_restarting("prediction upkeep", Backoff::default(), start);
        Ok(())
    }

    pub(super) fn start_console(&mut self) -> Result<()> {
        let endpoints = &self.endpoints;
        let deps = tidemill_console::Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            spec: Arc::clone(&self.spec),
            registry: self.registry.clone(),
            addresses: tidemill_console::Addresses {
                feature: endpoints.feature.clone(),
                training: endpoints.training.clone(),
                evaluation: endpoints.evaluation.clone(),
                monitoring: endpoints.monitoring.clone(),
            },
            traces_url: self.config.console.traces_url.clone(),
            metrics: self.metrics.clone(),
            recent: self.recent.clone(),
            listener: self.listeners.give(Port::Console)?,
        };
        self.supervisor.spawn("console", tidemill_console::run(deps, self.supervisor.token()));
        Ok(())
    }
}

/// Sizes and counts in the configuration are 64 bits wide on every machine.
fn count(setting: u64) -> usize {
    usize::try_from(setting).unwrap_or(usize::MAX)
}
