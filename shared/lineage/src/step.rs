//! One run of a job: what it read and what it wrote.

use crate::event::{EventType, Facets, Job, Run, RunEvent, SCHEMA_URL};
use crate::place::Place;
use crate::{PRODUCER, facets, names};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tidemill_types::{Millis, ProjectName};

/// One run of a job.
#[derive(Clone, Debug)]
pub struct Step {
    pub(crate) namespace: String,
    job: String,
    run_id: String,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    about: Option<Millis>,
    pub(crate) owners: BTreeMap<String, String>,
    parent: Option<(String, String)>,
}

impl Step {
    /// A run of `job`. `what` tells this run from every other one of the job, and is the same when the same work is
    /// done again: a version, a cycle.
    #[must_use]
    pub fn new(project: &ProjectName, job: impl Into<String>, what: &str) -> Self {
        let (namespace, job) = (names::namespace(project), job.into());
        let run_id = id(&format!("{namespace}\n{job}\n{what}"));
        let (inputs, outputs, owners) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { namespace, job, run_id, inputs, outputs, about: None, owners, parent: None }
    }

    /// Reads this.
    #[must_use]
    pub fn reads(mut self, place: Place) -> Self {
        self.inputs.push(place);
        self
    }

    /// Writes this.
    #[must_use]
    pub fn writes(mut self, place: Place) -> Self {
        self.outputs.push(place);
        self
    }

    /// Is about this instant.
    #[must_use]
    pub fn about(mut self, at: Millis) -> Self {
        self.about = Some(at);
        self
    }

    /// These answer for the job and for what it writes: role → person or team.
    #[must_use]
    pub fn owned_by(mut self, owners: &BTreeMap<String, String>) -> Self {
        self.owners.clone_from(owners);
        self
    }

    /// Is a part of a run of another job of the project.
    #[must_use]
    pub fn within(mut self, job: &str, what: &str) -> Self {
        self.parent = Some((job.to_owned(), id(&format!("{}\n{job}\n{what}", self.namespace))));
        self
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The event of its beginning.
    #[must_use]
    pub fn start(&self, at: Millis) -> RunEvent {
        self.event(EventType::Start, at, Facets::new())
    }

    /// The event of its good end.
    #[must_use]
    pub fn complete(&self, at: Millis) -> RunEvent {
        self.event(EventType::Complete, at, Facets::new())
    }

    /// The event of its bad end.
    #[must_use]
    pub fn fail(&self, at: Millis, reason: &str) -> RunEvent {
        self.event(EventType::Fail, at, Facets::from([("errorMessage".to_owned(), facets::error_message(reason))]))
    }

    fn event(&self, event_type: EventType, at: Millis, mut facets: Facets) -> RunEvent {
        facets.extend(self.about.map(|at| ("nominalTime".to_owned(), facets::nominal_time(at))));
        facets.insert("processing_engine".to_owned(), facets::processing_engine());
        if let Some((job, run_id)) = &self.parent {
            facets.insert("parent".to_owned(), facets::parent(&self.namespace, job, run_id));
        }
        let mut of_job = Facets::from([("jobType".to_owned(), facets::job_type())]);
        if !self.owners.is_empty() {
            of_job.insert("ownership".to_owned(), facets::owners_of_job(&self.owners));
        }
        let datasets = |places: &[Place], outputs: bool| {
            places.iter().map(|place| place.dataset(self, event_type, outputs)).collect()
        };
        RunEvent {
            event_type,
            event_time: at.to_string(),
            run: Run { run_id: self.run_id.clone(), facets },
            job: Job { namespace: self.namespace.clone(), name: self.job.clone(), facets: of_job },
            inputs: datasets(&self.inputs, false),
            outputs: datasets(&self.outputs, true),
            producer: PRODUCER.to_owned(),
            schema_url: SCHEMA_URL.to_owned(),
        }
    }
}

/// A UUID of version 8 from a text.
fn id(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let mut digits: Vec<u8> = hash.iter().take(16).flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    // Version 8: made of what the maker chose. Variant: 10 in the two high bits.
    if let Some(version) = digits.get_mut(12) {
        *version = b'8';
    }
    if let Some(variant) = digits.get_mut(16) {
        *variant = b"89ab"[usize::from(hash[8] & 3)];
    }
    let text = String::from_utf8_lossy(&digits).into_owned();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| text.get(range).unwrap_or_default().to_owned()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;

    #[test]
    fn the_same_work_is_the_same_run_and_its_id_a_uuid() {
        let project = "flights".parse().unwrap();
        let of = |what| Step::new(&project, "ingestion.weather", what).run_id().to_owned();
        assert_eq!(of("12"), of("12"));
        assert_ne!(of("12"), of("13"));
        let id = of("12");
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'8'));
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
    }

    #[test]
    fn an_event_says_what_was_read_and_written() {
        let step = Step::new(&"flights".parse().unwrap(), "ingestion.weather", "12")
            .reads(Place::new("events/flights/weather").between(Some(5), Some(9)))
            .writes(Place::new("raw/flights/weather").at(12).with_rows(4));
        let event = serde_json::to_value(step.complete(Millis(0))).unwrap();
        assert_eq!(event["eventType"], "COMPLETE");
        assert_eq!(event["inputs"][0]["facets"]["tidemill_part"]["lastSequence"], 9);
        assert_eq!(event["outputs"][0]["facets"]["version"]["datasetVersion"], "12");
        assert_eq!(event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 4);
        assert_eq!(event["run"]["facets"]["processing_engine"]["name"], "tidemill");
        let failed = serde_json::to_value(step.fail(Millis(0), "TM0001: no")).unwrap();
        assert_eq!(failed["run"]["facets"]["errorMessage"]["message"], "TM0001: no");
        assert_eq!(failed["run"]["runId"], event["run"]["runId"]);
    }

    #[test]
    fn an_event_says_who_answers_for_it_what_it_is_part_of_and_what_it_made() {
        let owners = BTreeMap::from([("technical".to_owned(), "ml-team".to_owned())]);
        let step = Step::new(&"flights".parse().unwrap(), names::TRAINING, "c1")
            .within(names::CYCLE, "c1")
            .owned_by(&owners)
            .reads(Place::new("training/flights/c1").with_rows(9).with_files([40, 2]))
            .writes(Place::new("model/1").changed(Change::Create));
        let begun = serde_json::to_value(step.start(Millis(0))).unwrap();
        let ended = serde_json::to_value(step.complete(Millis(0))).unwrap();
        let owner = &ended["job"]["facets"]["ownership"]["owners"][0];
        assert_eq!((&owner["name"], &owner["type"]), (&"ml-team".into(), &"technical".into()));
        assert_eq!(&ended["outputs"][0]["facets"]["ownership"]["owners"][0], owner);
        let parent = &ended["run"]["facets"]["parent"];
        assert_eq!(parent["job"]["name"], names::CYCLE);
        let cycle = Step::new(&"flights".parse().unwrap(), names::CYCLE, "c1");
        assert_eq!(parent["run"]["runId"], cycle.run_id());
        let read = &ended["inputs"][0]["inputFacets"]["inputStatistics"];
        assert_eq!((&read["rowCount"], &read["size"], &read["fileCount"]), (&9.into(), &42.into(), &2.into()));
        assert_eq!(ended["outputs"][0]["facets"]["lifecycleStateChange"]["lifecycleStateChange"], "CREATE");
        assert!(begun["outputs"][0]["facets"].get("lifecycleStateChange").is_none(), "nothing is made yet");
        assert!(begun["inputs"][0].get("inputFacets").is_none(), "nothing is read yet");
    }
}
