//! How many events of a source are refused, as its commits count them: tells when it is many, and when that is over. The
//! table is the memory of it, so a role that begins anew knows what stands.

use crate::Deps;
use crate::alarm::{Alarm, Change, DeadRate};
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_contracts::events::{AlertRaised, AlertResolved};
use tidemill_dataset::Table;
use tidemill_intake::Counts;
use tidemill_types::{Millis, SourceName};
use tracing::{info, warn};

/// Versions looked back for how many events were refused of late.
const LOOK_BACK: u64 = 256;
/// What is raised when many are.
const DEAD_LETTERS: &str = "dead_letters";

/// Takes in what the newest commits counted. The last change among them, and the sequence at which it came.
pub(crate) async fn remember(
    table: &Table,
    incarnation: &str,
    rate: &mut DeadRate,
) -> Result<Option<(i64, Change)>, tidemill_dataset::Error> {
    let newest = table.load().await?.version();
    let (mut commits, mut rows) = (Vec::new(), 0);
    for version in (newest.saturating_sub(LOOK_BACK) + 1..=newest).rev() {
        // A log may have been cleaned behind a checkpoint: then nothing older is known.
        let Ok(adds) = table.version_adds(version).await else { break };
        let counts = Counts::of(&adds);
        rows += counts.rows + counts.dead;
        commits.push((adds.txns.get(incarnation).copied(), counts, adds.committed_at));
        if rows >= rate.window().saturating_mul(2) {
            break;
        }
    }
    let mut last = None;
    for (last_seq, counts, at) in commits.into_iter().rev() {
        if let (Some(last_seq), Some(change)) = (last_seq, rate.note(&counts, at)) {
            last = Some((last_seq, change));
        }
    }
    Ok(last)
}

/// Tells that many events of a source are refused, or no longer; the same twice is one message for the bus.
pub(crate) async fn tell(
    deps: &Deps,
    source: &SourceName,
    last_seq: i64,
    change: Change,
) -> Result<(), tidemill_bus::Error> {
    let project = &deps.spec.project;
    match change {
        Change::Raised(Alarm { dead, of }) => {
            warn!(%source, dead, of, "many events are refused; see the dead letters");
            let text = format!(
                "{dead} of the newest {of} rows of {source} were refused: tidemill dead summary --source {source}"
            );
            let alert = AlertRaised {
                rule: DEAD_LETTERS.to_owned(),
                severity: "warn".to_owned(),
                text,
                window_start_ms: 0,
                source: source.to_string(),
            };
            deps.teller().alert(Some(&format!("dead:{project}:{source}:{last_seq}")), alert).await
        }
        Change::Over(raised_at) => {
            info!(%source, "few events are refused again");
            let over = AlertResolved {
                rule: DEAD_LETTERS.to_owned(),
                raised_at_ms: raised_at.0,
                resolved_at_ms: now().0,
                source: source.to_string(),
            };
            deps.teller().resolved(Some(&format!("dead-over:{project}:{source}:{last_seq}")), over).await
        }
    }
}

/// The clock, as far as alerts are concerned.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
