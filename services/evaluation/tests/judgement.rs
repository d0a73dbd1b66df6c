//! Judgements on a real bus: who becomes champion, who does not, and what is left behind.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use prost::Message as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Bus, StreamSpec, Tail};
use tidemill_contracts::evaluation::evaluation_service_client::EvaluationServiceClient;
use tidemill_contracts::evaluation::{PromoteRequest, RollbackRequest, ShowScorecardRequest};
use tidemill_contracts::events::{CandidateEvaluated, CandidateTrained, Notice, notice::Fact};
use tidemill_contracts::{headers, subjects};
use tidemill_evaluation::{Deps, Scorecard, card_path, run};
use tidemill_features::Plan;
use tidemill_learn::{Model, ParamValue, Params, TrainData, learner};
use tidemill_registry::{
    BundleWriter, DataQuality, Lineage, ManifestDraft, NewVersion, Registry, SigningKey, TrustedKeys,
};
use tidemill_spec::Spec;
use tidemill_storage::{S3Options, Storage};
use tidemill_telemetry::Metrics;
use tidemill_testkit::Nats;
use tidemill_transform::Split;
use tidemill_types::{Digest, Millis};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400_000;
const ROWS: i64 = 6_000;
const SET: &str = "features/order_now/training/c.parquet";

fn noise(i: i64, salt: i64) -> f64 {
    let mut z = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt as u64 * 77);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Features and labels of sixty days: middling amounts are returned, which no line through the amounts can tell.
fn rows() -> (RecordBatch, Vec<bool>) {
    // Seven rows of the test are rows of the fit again.
    let of = |i: i64| if (5_100..5_107).contains(&i) { i - 4_080 } else { i };
    let amount: Vec<f64> = (0..ROWS).map(|i| 100.0 * noise(of(i), 1)).collect();
    let label = |i: i64| noise(i, 2) < if (30.0..60.0).contains(&amount[i as usize]) { 0.7 } else { 0.1 };
    let labels = (0..ROWS).map(label).collect();
    let region: StringArray = (0..ROWS).map(|i| Some(["north", "south", "west"][(i % 3) as usize])).collect();
    let features = RecordBatch::try_from_iter_with_nullable([
        ("amount", Arc::new(Float64Array::from(amount)) as ArrayRef, true),
        ("hour", Arc::new((0..ROWS).map(|i| Some((i % 24) as f64)).collect::<Float64Array>()), true),
        ("region", Arc::new(region), true),
    ]);
    (features.unwrap(), labels)
}

struct Place {
    bus: Bus,
    storage: Storage,
    spec: Arc<Spec>,
    plan: Plan,
    key: SigningKey,
    set_digest: Digest,
    features: RecordBatch,
    labels: Vec<bool>,
}

/// What training notes of the data behind a candidate.
fn data_quality(total: f64) -> DataQuality {
    DataQuality {
        accuracy: Some(total),
        completeness: Some(total),
        consistency: Some(total),
        timeliness: Some(total),
        total: Some(total),
        formula: "mean".to_owned(),
        rows: 6_000,
        commits: 3,
    }
}

impl Place {
    async fn new(bus: Bus, storage: Storage) -> Self {
        for (name, subject) in [
            (subjects::NOTICES_STREAM, "tm.notices.>"),
            (subjects::DEAD_STREAM, "tm.dead.>"),
            (subjects::AUDIT_STREAM, "tm.audit.>"),
        ] {
            bus.ensure_stream(&StreamSpec::new(name, [subject])).await.unwrap();
        }
        let spec = Arc::new(Spec::parse(include_str!("shop.yaml")).unwrap());
        let (features, labels) = rows();
        // One entity is on both sides.
        let keys = (0..ROWS).map(|i| if i == 5_200 { 12 } else { i });
        let at = (0..ROWS).map(|i| i * 60 * DAY / ROWS);
        let as_of = TimestampMillisecondArray::from_iter_values(at).with_timezone("UTC");
        let mut columns: Vec<(String, ArrayRef, bool)> = vec![
            ("tm_key".into(), Arc::new(keys.collect::<Int64Array>()), false),
            ("tm_label".into(), Arc::new(BooleanArray::from(labels.clone())), true),
            ("tm_excluded".into(), Arc::new(BooleanArray::from(vec![false; labels.len()])), true),
            ("tm_as_of".into(), Arc::new(as_of), true),
        ];
        let named = features.schema();
        columns.extend(
            named.fields().iter().zip(features.columns()).map(|(f, c)| (f.name().clone(), Arc::clone(c), true)),
        );
        let set = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let set_digest = tidemill_dataset::write_parquet(&storage, SET, &[set]).await.unwrap();
        let (plan, key) = (Plan::compile(&spec).unwrap(), SigningKey::generate().unwrap());
        Self { bus, storage, spec, plan, key, set_digest, features, labels }
    }

    fn fit(&self, name: &str, params: &Params, from: usize) -> Model {
        let length = 4_800 - from;
        let (batch, labels) = (self.features.slice(from, length), &self.labels[from..4_800]);
        let split = Split::all_training(length).unwrap();
        let data = TrainData { batch: &batch, labels, rows: split.train(), valid: None };
        learner(name).unwrap().fit(&data, params, 7).unwrap().model
    }

    /// Stores bundle, baselines and run record of a candidate fitted on rows from `from` on, as training does.
    async fn candidate(&self, cycle: &str, from: usize) -> CandidateTrained {
        let rounds = Params::from([("rounds".to_owned(), ParamValue::Int(40))]);
        let model = self.fit("boosted", &rounds, from);
        let draft = ManifestDraft {
            project: self.spec.project.clone(),
            run: cycle.parse().unwrap(),
            created_at: Millis(60 * DAY),
            task: "binary".to_owned(),
            learner: "boosted".to_owned(),
            inputs: Vec::new(),
            target: "returned".to_owned(),
            params: json!({}),
            seeds: BTreeMap::new(),
            metrics: BTreeMap::new(),
            threshold: Some(0.4),
            budget: Some(0.2),
            quality: BTreeMap::from([("orders".to_owned(), data_quality(if cycle == "c-1" { 95.0 } else { 88.0 }))]),
            spec_digest: self.spec.digest(),
            code: "0".to_owned(),
            data_digest: self.set_digest.clone(),
            lineage: vec![Lineage {
                kind: "features".to_owned(),
                name: "order_now".to_owned(),
                version: None,
                digest: Some(self.plan.digest().clone()),
            }],
        };
        let bundle = BundleWriter::new(draft).model(model.save().unwrap()).unwrap().sign(&self.key).unwrap();
        tidemill_registry::store(&self.storage, &bundle).await.unwrap();
        let new = NewVersion {
            digest: bundle.digest.clone(),
            run: cycle.parse().unwrap(),
            cycle: None,
            created: Millis(60 * DAY),
        };
        Registry::open(&self.bus).await.unwrap().register(&self.spec.project, &new).await.unwrap();
        let mut folders = BTreeMap::new();
        for name in ["majority", "logistic"] {
            let folder = format!("runs/shop/{cycle}/baselines/{name}");
            for (file, content) in self.fit(name, &Params::new(), from).save().unwrap() {
                self.storage.put(&format!("{folder}/{file}"), content).await.unwrap();
            }
            folders.insert(name, folder);
        }
        let record = json!({
            "cycle": cycle, "as_of": 60 * DAY, "spec_digest": self.spec.digest(), "model_digest": bundle.digest,
            "training_set": {"path": SET, "digest": self.set_digest, "plan_digest": self.plan.digest()},
            "windows": {"valid_until": 48 * DAY},
            "sealed": {"path": SET, "digest": self.set_digest, "from": 50 * DAY, "until": 59 * DAY},
            "chosen": {"learner": "boosted", "params": {}, "threshold": 0.4, "validation": {}, "importance": []},
            "leaks": [{"column": "entity.courier", "role": "entity", "kind": "null_purity", "support": 90,
                       "verdict": "entity.courier is null: 100.0% positive of 90 rows: never make a feature of it"}],
            "baselines": folders,
        });
        self.storage.put(&format!("runs/shop/{cycle}.json"), record.to_string()).await.unwrap();
        CandidateTrained {
            run_id: cycle.to_owned(),
            model_digest: bundle.digest.to_string(),
            as_of_ms: 60 * DAY,
            training_set: SET.to_owned(),
        }
    }

    async fn tell(&self, fact: CandidateTrained, id: &str) {
        let notice =
            Notice { project: "shop".into(), cycle_id: fact.run_id.clone(), fact: Some(Fact::CandidateTrained(fact)) };
        let sent = tidemill_bus::Headers::new().with(headers::NATS_MSG_ID, id).unwrap();
        let subject = subjects::notice(&self.spec.project, "candidate", "trained");
        self.bus.publish(&subject, &sent, notice.encode_to_vec()).await.unwrap();
    }
}

async fn verdict(tail: &mut Tail) -> CandidateEvaluated {
    for _ in 0..1_200 {
        if let Some(message) = tail.next_within(Duration::from_millis(100)).await.unwrap()
            && let Some(Fact::CandidateEvaluated(fact)) = Notice::decode(message.payload.as_ref()).unwrap().fact
        {
            return fact;
        }
    }
    unreachable!("no verdict within two minutes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_better_model_is_champion_until_a_person_says_otherwise() {
    let (nats, folder) = (Nats::start().await.unwrap(), tempfile::tempdir().unwrap());
    let storage = Storage::open(&format!("file://{}", folder.path().display()), &S3Options::default()).unwrap();
    let place = Place::new(nats.bus().await.unwrap(), storage.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let deps = Deps {
        bus: place.bus.clone(),
        storage: storage.clone(),
        spec: Arc::clone(&place.spec),
        trusted: TrustedKeys::default().with(&place.key.id()).unwrap(),
        metrics: Metrics::new(),
        listener,
    };
    let mut tail =
        place.bus.tail(subjects::NOTICES_STREAM, vec!["tm.notices.shop.candidate.evaluated".into()]).await.unwrap();
    let role = tokio::spawn(run(deps, stop.clone()));

    // The first candidate beats its baselines; there is no champion to beat.
    let first = place.candidate("c-1", 0).await;
    place.tell(first.clone(), "1").await;
    let judged = verdict(&mut tail).await;
    assert!(judged.promoted, "{:?}", judged.failed_gates);
    let registry = Registry::open(&place.bus).await.unwrap();
    for alias in ["champion", "first"] {
        let state = registry.alias(&place.spec.project, alias).await.unwrap().unwrap();
        assert_eq!(state.entry.digest.as_str(), first.model_digest);
    }
    let card: Scorecard = serde_json::from_slice(&storage.get(&judged.scorecard).await.unwrap()).unwrap();
    assert_eq!(card.gates.len(), 5);
    assert_eq!(card.subject.quality["orders"], data_quality(95.0), "the quality of the data travels with the model");
    let twins = card.twins.unwrap();
    assert_eq!((twins.fitted_rows, twins.test_rows), (4_800, 900));
    assert_eq!((twins.same_features, twins.same_key), (7, 1), "{}", twins.verdict);
    assert!(twins.roc_auc_without.is_some());
    assert!(card.report.roc_auc.low > 0.7 && card.kpi.at_budget.low > 0.0 && card.slices.len() == 3);
    assert_eq!(storage.list("scorecards/shop/openings").await.unwrap().len(), 1);
    let page = storage.get(&card_path("shop", &first.model_digest)).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(
        page.len() < 150_000
            && page.contains("entity.courier is null")
            && page.contains("7 of 900 test rows")
            && !page.contains("<script")
    );

    // A model of a twelfth of the rows does not surely beat it; the first one told again changes nothing.
    let second = place.candidate("c-2", 4_400).await;
    place.tell(first.clone(), "2").await;
    place.tell(second.clone(), "3").await;
    let judged = loop {
        let judged = verdict(&mut tail).await;
        if judged.run_id == "c-2" {
            break judged;
        }
    };
    assert!(!judged.promoted && judged.failed_gates.contains(&"beats_champion".to_owned()), "{judged:?}");
    assert!(judged.failed_gates.contains(&"data_quality".to_owned()), "{judged:?}");
    assert_eq!(storage.list("scorecards/shop/openings").await.unwrap().len(), 2);

    // A person may overrule the gates, with a reason, and take it back.
    let mut client = EvaluationServiceClient::connect(url).await.unwrap();
    let promote = |reason: &str| PromoteRequest {
        project: "shop".into(),
        model_digest: second.model_digest.clone(),
        by: "ann".into(),
        reason: reason.into(),
    };
    assert!(client.promote(promote(" ")).await.is_err());
    let moved = client.promote(promote("trial on the west coast")).await.unwrap().into_inner();
    assert_eq!((&moved.champion, &moved.previous), (&second.model_digest, &first.model_digest));
    let back = RollbackRequest { project: "shop".into(), by: "ann".into(), reason: "trial over".into() };
    assert_eq!(client.rollback(back).await.unwrap().into_inner().champion, first.model_digest);
    let shown = ShowScorecardRequest { project: "shop".into(), model_digest: second.model_digest.clone() };
    assert!(client.show_scorecard(shown).await.unwrap().into_inner().scorecard_json.contains("beats_champion"));
    let audited = place.bus.stream_state(subjects::AUDIT_STREAM).await.unwrap().messages;
    assert_eq!(audited, 4, "champion, first, promotion, rollback");
    stop.cancel();
    role.await.unwrap().unwrap();
}
