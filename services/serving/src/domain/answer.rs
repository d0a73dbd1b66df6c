//! What a request is answered: scores with everything needed to trace them.

use super::tensor::{Datatype, Tensor, Values};
use crate::error::Error;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Output tensors of every model, each of shape `[N]`.
pub const OUTPUTS: [(&str, Datatype); 4] = [
    ("score", Datatype::Fp64),
    ("alerted", Datatype::Bool),
    ("prediction_id", Datatype::Bytes),
    ("status", Datatype::Bytes),
];

/// Features were found for the entity, or came with the request.
pub const PRESENT: &str = "present";

/// Answers to the rows of one request, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Digest of the bundle that answered.
    pub model: String,
    /// Route that was taken.
    pub variant: &'static str,
    /// Trace of the request, 32 hexadecimal characters.
    pub trace_id: Option<String>,
    /// Digest of the feature plan; empty when the features came with the request.
    pub plan_digest: String,
    /// Age of the newest row used at the instant of the prediction, by source, in seconds.
    pub feature_ages_s: BTreeMap<String, f64>,
    /// Probabilities; `None` where no features could be had (see the status).
    pub scores: Vec<Option<f64>>,
    /// Whether the score reached the model's threshold.
    pub alerted: Vec<bool>,
    /// Ids of the predictions, under which outcomes and explanations are found.
    pub prediction_ids: Vec<String>,
    /// `present`, `unknown_entity` or `outside_lookback`.
    pub statuses: Vec<String>,
}

/// A value of a response parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
}

impl Answer {
    /// Scores that exist are those of rows whose features could be had; an absent score alerts nobody.
    #[must_use]
    pub fn decide(scores: Vec<f64>, statuses: &[String], threshold: f64) -> (Vec<Option<f64>>, Vec<bool>) {
        let known =
            scores.into_iter().zip(statuses).map(|(s, status)| (status == PRESENT && s.is_finite()).then_some(s));
        let known: Vec<_> = known.collect();
        let alerted = known.iter().map(|s| s.is_some_and(|s| s >= threshold)).collect();
        (known, alerted)
    }

    /// The output tensors asked for, in the order asked; all when none is named. An absent score is NaN.
    ///
    /// # Errors
    /// An output that does not exist.
    pub fn outputs(&self, requested: &[String]) -> Result<Vec<Tensor>, Error> {
        if requested.is_empty() {
            return OUTPUTS.iter().map(|(name, _)| self.output(name)).collect();
        }
        requested.iter().map(|name| self.output(name)).collect()
    }

    fn output(&self, name: &str) -> Result<Tensor, Error> {
        let texts = |v: &[String]| Values::Bytes(v.iter().map(|t| Bytes::copy_from_slice(t.as_bytes())).collect());
        let values = match name {
            "score" => Values::Float(self.scores.iter().map(|s| s.unwrap_or(f64::NAN)).collect()),
            "alerted" => Values::Bool(self.alerted.clone()),
            "prediction_id" => texts(&self.prediction_ids),
            "status" => texts(&self.statuses),
            _ => {
                let known: Vec<_> = OUTPUTS.iter().map(|(n, _)| *n).collect();
                return Err(Error::BadRequest(format!("output \"{name}\" is none of {}", known.join(", "))));
            }
        };
        let datatype = OUTPUTS.iter().find(|(n, _)| *n == name).map_or(Datatype::Bytes, |(_, d)| *d);
        Ok(Tensor::column(name, datatype, values))
    }

    /// The source whose newest row was the oldest, with its age in seconds; of ages that are equal, the first by name.
    #[must_use]
    pub fn oldest_input(&self) -> Option<(&str, f64)> {
        let ages = self.feature_ages_s.iter().rev();
        ages.max_by(|a, b| a.1.total_cmp(b.1)).map(|(source, age)| (source.as_str(), *age))
    }

    /// Response parameters: `model_digest`, `variant`, `trace_id`, `plan_digest` and `feature_age_s.<source>`.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, Parameter> {
        let mut parameters = BTreeMap::from([
            ("model_digest".to_owned(), Parameter::Text(self.model.clone())),
            ("variant".to_owned(), Parameter::Text(self.variant.to_owned())),
        ]);
        if let Some(trace_id) = &self.trace_id {
            parameters.insert("trace_id".to_owned(), Parameter::Text(trace_id.clone()));
        }
        if !self.plan_digest.is_empty() {
            parameters.insert("plan_digest".to_owned(), Parameter::Text(self.plan_digest.clone()));
        }
        for (source, age) in &self.feature_ages_s {
            parameters.insert(format!("feature_age_s.{source}"), Parameter::Number(*age));
        }
        parameters
    }
}

/// Ages at `as_of_ms` of the newest rows known per source, in seconds.
#[must_use]
pub fn ages_s(newest_known_ms: impl IntoIterator<Item = (String, i64)>, as_of_ms: i64) -> BTreeMap<String, f64> {
    #[expect(clippy::cast_precision_loss, reason = "ages are far below 2^53 ms")]
    let age = |known: i64| as_of_ms.saturating_sub(known) as f64 / 1_000.0;
    newest_known_ms.into_iter().map(|(source, known)| (source, age(known))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn answer() -> Answer {
        let statuses = vec![PRESENT.to_owned(), "unknown_entity".to_owned(), PRESENT.to_owned()];
        let (scores, alerted) = Answer::decide(vec![0.5, 0.9, 0.2], &statuses, 0.5);
        Answer {
            model: "m".into(),
            variant: "champion",
            trace_id: None,
            plan_digest: String::new(),
            feature_ages_s: ages_s([("weather".to_owned(), 1_000)], 3_500),
            scores,
            alerted,
            prediction_ids: vec!["a".into(), "b".into(), "c".into()],
            statuses,
        }
    }

    #[test]
    fn the_threshold_itself_alerts_and_the_unknown_never() {
        let answer = answer();
        assert_eq!(answer.scores, [Some(0.5), None, Some(0.2)]);
        assert_eq!(answer.alerted, [true, false, false]);
    }

    #[test]
    fn outputs_come_in_the_order_asked() {
        let names = |requested: &[&str]| {
            let requested: Vec<_> = requested.iter().map(|r| (*r).to_owned()).collect();
            answer().outputs(&requested).map(|o| o.into_iter().map(|t| t.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["status", "score"]).unwrap(), ["status", "score"]);
        assert_eq!(names(&[]).unwrap().len(), OUTPUTS.len());
        assert!(names(&["scores"]).is_err());
    }

    #[test]
    fn the_oldest_input_is_named_with_its_age() {
        let known = [("flights", 3_000), ("airports", 1_000), ("weather", 1_000)];
        let ages = ages_s(known.map(|(source, at)| (source.to_owned(), at)), 3_500);
        assert_eq!(Answer { feature_ages_s: ages, ..answer() }.oldest_input(), Some(("airports", 2.5)));
        assert_eq!(Answer { feature_ages_s: BTreeMap::new(), ..answer() }.oldest_input(), None);
    }

    #[test]
    fn ages_are_told_in_seconds() {
        assert_eq!(answer().parameters().get("feature_age_s.weather"), Some(&Parameter::Number(2.5)));
    }
}
