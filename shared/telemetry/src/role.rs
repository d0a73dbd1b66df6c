//! To which role a span belongs, also where several roles share a process.
//!
//! The target of a span names the crate that opened it; for the crate of a role this is the role. Spans of shared
//! crates say it in the attribute [`ROLE`], or belong to the process.

use opentelemetry_sdk::trace::SpanData;

/// Attribute by which a span names its role, without the prefix `tidemill-`.
pub const ROLE: &str = "tidemill.role";
// Set by the tracing layer on each span.
const TARGET: &str = "target";
const PREFIX: &str = "tidemill";

/// The roles of the program, and the name of what belongs to none.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    /// Name of the process.
    pub(crate) process: String,
    /// Names of the roles.
    pub(crate) known: Vec<&'static str>,
}

impl Roles {
    /// The `service.name` of a span; takes from the span the attributes that said so.
    pub(crate) fn take(&self, span: &mut SpanData) -> String {
        let mut named = None;
        let mut target = None;
        span.attributes.retain(|pair| match pair.key.as_str() {
            ROLE => {
                named = self.known(&pair.value.as_str());
                false
            }
            TARGET => {
                target = self.of_target(&pair.value.as_str());
                false
            }
            _ => true,
        });
        let role = named.or(target);
        role.map_or_else(|| self.process.clone(), |role| format!("{PREFIX}-{role}"))
    }

    /// Every name that [`Roles::take`] may give.
    pub(crate) fn names(&self) -> Vec<String> {
        let roles = self.known.iter().map(|role| format!("{PREFIX}-{role}"));
        std::iter::once(self.process.clone()).chain(roles).collect()
    }

    fn known(&self, name: &str) -> Option<&'static str> {
        self.known.iter().copied().find(|known| *known == name)
    }

    /// `tidemill_serving::infer` is of the role `serving`.
    fn of_target(&self, target: &str) -> Option<&'static str> {
        let package = target.split("::").next().unwrap_or(target);
        self.known(package.strip_prefix(PREFIX)?.strip_prefix('_')?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_of_a_role_is_the_role() {
        let roles = Roles { process: "tidemill".to_owned(), known: vec!["serving", "feature"] };
        assert_eq!(roles.of_target("tidemill_serving::infer"), Some("serving"));
        assert_eq!(roles.of_target("tidemill_feature"), Some("feature"));
        assert_eq!(roles.of_target("tidemill_features::replay"), None);
        assert_eq!(roles.of_target("other_serving"), None);
    }
}
