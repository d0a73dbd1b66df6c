//! Latency of prediction requests, from the histogram among the metrics of this process.

use serde::Serialize;
use tidemill_telemetry::names::SERVING_REQUEST_SECONDS;

/// Requests by upper end of their bucket, in seconds; not cumulative.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets(Vec<(f64, f64)>);

/// Quantiles of the latency, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// Requests behind them.
    pub(crate) requests: u64,
    /// Half of the requests were faster.
    pub(crate) p50_ms: f64,
    /// 95 of 100 were faster.
    pub(crate) p95_ms: f64,
    /// 99 of 100 were faster.
    pub(crate) p99_ms: f64,
}

impl Latency {
    /// Nothing when there were no requests.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests")]
    pub(super) fn of(buckets: &Buckets) -> Option<Self> {
        let ms = |share| buckets.quantile(share).map(|seconds| seconds * 1_000.0);
        let requests = buckets.total() as u64;
        Some(Self { requests, p50_ms: ms(0.5)?, p95_ms: ms(0.95)?, p99_ms: ms(0.99)? })
    }
}

impl Buckets {
    /// Reads the text form of the metrics; sets of labels are added up.
    pub(super) fn of(text: &str) -> Self {
        let prefix = format!("{}_bucket{{", SERVING_REQUEST_SECONDS.name());
        let mut cumulative: Vec<(f64, f64)> = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix(&prefix)) {
            let Some((labels, count)) = line.rsplit_once("} ") else { continue };
            let end = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next());
            let end = match end {
                Some("+Inf") => f64::INFINITY,
                Some(end) => end.parse().unwrap_or(f64::NAN),
                None => f64::NAN,
            };
            let (false, Ok(count)) = (end.is_nan(), count.split(' ').next().unwrap_or_default().parse::<f64>()) else {
                continue;
            };
            match cumulative.iter_mut().find(|(known, _)| *known == end) {
                Some((_, sum)) => *sum += count,
                None => cumulative.push((end, count)),
            }
        }
        cumulative.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut below = 0.0;
        for (_, count) in &mut cumulative {
            (*count, below) = (*count - below, *count);
        }
        Self(cumulative)
    }

    /// What came since an earlier reading.
    pub(super) fn since(&self, before: &Self) -> Self {
        let earlier = |end: f64| before.0.iter().find(|(known, _)| *known == end).map_or(0.0, |(_, count)| *count);
        Self(self.0.iter().map(|(end, count)| (*end, (count - earlier(*end)).max(0.0))).collect())
    }

    /// Adds the requests of another time.
    pub(super) fn add(&mut self, other: &Self) {
        for (end, count) in &other.0 {
            match self.0.iter_mut().find(|(known, _)| known == end) {
                Some((_, sum)) => *sum += count,
                None => self.0.push((*end, *count)),
            }
        }
        self.0.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    fn total(&self) -> f64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The value below which a share of the requests lies, evenly spread inside its bucket.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.total();
        if total <= 0.0 {
            return None;
        }
        let (mut below, mut low) = (0.0, 0.0);
        for (end, count) in &self.0 {
            if below + count >= share * total && *count > 0.0 {
                // The last bucket has no end: its begin is all that is known.
                return Some(if end.is_finite() { low + (end - low) * (share * total - below) / count } else { low });
            }
            below += count;
            low = *end;
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_telemetry::Metrics;

    #[test]
    fn quantiles_come_from_the_metrics_as_they_are_shown() {
        let metrics = Metrics::new();
        let histogram = metrics.histogram(SERVING_REQUEST_SECONDS);
        for _ in 0..90 {
            histogram.observe(&[("deployment", "d"), ("version", "1")], 0.003);
        }
        let before = Buckets::of(&metrics.render());
        for _ in 0..10 {
            histogram.observe(&[("deployment", "d"), ("version", "2")], 0.1);
        }
        let all = Buckets::of(&metrics.render());
        assert_eq!(all.total() as u64, 100);
        let median = all.quantile(0.5).unwrap();
        assert!((0.002..=0.004).contains(&median), "{median}");
        assert!(all.quantile(0.99).unwrap() > 0.06);
        let new = all.since(&before);
        assert_eq!(Latency::of(&new).unwrap().requests, 10);
        assert!(new.quantile(0.5).unwrap() > 0.06);
        assert_eq!(Latency::of(&all.since(&all)), None);
    }
}
