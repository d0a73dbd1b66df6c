//! Reading a rule: its kind is the one key that is none of the common ones.

use super::kinds::{Check, KEYS};
use super::{Rule, Severity};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::fmt;

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule: {id, one kind of check, when, mostly, on_fail}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rule, A::Error> {
        let (mut id, mut check, mut when, mut mostly, mut on_fail) = (None, None, None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => once(&mut id, map.next_value::<String>()?, "id")?,
                "when" => once(&mut when, map.next_value::<Option<String>>()?, "when")?,
                "mostly" => once(&mut mostly, map.next_value::<Option<f64>>()?, "mostly")?,
                "on_fail" => once(&mut on_fail, map.next_value::<Severity>()?, "on_fail")?,
                kind => {
                    let found = Check::read(kind, &mut map)?.ok_or_else(|| A::Error::unknown_field(kind, KEYS))?;
                    if let Some(first) = &check {
                        return Err(both(first, &found));
                    }
                    check = Some(found);
                }
            }
        }
        Ok(Rule {
            id: id.ok_or_else(|| A::Error::missing_field("id"))?,
            check: check.ok_or_else(|| A::Error::custom("a rule has exactly one check, such as not_null or range"))?,
            when: when.flatten(),
            mostly: mostly.flatten(),
            on_fail: on_fail.unwrap_or_default(),
        })
    }
}

fn once<T, E: Error>(place: &mut Option<T>, value: T, key: &'static str) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(key)),
    }
}

fn both<E: Error>(first: &Check, second: &Check) -> E {
    let (first, second) = (first.kind().key, second.kind().key);
    E::custom(format!("a rule has exactly one check, this has `{first}` and `{second}`: write two rules"))
}
