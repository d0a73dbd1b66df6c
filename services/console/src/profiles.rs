//! What is known of every source without reading its rows: heads of tables, and the profiles of the newest commits.
//!
//! Profiles merge, so they are kept in two blocks: the one that fills up and the one before it. What is shown covers
//! between one and two blocks of commits, whatever the number of rows; a refresh reads new commits only.

use crate::commits;
use crate::error::{Error, Result};
use crate::tables::Tables;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_contracts::paths;
use tidemill_dataset::{REPLACE, VersionAdds};
use tidemill_quality::clean::{Told, told};
use tidemill_quality::{Freshness, QualityReport, QualityScore, RuleResult, Tally, merge_results, score};
use tidemill_spec::{Source, Spec};
use tidemill_stats::TableProfile;
use tidemill_types::{Millis, ProjectName, SourceName};
use tokio::sync::Mutex;

/// Commits of one block.
const BLOCK: usize = 16;
/// Scores kept for the line over commits.
const SCORES: usize = 120;
/// Nothing is read again within this time.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// Key of the watermark in commit metadata.
const WATERMARK_KEY: &str = "tidemill.watermark";

/// A source at its newest commits.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceState {
    /// Rows of the clean table.
    pub(crate) rows: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its version.
    pub(crate) version: u64,
    /// When it was committed last.
    pub(crate) committed_at: Option<Millis>,
    /// Rows of the quarantine table.
    pub(crate) quarantined: u64,
    /// Commits behind the profile.
    pub(crate) commits: usize,
    /// Rows behind the profile, quarantined ones included.
    pub(crate) checked: u64,
    /// Sketches of the accepted rows of these commits.
    pub(crate) profile: TableProfile,
    /// Results of the rules over these commits.
    pub(crate) rules: Vec<RuleResult>,
    /// Score over these commits.
    pub(crate) score: Option<QualityScore>,
    /// Total scores of the newest commits, oldest first.
    pub(crate) scores: Vec<f64>,
    /// Newest knowledge of the commits behind [`Self::scores`], as far as they brought any.
    pub(crate) scored_at: Vec<Option<Millis>>,
    /// What cleaning decisions did to the rows of the clean table.
    pub(crate) told: Told,
    /// Rule that blocked the newest commit.
    pub(crate) blocked: Option<String>,
    /// How long the source has been silent.
    pub(crate) freshness: Option<Freshness>,
}

/// All sources; reads on when it is asked.
pub(crate) struct Profiles {
    tables: Arc<Tables>,
    project: ProjectName,
    sources: BTreeMap<SourceName, Mutex<Follower>>,
}

impl Profiles {
    /// Nothing is read yet.
    #[must_use]
    pub(crate) fn new(spec: &Spec, tables: &Arc<Tables>) -> Self {
        let follower = |(name, source): (&SourceName, &Source)| (name.clone(), Mutex::new(Follower::new(source)));
        Self {
            tables: Arc::clone(tables),
            project: spec.project.clone(),
            sources: spec.sources.iter().map(follower).collect(),
        }
    }

    /// A source as it is now, give or take a second; nothing while it has no table.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn source(&self, name: &SourceName) -> Result<Arc<SourceState>> {
        let follower = self.sources.get(name).ok_or_else(|| Error::missing("source", name.as_str()))?;
        let mut follower = follower.lock().await;
        if follower.read_at.is_none_or(|at| at.elapsed() >= FRESH_FOR) {
            follower.read_on(&self.tables, &self.project, name).await?;
            follower.read_at = Some(Instant::now());
        }
        Ok(Arc::clone(&follower.shown))
    }

    /// All sources, by name.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn all(&self) -> Result<BTreeMap<SourceName, Arc<SourceState>>> {
        let asked = self.sources.keys().map(|name| async { Ok((name.clone(), self.source(name).await?)) });
        futures::future::try_join_all(asked).await.map(|all| all.into_iter().collect())
    }
}

/// Commits whose profiles are merged.
#[derive(Debug, Default)]
struct Block {
    commits: usize,
    checked: u64,
    profile: TableProfile,
    rules: Vec<RuleResult>,
    tally: Tally,
}

impl Block {
    /// Adds a report. Profiles of other columns, from before the source changed, are left behind.
    fn add(&mut self, report: &QualityReport) {
        if self.profile.merge(&report.profile).is_err() {
            *self = Self { profile: report.profile.clone(), ..Self::default() };
        }
        self.commits += 1;
        self.checked += report.checked;
        merge_results(&mut self.rules, &report.rules);
        self.tally.merge(&report.tally);
    }
}

struct Follower {
    declared: Source,
    /// Newest version of the clean table whose report was read.
    seen: Option<u64>,
    full: Block,
    filling: Block,
    newest_known_at: Option<Millis>,
    told: Told,
    blocked: Option<String>,
    watermark: Option<Millis>,
    scores: VecDeque<(f64, Option<Millis>)>,
    read_at: Option<Instant>,
    shown: Arc<SourceState>,
}

impl Follower {
    fn new(declared: &Source) -> Self {
        Self {
            declared: declared.clone(),
            seen: None,
            full: Block::default(),
            filling: Block::default(),
            newest_known_at: None,
            told: Told::default(),
            blocked: None,
            watermark: None,
            scores: VecDeque::new(),
            read_at: None,
            shown: Arc::default(),
        }
    }

    async fn read_on(&mut self, tables: &Tables, project: &ProjectName, name: &SourceName) -> Result<()> {
        let paths = (paths::clean_table(project, name), paths::quarantine_table(project, name));
        let (clean, quarantine) = match tokio::try_join!(tables.open(&paths.0), tables.open(&paths.1)) {
            Ok(both) => both,
            Err(tidemill_dataset::Error::Absent { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let head = clean.load().await?;
        let quarantined = quarantine.load().await?.num_rows();
        let unseen = head.version().saturating_sub(self.seen.unwrap_or(0)).min(BLOCK as u64);
        if unseen == 0 && self.shown.quarantined == quarantined {
            return Ok(());
        }
        let mut commits = if unseen > 0 { clean.history(unseen).await? } else { Vec::new() };
        commits.reverse();
        for commit in &commits {
            self.take(tables, project, name, commit).await?;
        }
        let committed_at = commits.last().map(|commit| commit.committed_at).or(self.shown.committed_at);
        self.seen = Some(head.version());
        let state = SourceState {
            rows: head.num_rows(),
            bytes: head.num_bytes(),
            version: head.version(),
            committed_at,
            quarantined,
            ..self.summary()
        };
        self.shown = Arc::new(state);
        Ok(())
    }

    /// Takes in the report that a commit names.
    async fn take(
        &mut self,
        tables: &Tables,
        project: &ProjectName,
        name: &SourceName,
        commit: &VersionAdds,
    ) -> Result<()> {
        let mark = commit.metadata.get(WATERMARK_KEY).and_then(|text| text.parse().ok()).map(Millis);
        self.watermark = self.watermark.max(mark);
        if let Some(told) = told(&commit.metadata) {
            self.told = told;
        }
        if commit.operation == REPLACE {
            // What was known of the rows is of values that they no longer have.
            (self.full, self.filling) = (Block::default(), Block::default());
        }
        // The commit notes how far the raw table was validated; the report has that number as its name.
        let Some(raw_version) = commit.txns.get(&paths::raw_table(project, name)) else { return Ok(()) };
        let report = commits::report(tables, project, (name, &self.declared), *raw_version).await?;
        let Some(report) = report else { return Ok(()) };
        if self.filling.commits >= BLOCK {
            self.full = std::mem::take(&mut self.filling);
        }
        self.filling.add(&report);
        self.scores.extend(report.score.total.map(|total| (total, report.newest_known_at)));
        if self.scores.len() > SCORES {
            self.scores.pop_front();
        }
        // Late rows do not make a source older.
        self.newest_known_at = self.newest_known_at.max(report.newest_known_at);
        self.blocked = report.blocked;
        Ok(())
    }

    /// Both blocks together.
    fn summary(&self) -> SourceState {
        let mut profile = self.full.profile.clone();
        let (mut rules, mut tally) = (self.full.rules.clone(), self.full.tally.clone());
        let (mut commits, mut checked) = (self.full.commits, self.full.checked);
        if profile.merge(&self.filling.profile).is_err() {
            (profile, rules, commits, checked) = (self.filling.profile.clone(), Vec::new(), 0, 0);
            tally = Tally::default();
        }
        merge_results(&mut rules, &self.filling.rules);
        tally.merge(&self.filling.tally);
        let at = self.watermark.max(self.newest_known_at);
        let freshness = at.map(|at| Freshness::of(&self.declared, self.newest_known_at, at));
        SourceState {
            commits: commits + self.filling.commits,
            checked: checked + self.filling.checked,
            score: freshness.map(|freshness| score(&tally, &freshness)),
            profile,
            rules,
            scores: self.scores.iter().map(|(score, _)| *score).collect(),
            scored_at: self.scores.iter().map(|(_, at)| *at).collect(),
            told: self.told.clone(),
            blocked: self.blocked.clone(),
            freshness,
            ..SourceState::default()
        }
    }
}
