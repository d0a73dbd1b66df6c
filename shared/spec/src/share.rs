//! What is shared with whom: rows and columns of sources that partners may read, and for what purpose.
//!
//! Nothing is shared that this section does not name. Columns with personal data are left out unless a share says that
//! it holds them.

use crate::model::{Source, Spec};
use crate::parse::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_expr::Compiled;
use tidemill_types::{Millis, SourceName};

/// A dataset that is offered to partners: the clean rows of a source, or some of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The source whose clean rows are shared.
    pub source: SourceName,
    /// What the rows may be used for; stands in every manifest.
    pub purpose: String,
    /// Columns that are shared, in this order; absent: all declared ones, but for personal data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Only rows for which this expression is true are shared. It may read columns that are not.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether columns with personal data are shared too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
    /// Who may read it, by name; each may be given less than the share.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partners: BTreeMap<String, Partner>,
}

/// What one partner gets of a share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Partner {
    /// Columns of the share; absent: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Only rows for which this is true, beside what the share says.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// First instant at which nothing is given any more, in RFC 3339; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Partner {
    /// Whether something is given at an instant.
    #[must_use]
    pub fn may_read_at(&self, now: Millis) -> bool {
        self.until.as_deref().is_none_or(|until| Millis::parse(until).is_some_and(|until| now < until))
    }
}

impl Share {
    /// Names of the columns that a partner gets, in the order of the share.
    #[must_use]
    pub fn columns_for(&self, source: &Source, partner: &Partner) -> Vec<String> {
        let offered: Vec<String> = match self.columns.as_slice() {
            [] => source.columns.keys().filter(|name| self.personal || !is_personal(source, name)).cloned().collect(),
            named => named.to_vec(),
        };
        offered.into_iter().filter(|name| partner.columns.is_empty() || partner.columns.contains(name)).collect()
    }

    /// Conditions on the rows that a partner gets.
    pub fn conditions<'a>(&'a self, partner: &'a Partner) -> impl Iterator<Item = &'a str> {
        self.filter.as_deref().into_iter().chain(partner.filter.as_deref())
    }
}

fn is_personal(source: &Source, name: &str) -> bool {
    source.columns.get(name).and_then(|column| column.pii?.class()).is_some()
}

/// Path below `share`, message, mend.
pub(crate) type Problem = (String, String, Option<String>);

/// What does not make sense in the shares of a project.
pub(crate) fn problems(spec: &Spec) -> Vec<Problem> {
    spec.share.iter().flat_map(|(name, share)| of_share(spec, name, share)).collect()
}

fn of_share(spec: &Spec, name: &str, share: &Share) -> Vec<Problem> {
    let mut found: Vec<Problem> = Vec::new();
    let mut add = |path: &str, message: String, mend: Option<String>| {
        found.push((format!("{name}{path}"), message, mend));
    };
    if !is_name(name) {
        add("", NAMED.to_owned(), None);
    }
    if share.purpose.trim().is_empty() {
        add(".purpose", "must say what the rows may be used for".to_owned(), None);
    }
    let Some(source) = spec.sources.get(&share.source) else {
        let known = spec.sources.keys().map(SourceName::as_str);
        add(".source", format!("there is no source \"{}\"", share.source), nearest(share.source.as_str(), known));
        return found;
    };
    for column in &share.columns {
        if !source.columns.contains_key(column) {
            let mend = nearest(column, source.columns.keys().map(String::as_str));
            add(".columns", format!("there is no column \"{column}\""), mend);
        } else if is_personal(source, column) && !share.personal {
            let mend = Some("leave it out, or write personal: true".to_owned());
            add(".columns", format!("{column} holds personal data"), mend);
        }
    }
    let offered = share.columns_for(source, &Partner::default());
    let schema = source.declared_schema();
    let condition = |text: &str| match Compiled::new(text, &schema) {
        Ok(compiled) if compiled.data_type() == &arrow::datatypes::DataType::Boolean => None,
        Ok(compiled) => Some(format!("\"{text}\" is {}, not a condition", compiled.data_type())),
        Err(error) => Some(error.to_string()),
    };
    if let Some(message) = share.filter.as_deref().and_then(condition) {
        add(".where", message, None);
    }
    for (partner, gets) in &share.partners {
        if !is_name(partner) {
            add(&format!(".partners.{partner}"), NAMED.to_owned(), None);
        }
        for column in gets.columns.iter().filter(|column| !offered.contains(column)) {
            let mend = nearest(column, offered.iter().map(String::as_str));
            add(&format!(".partners.{partner}.columns"), format!("the share has no column \"{column}\""), mend);
        }
        if let Some(message) = gets.filter.as_deref().and_then(condition) {
            add(&format!(".partners.{partner}.where"), message, None);
        }
        if gets.until.as_deref().is_some_and(|until| Millis::parse(until).is_none()) {
            let mend = Some("for example \"2027-01-01T00:00:00Z\"".to_owned());
            add(&format!(".partners.{partner}.until"), "is no instant".to_owned(), mend);
        }
    }
    found
}

const NAMED: &str = "names consist of 1 to 64 letters, digits, _ and -";

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const PENGUINS: &str = include_str!("../../../infra/examples/penguins/project.yaml");

    fn with(share: &str) -> String {
        format!("{PENGUINS}\nshare:\n  study:\n    source: {}\n    purpose: joint study\n{share}", source())
    }

    fn source() -> SourceName {
        Spec::parse(PENGUINS).unwrap().sources.keys().next().unwrap().clone()
    }

    fn refused(share: &str) -> String {
        Spec::parse(&with(share)).unwrap_err().to_string()
    }

    #[test]
    fn a_partner_gets_the_share_or_less_of_it_and_only_for_a_time() {
        let spec = Spec::parse(&with(
            "    columns: [species, sex]\n    where: species is not null\n    partners:\n      acme: {}\n      zeta: {columns: [sex], where: \"sex = 'male'\", until: \"2027-01-01T00:00:00Z\"}\n",
        ));
        let spec = spec.unwrap_or_else(|e| panic!("{e}"));
        let (share, source) = (&spec.share["study"], &spec.sources[&source()]);
        let (acme, zeta) = (&share.partners["acme"], &share.partners["zeta"]);
        assert_eq!(share.columns_for(source, acme), ["species", "sex"]);
        assert_eq!(share.columns_for(source, zeta), ["sex"]);
        assert_eq!(share.conditions(zeta).collect::<Vec<_>>(), ["species is not null", "sex = 'male'"]);
        assert!(acme.may_read_at(Millis::MAX));
        assert!(zeta.may_read_at(Millis(0)) && !zeta.may_read_at(Millis::parse("2027-01-01T00:00:00Z").unwrap()));
        // Saying nothing is what it was before this section existed.
        assert!(!serde_json::to_string(&Spec::parse(PENGUINS).unwrap()).unwrap().contains("share"));
    }

    #[test]
    fn personal_data_is_shared_only_where_the_share_says_so() {
        let personal =
            |share: &str| with(share).replace("species: {type: string", "species: {type: string, pii: person_name");
        let spec = Spec::parse(&personal("")).unwrap_or_else(|e| panic!("{e}"));
        let everything = spec.share["study"].columns_for(&spec.sources[&source()], &Partner::default());
        assert!(!everything.contains(&"species".to_owned()) && everything.contains(&"sex".to_owned()));
        let error = Spec::parse(&personal("    columns: [species]\n")).unwrap_err().to_string();
        assert!(error.contains("species holds personal data") && error.contains("personal: true"), "{error}");
        assert!(Spec::parse(&personal("    columns: [species]\n    personal: true\n")).is_ok());
    }

    #[test]
    fn what_does_not_make_sense_is_named_with_its_path() {
        for (share, path, said) in [
            ("    columns: [specie]\n", "share.study.columns", "there is no column"),
            ("    where: species\n", "share.study.where", "not a condition"),
            ("    partners: {a b: {}}\n", "share.study.partners.a b", "letters, digits"),
            (
                "    columns: [sex]\n    partners: {a: {columns: [species]}}\n",
                "share.study.partners.a.columns",
                "no column",
            ),
            ("    partners: {a: {until: tomorrow}}\n", "share.study.partners.a.until", "no instant"),
        ] {
            let error = refused(share);
            assert!(error.contains(path) && error.contains(said), "{error}");
        }
    }
}
