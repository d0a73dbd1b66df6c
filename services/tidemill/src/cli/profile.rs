//! `dataset profile`: what one should know about a file or a table before using it.
//!
//! A file is read once, without any instance. Of a table of an instance the profiles that validation stored with every
//! commit are merged, so that any range of versions costs the same; what needs rows is worked out from a bounded number
//! that is drawn from the newest version. Ranges of event time and segments are merges as well, of what was stored by
//! window and segment.

mod file;
mod ranged;
mod shown;
mod stored;

use super::output::{Output, next, say};
use super::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidemill_explore::report::{self, Context};
use tidemill_explore::{Exploration, Options, Range, ScanOptions};
use tidemill_stats::Segment;
use tidemill_types::Millis;

pub(super) const EXAMPLES: &str = "\
Examples:
  tidemill dataset profile rows.parquet
  tidemill dataset profile rows.csv --report profile.html
  tidemill dataset profile credit.parquet --by default --values education=1,2,3,4
  tidemill dataset profile clean/flights/weather --since 2013-06-01 --until 2013-07-01
  tidemill dataset profile clean/flights/weather --from 2013-01-01 --to 2013-02-01 --segment origin=JFK
Files: .parquet, .csv, .jsonl or .ndjson, .arrow or .feather. Of a table the stored profiles are merged, and rows are
drawn for relations, gaps and tests; with a range, profiles alone are looked at. --since and --until mean instants of
knowledge or versions of the raw table: which commits. --from and --to mean event time: which rows, in whole days (UTC),
or in whole months or years where one commit brought many of them. Segments are kept for the columns that the project
names under sources.*.segments.";

/// What to profile, and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ProfileArgs {
    /// A file, or a clean table as `dataset ls` shows it.
    #[arg(value_name = "FILE|TABLE")]
    what: String,
    /// Also write the report: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Compare all columns by this one; without it, by every column of few values.
    #[arg(long, value_name = "COLUMN")]
    by: Option<String>,
    /// Time column of the series; without it, the first one.
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Values that a column may have, such as education=1,2,3,4; repeatable.
    #[arg(long = "values", value_name = "COLUMN=A,B", value_parser = documented)]
    values: Vec<(String, Vec<String>)>,
    /// Of a file: also show values of columns that look personal.
    #[arg(long)]
    unmask: bool,
    /// Rows of the sample for relations, tests and patterns.
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    sample: u64,
    /// Which rows are sampled.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads that read; without it, as many as there are processors.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Of a table: commits that brought knowledge from here on, as instant or raw version.
    #[arg(long, value_name = "INSTANT|VERSION", value_parser = bound)]
    since: Option<Bound>,
    /// Of a table: commits before this instant, or up to this raw version.
    #[arg(long, value_name = "INSTANT|VERSION", value_parser = bound)]
    until: Option<Bound>,
    /// Of a table: rows whose event time is from here on.
    #[arg(long, value_name = "INSTANT", value_parser = super::instant, conflicts_with_all = ["since", "until"])]
    from: Option<Millis>,
    /// Of a table: rows whose event time is before this instant.
    #[arg(long, value_name = "INSTANT", value_parser = super::instant, conflicts_with_all = ["since", "until"])]
    to: Option<Millis>,
    /// Of a table: rows with this value of a segment column, such as origin=JFK; (null): without, (others): rare ones.
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = one_segment, conflicts_with_all = ["since", "until"])]
    segment: Option<(String, Segment)>,
}

/// One end of a range of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// An instant of knowledge.
    At(Millis),
    /// A version of the raw table.
    Version(i64),
}

fn bound(text: &str) -> std::result::Result<Bound, String> {
    text.parse().map(Bound::Version).or_else(|_| super::instant(text).map(Bound::At))
}

fn one_segment(text: &str) -> std::result::Result<(String, Segment), String> {
    let (column, value) = text.split_once('=').ok_or_else(|| format!("\"{text}\": expected COLUMN=VALUE"))?;
    Ok((column.to_owned(), Segment::parse(value)))
}

fn documented(text: &str) -> std::result::Result<(String, Vec<String>), String> {
    let (column, values) = text.split_once('=').ok_or_else(|| format!("\"{text}\": expected COLUMN=A,B,C"))?;
    Ok((column.to_owned(), values.split(',').map(|value| value.trim().to_owned()).collect()))
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, args: ProfileArgs) -> Result<u8> {
    let path = Path::new(&args.what).to_owned();
    let is_table = !path.is_file() && stored::is_table(&args.what);
    let (found, context) = match is_table {
        true if args.unmask => {
            return Err(Error::Usage("--unmask is for files: of a table no personal value is kept".to_owned()));
        }
        true => stored::profile(target, &args).await?,
        false => {
            if args.since.is_some() || args.until.is_some() || args.is_by_event_time() {
                let text = "--since, --until, --from, --to and --segment are for tables of an instance, not for files";
                return Err(Error::Usage(text.to_owned()));
            }
            let (scan, options) = (args.scan(), args.options());
            // Decoding and sorting keep a thread busy.
            let work = tokio::task::spawn_blocking(move || file::profile(&path, &scan, &options));
            work.await.map_err(|e| Error::Story(e.into()))??
        }
    };
    shown::show(out, &found, &context)?;
    let hidden: Vec<&str> = found.columns.iter().filter(|column| column.withheld).map(|column| &*column.name).collect();
    if !hidden.is_empty() {
        say(&format!("personal, so that no value is shown: {}", hidden.join(", ")));
    }
    match &args.report {
        Some(file) => write(file, &found, &context)?,
        None => next(&format!("tidemill dataset profile {} --report profile.html", args.what)),
    }
    Ok(0)
}

fn write(file: &Path, found: &Exploration, context: &Context) -> Result<()> {
    let page = report::page(found, context);
    std::fs::write(file, &page).map_err(Error::file("write", file))?;
    say(&format!("report: {} ({} kB, opens in any browser)", file.display(), page.len() / 1_000));
    Ok(())
}

impl ProfileArgs {
    fn is_by_event_time(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.segment.is_some()
    }

    fn range(&self) -> Range {
        Range { from: self.from, to: self.to, segment: self.segment.clone() }
    }

    fn scan(&self) -> ScanOptions {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        ScanOptions { sample_rows: self.sample, seed: self.seed, threads: self.threads.unwrap_or(all) }
    }

    fn options(&self) -> Options {
        let documented: BTreeMap<String, Vec<String>> = self.values.iter().cloned().collect();
        Options {
            seed: self.seed,
            target: self.by.clone(),
            time: self.time.clone(),
            documented,
            unmask: self.unmask,
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_a_range_are_versions_or_instants() {
        assert_eq!(bound("12").unwrap(), Bound::Version(12));
        assert_eq!(bound("1970-01-02").unwrap(), Bound::At(Millis(86_400_000)));
        assert!(bound("soon").is_err());
        let meter = |segment| ("meter".to_owned(), segment);
        assert_eq!(one_segment("meter=a=b").unwrap(), meter(Segment::Value("a=b".to_owned())));
        assert_eq!(one_segment("meter=(null)").unwrap(), meter(Segment::Null));
        assert!(one_segment("meter").is_err());
        assert_eq!(documented("a=1, 2").unwrap(), ("a".to_owned(), vec!["1".to_owned(), "2".to_owned()]));
    }
}
