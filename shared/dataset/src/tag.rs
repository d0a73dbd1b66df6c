//! Tags: immutable names for versions of tables, with the quality they had.
//!
//! A tag is one object, written once: `tags/<project>/<name>.json`. Of two who give the same name, one wins and the
//! other is told. A tag that is no longer needed is dropped by a second object beside it, so that its name is never
//! given again and the record of it stays.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use tidemill_storage::Storage;
use tidemill_types::{Digest, Millis, ProjectName};

/// Longest name.
const MOST_CHARACTERS: usize = 64;
const DROPPED: &str = ".dropped.json";

/// A name for versions of tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// The name, unique in its project for good.
    pub name: String,
    /// The project.
    pub project: ProjectName,
    /// When it was given.
    pub at: Millis,
    /// Who gave it.
    pub by: String,
    /// What it is for.
    pub note: String,
    /// What it stands for.
    pub tables: Vec<TaggedTable>,
    /// What processed the data; none in tags from before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing: Option<Processing>,
}

/// The version of what turns events into tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processing {
    /// Version of the program that gave the tag.
    pub program: String,
    /// Digest of the project in force, with its decisions and rules; none when no project could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Digest>,
}

/// One table at one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggedTable {
    /// Path of the table.
    pub table: String,
    /// Its version.
    pub version: u64,
    /// When that version was committed.
    pub committed_at: Millis,
    /// Its rows.
    pub rows: u64,
    /// Hash of its content.
    pub content_hash: Digest,
    /// What was known of its quality when the tag was given.
    pub quality: Option<TagQuality>,
}

/// Quality of the rows of a version, over the commits whose reports are stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagQuality {
    /// Total score, 0 to 1: the mean of what is known of accuracy, completeness and consistency over these commits, and
    /// of timeliness at the newest of them. None when nothing is known.
    pub score: Option<f64>,
    /// Rows checked in these commits.
    pub checked: u64,
    /// Rows of them set aside.
    pub quarantined: u64,
    /// Rules that rows of them failed.
    pub failed_rules: Vec<String>,
    /// Number of these commits. 0 in tags from before the whole version was looked at: they tell of the newest commit
    /// alone.
    #[serde(default)]
    pub commits: u64,
}

impl Tag {
    /// Whether both name the same versions with the same content.
    fn names_the_same(&self, other: &Self) -> bool {
        let named = |tag: &Self| -> Vec<(String, u64, Digest)> {
            tag.tables.iter().map(|t| (t.table.clone(), t.version, t.content_hash.clone())).collect()
        };
        named(self) == named(other)
    }

    /// A stored tag with its scores from 0 to 1; those of early ones were from 0 to 100.
    fn in_its_range(mut self) -> Self {
        for quality in self.tables.iter_mut().filter_map(|table| table.quality.as_mut()) {
            if quality.commits == 0 {
                quality.score = quality.score.map(|score| score / 100.0);
            }
        }
        self
    }
}

/// That a tag is no longer needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagDropped {
    /// When.
    pub at: Millis,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// The tags of a project.
#[derive(Clone, Debug)]
pub struct Tags {
    storage: Storage,
    project: ProjectName,
}

impl Tags {
    /// Tags in a store.
    #[must_use]
    pub fn new(storage: &Storage, project: &ProjectName) -> Self {
        Self { storage: storage.clone(), project: project.clone() }
    }

    fn folder(&self) -> String {
        format!("tags/{}", self.project)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}.json", self.folder())
    }

    /// Whether a text can be a tag: letters, digits, `-`, `_` and `.`, beginning with a letter.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        text.len() <= MOST_CHARACTERS
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text.bytes().all(plain)
            && !text.ends_with(".dropped")
            && !text.contains("..")
    }

    /// Gives a tag. The same tag again, but for when and by whom, is taken as given already.
    ///
    /// # Errors
    /// [`Error::TagName`] for a text that is no name, [`Error::TagTaken`] when the name stands for something else.
    pub async fn give(&self, tag: &Tag) -> Result<(), Error> {
        if !Self::is_name(&tag.name) {
            return Err(Error::TagName(tag.name.clone()));
        }
        let text = serde_json::to_vec_pretty(tag).map_err(|e| Error::Encode(e.to_string()))?;
        let written = self.storage.put_if_absent(&self.path(&tag.name), text).await;
        if matches!(written, Ok(true)) {
            return Ok(());
        }
        // What stands there decides, also when the store did not say.
        let found = self.read(&tag.name).await?;
        match (found, written) {
            (Some(found), _) if found.names_the_same(tag) && !self.is_dropped(&tag.name).await? => Ok(()),
            (Some(_), _) => Err(Error::TagTaken(tag.name.clone())),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(_)) => Err(Error::TagTaken(tag.name.clone())),
        }
    }

    /// A tag, dropped or not; `None` when the name was never given.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when its object is damaged.
    pub async fn read(&self, name: &str) -> Result<Option<Tag>, Error> {
        if !Self::is_name(name) {
            return Ok(None);
        }
        Ok(read::<Tag>(&self.storage, &self.path(name)).await?.map(Tag::in_its_range))
    }

    async fn is_dropped(&self, name: &str) -> Result<bool, Error> {
        Ok(self.storage.exists(&format!("{}/{name}{DROPPED}", self.folder())).await?)
    }

    /// All tags by name, each with how it was dropped, if it was.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn all(&self) -> Result<Vec<(Tag, Option<TagDropped>)>, Error> {
        let mut tags = Vec::new();
        for object in self.storage.list(&self.folder()).await? {
            if object.path.ends_with(DROPPED) {
                continue;
            }
            let Some(tag) = read::<Tag>(&self.storage, &object.path).await? else { continue };
            let dropped = read(&self.storage, &format!("{}/{}{DROPPED}", self.folder(), tag.name)).await?;
            tags.push((tag.in_its_range(), dropped));
        }
        Ok(tags)
    }

    /// Says that a tag is no longer needed. Dropping it twice keeps the first reason.
    ///
    /// # Errors
    /// [`Error::NoTag`] when the name was never given.
    pub async fn drop(&self, name: &str, dropped: &TagDropped) -> Result<(), Error> {
        if self.read(name).await?.is_none() {
            return Err(Error::NoTag(name.to_owned()));
        }
        let text = serde_json::to_vec_pretty(dropped).map_err(|e| Error::Encode(e.to_string()))?;
        self.storage.put_if_absent(&format!("{}/{name}{DROPPED}", self.folder()), text).await?;
        Ok(())
    }
}

async fn read<T: serde::de::DeserializeOwned>(storage: &Storage, path: &str) -> Result<Option<T>, Error> {
    match storage.get(path).await {
        Ok(bytes) => {
            let damaged = |e: serde_json::Error| Error::Corrupt { path: path.to_owned(), reason: e.to_string() };
            serde_json::from_slice(&bytes).map(Some).map_err(damaged)
        }
        Err(tidemill_storage::Error::NotFound(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_tag_from_before_is_read_and_its_score_is_in_the_unit_of_today() {
        let hash = "0".repeat(64);
        let stored = format!(
            r#"{{"name":"a","project":"p","at":0,"by":"b","note":"","tables":[{{"table":"clean/p/s","version":3,
            "committed_at":0,"rows":9,"content_hash":"{hash}","quality":{{"score":97.5,"checked":9,"quarantined":1,
            "failed_rules":["r"]}}}}]}}"#
        );
        let read = |text: &str| serde_json::from_str::<Tag>(text).unwrap().in_its_range();
        let tag = read(&stored);
        let quality = tag.tables[0].quality.clone().unwrap();
        assert!((quality.score.unwrap() - 0.975).abs() < 1e-12 && quality.commits == 0 && tag.processing.is_none());
        let mut of_today = tag.clone();
        of_today.tables[0].quality.as_mut().unwrap().commits = 2;
        let again = read(&serde_json::to_string(&of_today).unwrap());
        assert_eq!(again, of_today, "what is stored today is read as it is");
        assert!(again.names_the_same(&tag), "what was known of the quality does not make it another tag");
    }

    #[test]
    fn names_are_plain_and_cannot_leave_the_folder() {
        assert!(Tags::is_name("release-2013.02_b"));
        for bad in ["", "A", "1st", "a/b", "a..b", "../a", "a b", "x.dropped", "é", &"x".repeat(65)] {
            assert!(!Tags::is_name(bad), "{bad}");
        }
    }
}
