//! The Arrow Flight service. Partners read; every method that would write answers that it is not offered.

use super::error::ShareError;
use super::manifest::{Manifest, SharedColumn, SharedQuality, SignedManifest};
use super::tokens::Tokens;
use super::view::View;
use arrow::array::RecordBatch;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, Result as ActionResult, SchemaAsIpc, SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_bus::Bus;
use tidemill_dataset::{ContentHasher, Scan, Table};
use tidemill_quality::{QualityReport, contract};
use tidemill_registry::SigningKey;
use tidemill_runtime::{Teller, to_status};
use tidemill_spec::{Partner, Share, Source, Spec};
use tidemill_storage::Storage;
use tidemill_types::Millis;
use tokio::sync::Mutex;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

/// The action that answers with the signed manifest of a ticket.
const MANIFEST: &str = "manifest";

/// The service.
pub(super) struct Shares {
    bus: Bus,
    storage: Storage,
    spec: Arc<Spec>,
    key: SigningKey,
    tokens: Tokens,
    /// The manifest that was asked for last, for each partner and share: asking again reads nothing.
    made: Mutex<BTreeMap<(String, String), (u64, SignedManifest)>>,
}

/// What a ticket names. It grants nothing: who shows it is asked for a token, and gets what is shared with them then.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    share: String,
    version: u64,
}

/// A share as one partner sees it.
struct Granted<'s> {
    name: &'s str,
    partner: &'s str,
    share: &'s Share,
    terms: &'s Partner,
    source: &'s Source,
    view: View,
}

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

impl Shares {
    pub(super) fn new(bus: Bus, storage: Storage, spec: Arc<Spec>, key: SigningKey, tokens: Tokens) -> Self {
        Self { bus, storage, spec, key, tokens, made: Mutex::default() }
    }

    /// Who is asking.
    fn partner(&self, metadata: &MetadataMap) -> Result<&str, ShareError> {
        let shown = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let token = shown.and_then(|text| text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")));
        token.and_then(|token| self.tokens.partner(token)).ok_or(ShareError::Token)
    }

    /// What a partner is given of a share now. One that does not exist and one for others look the same.
    fn granted<'s>(&'s self, partner: &'s str, name: &str) -> Result<Granted<'s>, ShareError> {
        let unknown = || ShareError::Unknown(name.to_owned(), partner.to_owned());
        let (name, share) = self.spec.share.get_key_value(name).ok_or_else(unknown)?;
        let terms = share.partners.get(partner).filter(|terms| terms.may_read_at(now())).ok_or_else(unknown)?;
        let source = self.spec.sources.get(&share.source).ok_or_else(unknown)?;
        let view = View::new(share, source, terms)?;
        Ok(Granted { name, partner, share, terms, source, view })
    }

    async fn table(&self, granted: &Granted<'_>) -> Result<Table, ShareError> {
        let path = crate::clean_table_path(&self.spec.project, &granted.share.source);
        Ok(Table::open(&self.storage, &path).await?)
    }

    async fn scan(&self, granted: &Granted<'_>, version: u64) -> Result<Scan, ShareError> {
        let table = self.table(granted).await?;
        let snapshot = table.load_version(version).await?;
        Ok(table.scan(&snapshot, Some(&granted.view.reads()), None))
    }

    /// A share as Flight tells of it: its newest version, and the ticket for it.
    async fn info(&self, granted: &Granted<'_>) -> Result<FlightInfo, ShareError> {
        let version = self.table(granted).await?.load().await?.version();
        let offer = Offer { share: granted.name.to_owned(), version };
        let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(text(&offer)));
        // How many rows there are is known only behind the conditions.
        let info = FlightInfo::new().try_with_schema(&granted.view.schema())?.with_endpoint(endpoint);
        Ok(info
            .with_descriptor(FlightDescriptor::new_path(vec![granted.name.to_owned()]))
            .with_total_records(-1)
            .with_total_bytes(-1)
            .with_app_metadata(json!({"version": version, "purpose": granted.share.purpose}).to_string()))
    }

    /// The manifest of a version. Made once: it reads all rows that it speaks of.
    async fn manifest(&self, granted: &Granted<'_>, offer: &Offer) -> Result<SignedManifest, ShareError> {
        let key = (granted.partner.to_owned(), granted.name.to_owned());
        // Held while one is made, so that the same rows are not read twice at once.
        let mut made = self.made.lock().await;
        if let Some((_, manifest)) = made.get(&key).filter(|(version, _)| *version == offer.version) {
            return Ok(manifest.clone());
        }
        let mut hasher = ContentHasher::new(&granted.view.schema());
        let mut scan = self.scan(granted, offer.version).await?;
        while let Some(batch) = scan.next().await? {
            hasher.update(&granted.view.rows(&batch)?)?;
        }
        let content = hasher.finish();
        let manifest = Manifest {
            format: 1,
            share: granted.name.to_owned(),
            project: self.spec.project.to_string(),
            source: granted.share.source.to_string(),
            partner: granted.partner.to_owned(),
            purpose: granted.share.purpose.clone(),
            until: granted.terms.until.clone(),
            version: offer.version,
            made_at: now().to_string(),
            conditions: granted.view.conditions().map(str::to_owned).collect(),
            rows: content.rows,
            content: content.hash,
            columns: columns(granted),
            quality: self.quality(granted).await?,
            contract: self.contract(granted),
        };
        let signed = SignedManifest::sign(&manifest, &self.key)?;
        made.insert(key, (offer.version, signed.clone()));
        Ok(signed)
    }

    /// What the newest report says.
    async fn quality(&self, granted: &Granted<'_>) -> Result<Option<SharedQuality>, ShareError> {
        let folder = crate::store::profiles_path(&self.spec.project, &granted.share.source);
        let newest = self.storage.list(&folder).await?.into_iter().map(|object| object.path).max();
        let Some(path) = newest else { return Ok(None) };
        let bytes = self.storage.get(&path).await?;
        Ok(QualityReport::from_json(&bytes).ok().map(|report| SharedQuality::of(&report)))
    }

    /// The contract of the source, of the columns that are shared.
    fn contract(&self, granted: &Granted<'_>) -> serde_json::Value {
        let mut source = granted.source.clone();
        let schema = granted.view.schema();
        source.columns.retain(|name, _| schema.field_with_name(name).is_ok());
        source.key.retain(|name| source.columns.contains_key(name));
        let shared = |rule: &&tidemill_spec::Rule| rule.columns().iter().all(|name| source.columns.contains_key(*name));
        let rules = self.spec.quality.get(&granted.share.source).map(Vec::as_slice).unwrap_or_default();
        let rules: Vec<_> = rules.iter().filter(shared).cloned().collect();
        let name = granted.share.source.clone();
        let quality = BTreeMap::from([(name.clone(), rules)]);
        contract::export(&self.spec.project, &BTreeMap::from([(name, source)]), &quality)
    }

    /// Notes who is given what. Nothing leaves before this is on disk.
    async fn note(&self, granted: &Granted<'_>, offer: &Offer, what: &str) -> Result<(), ShareError> {
        let entry = json!({
            "action": "share",
            "what": what,
            "share": granted.name,
            "version": offer.version,
            "columns": granted.view.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>(),
            "by": granted.partner,
            "reason": granted.share.purpose,
            "at": now().to_string(),
        });
        let teller = Teller { role: "validation", bus: &self.bus, project: &self.spec.project };
        Ok(teller.audit(None, &entry).await?)
    }

    async fn rows(&self, metadata: &MetadataMap, ticket: &[u8]) -> Result<Stream<FlightData>, ShareError> {
        let partner = self.partner(metadata)?;
        let offer: Offer = serde_json::from_slice(ticket).map_err(|_| ShareError::Ticket)?;
        let granted = self.granted(partner, &offer.share)?;
        let scan = self.scan(&granted, offer.version).await?;
        self.note(&granted, &offer, "rows").await?;
        let view = granted.view;
        let schema = view.schema();
        let rows = stream::try_unfold((scan, view), async |(mut scan, view)| {
            let batch: Option<RecordBatch> = match scan.next().await? {
                Some(batch) => Some(view.rows(&batch)?),
                None => None,
            };
            Ok::<_, ShareError>(batch.map(|batch| (batch, (scan, view))))
        });
        let rows = rows.map_err(|error| FlightError::from(to_status(&error)));
        let encoded = FlightDataEncoderBuilder::new().with_schema(schema).build(rows);
        Ok(encoded.map_err(Status::from).boxed())
    }

    async fn act(&self, metadata: &MetadataMap, action: &Action) -> Result<SignedManifest, ShareError> {
        let partner = self.partner(metadata)?;
        let offer: Offer = serde_json::from_slice(&action.body).map_err(|_| ShareError::Ticket)?;
        let granted = self.granted(partner, &offer.share)?;
        let manifest = self.manifest(&granted, &offer).await?;
        self.note(&granted, &offer, MANIFEST).await?;
        Ok(manifest)
    }

    async fn described(&self, metadata: &MetadataMap, asked: &FlightDescriptor) -> Result<FlightInfo, ShareError> {
        let partner = self.partner(metadata)?;
        let name = asked.path.first().cloned().unwrap_or_else(|| String::from_utf8_lossy(&asked.cmd).into_owned());
        self.info(&self.granted(partner, &name)?).await
    }

    async fn offered(&self, metadata: &MetadataMap) -> Result<Vec<FlightInfo>, ShareError> {
        let partner = self.partner(metadata)?;
        let mut infos = Vec::new();
        for name in self.spec.share.keys() {
            match self.granted(partner, name) {
                Ok(granted) => infos.push(self.info(&granted).await?),
                Err(ShareError::Unknown(..)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(infos)
    }
}

fn columns(granted: &Granted<'_>) -> Vec<SharedColumn> {
    let shared = granted.view.schema();
    let column = |field: &arrow::datatypes::FieldRef| {
        let declared = granted.source.columns.get(field.name())?;
        Some(SharedColumn {
            name: field.name().clone(),
            kind: declared.kind.as_str().to_owned(),
            nullable: declared.nullable,
            personal: declared.pii.map_or("not found", |said| said.as_str()).to_owned(),
            sensitive: declared.sensitive,
        })
    };
    shared.fields().iter().filter_map(column).collect()
}

fn text(offer: &Offer) -> String {
    json!(offer).to_string()
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn not_offered<T>(what: &str) -> Answer<T> {
    Err(Status::unimplemented(format!("{what} is not offered: shares are read")))
}

/// Without a token a caller is told to show one, which is another status than that of a partner who may not.
fn status(error: &ShareError) -> Status {
    match error {
        ShareError::Token => {
            let said = to_status(error);
            Status::with_metadata(tonic::Code::Unauthenticated, said.message(), said.metadata().clone())
        }
        other => to_status(other),
    }
}

#[tonic::async_trait]
impl FlightService for Shares {
    type HandshakeStream = Stream<HandshakeResponse>;
    type ListFlightsStream = Stream<FlightInfo>;
    type DoGetStream = Stream<FlightData>;
    type DoPutStream = Stream<PutResult>;
    type DoExchangeStream = Stream<FlightData>;
    type DoActionStream = Stream<ActionResult>;
    type ListActionsStream = Stream<ActionType>;

    async fn list_flights(&self, request: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        let infos = self.offered(request.metadata()).await.map_err(|e| status(&e))?;
        Ok(Response::new(stream::iter(infos.into_iter().map(Ok)).boxed()))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        let info = self.described(request.metadata(), request.get_ref()).await;
        Ok(Response::new(info.map_err(|e| status(&e))?))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        let info = self.described(request.metadata(), request.get_ref()).await.map_err(|e| status(&e))?;
        let schema = info.try_decode_schema().map_err(|e| status(&e.into()))?;
        let encoded = SchemaResult::try_from(SchemaAsIpc::new(&schema, &IpcWriteOptions::default()));
        Ok(Response::new(encoded.map_err(|e| status(&e.into()))?))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<Self::DoGetStream> {
        let rows = self.rows(request.metadata(), &request.get_ref().ticket).await;
        Ok(Response::new(rows.map_err(|e| status(&e))?))
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        if request.get_ref().r#type != MANIFEST {
            return not_offered("this action");
        }
        let manifest = self.act(request.metadata(), request.get_ref()).await.map_err(|e| status(&e))?;
        let answer = ActionResult::new(json!(manifest).to_string());
        Ok(Response::new(stream::once(async { Ok(answer) }).boxed()))
    }

    async fn list_actions(&self, request: Request<Empty>) -> Answer<Self::ListActionsStream> {
        self.partner(request.metadata()).map_err(|e| status(&e))?;
        let description = "the signed manifest of a share: send the ticket as the body".to_owned();
        let action = ActionType { r#type: MANIFEST.to_owned(), description };
        Ok(Response::new(stream::once(async { Ok(action) }).boxed()))
    }

    async fn handshake(&self, _: Request<Streaming<HandshakeRequest>>) -> Answer<Self::HandshakeStream> {
        not_offered("a handshake")
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<PollInfo> {
        not_offered("polling")
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        not_offered("writing")
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoExchangeStream> {
        not_offered("an exchange")
    }
}
