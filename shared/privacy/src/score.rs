//! From votes and words to a probability.
//!
//! The votes of the values are a Bayes factor: how much more probable is the number of matches if the column is of the
//! class (a mixture of match rates) than if it is something else (the rate by which other data match by chance). Name
//! and neighbours add weights of evidence. The sum is a logit; `CALIBRATION` maps it to a probability.

/// Least confidence at which a column is suspicious. On the development part of the generated set any value between 0.4
/// and 0.7 gives the same columns; 0.5 is where a wrong alarm costs as much as a miss.
pub const THRESHOLD: f64 = 0.5;

/// Logit of the share of columns that are of one certain class.
const PRIOR: f64 = -4.0;
/// A name that says the class, when the values do not contradict.
const NAME_STRONG: f64 = 5.5;
/// A name that is also used for other things.
const NAME_WEAK: f64 = 2.0;
/// A name of something else.
const NAME_AGAINST: f64 = -4.0;
/// What points at a person only beside a person, without one.
const ALONE: f64 = -3.0;
/// Largest weight of votes that chance could have cast: below the prior, so that they do not decide alone.
const CHANCE: f64 = 3.0;
/// Votes must be this improbable by chance to decide alone.
const IMPROBABLE: f64 = 1e-6;

/// How the values of a class vote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Votes {
    /// Distinct values that match.
    pub(crate) matching: usize,
    /// Distinct values looked at.
    pub(crate) all: usize,
    /// Share of other data that match by chance.
    pub(crate) chance: f64,
    /// Match rates among columns of the class.
    pub(crate) rates: &'static [f64],
    /// Largest weight.
    pub(crate) cap: f64,
}

#[expect(clippy::cast_precision_loss, reason = "samples are small")]
impl Votes {
    /// Weight of evidence of the votes.
    pub(crate) fn weight(&self) -> f64 {
        if self.all == 0 {
            return 0.0;
        }
        let (matching, other) = (self.matching as f64, (self.all - self.matching.min(self.all)) as f64);
        let factors = self
            .rates
            .iter()
            .map(|rate| matching * (rate / self.chance).ln() + other * ((1.0 - rate) / (1.0 - self.chance)).ln());
        let factors: Vec<f64> = factors.collect();
        let largest = factors.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = factors.iter().map(|factor| (factor - largest).exp()).sum::<f64>() / factors.len() as f64;
        let decides = matching * self.chance.ln() <= IMPROBABLE.ln();
        (largest + mean.ln()).clamp(-4.0, if decides { self.cap } else { self.cap.min(CHANCE) })
    }
}

/// What the name says, with how well the values fit it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NameWeight {
    /// Says the class; the share of values that can be of it.
    Strong(f64),
    /// May say it; the same.
    Weak(f64),
    /// Says something else.
    Against,
    /// Says nothing.
    Silent,
}

/// The logit of a class.
pub(crate) fn logit(votes: f64, name: NameWeight, alone: bool) -> f64 {
    let (name, votes) = match name {
        // Values that do not match a list can still be names: absence from a list weighs little against a clear name.
        NameWeight::Strong(fit) if fit >= 0.5 => (NAME_STRONG * fit, votes.max(-1.0)),
        // A name that is used for other things too and votes that chance could have cast do not add up to a verdict.
        NameWeight::Weak(fit) if fit >= 0.5 => (NAME_WEAK, if votes > CHANCE { votes } else { votes.min(1.0) }),
        NameWeight::Strong(_) | NameWeight::Weak(_) | NameWeight::Silent => (0.0, votes),
        NameWeight::Against => (NAME_AGAINST, votes),
    };
    PRIOR + votes + name + if alone { ALONE } else { 0.0 }
}

/// Logits and the share of columns that were personal there: a monotone map through the frequencies of the development
/// part of the generated set, with and without names of columns. It passes through 0.5 at 0, so that it moves no decision.
const CALIBRATION: [(f64, f64); 7] =
    [(-9.0, 0.0), (-6.0, 0.01), (-2.0, 0.1), (0.0, 0.5), (0.6, 0.9), (4.0, 0.98), (9.0, 0.999)];

/// The probability of a logit.
pub(crate) fn confidence(logit: f64) -> f64 {
    let within = |pair: &&[(f64, f64)]| matches!(pair, [_, (high, _)] if logit <= *high);
    match CALIBRATION.windows(2).find(within) {
        Some([(x0, y0), (x1, y1)]) => y0 + (y1 - y0) * ((logit - x0) / (x1 - x0)).max(0.0),
        _ => 0.999,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(matching: usize, all: usize, chance: f64) -> f64 {
        Votes { matching, all, chance, rates: &[0.95, 0.7, 0.4], cap: 8.0 }.weight()
    }

    #[test]
    fn a_tenth_of_random_numbers_passes_and_does_not_convince() {
        assert!(weight(20, 200, 0.1) < -3.0);
        assert!(weight(200, 200, 0.1) > 7.9);
        assert!(weight(90, 200, 0.1) > 7.9);
    }

    #[test]
    fn few_values_do_not_decide_where_chance_could_have_cast_them() {
        assert!(weight(3, 3, 0.1) <= CHANCE && weight(6, 6, 0.1) > CHANCE);
        assert!(weight(2, 2, 0.001) > CHANCE);
        assert!(logit(weight(3, 3, 0.1), NameWeight::Silent, false) < 0.0);
    }

    #[test]
    fn confidence_grows_with_the_evidence() {
        let all: Vec<f64> = [-6.0, -1.0, 0.0, 2.0, 6.0].map(confidence).to_vec();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]) && all[0] > 0.0 && all[4] < 1.0);
        assert!((confidence(0.0) - THRESHOLD).abs() < 1e-12);
        assert_eq!((confidence(f64::NEG_INFINITY), confidence(50.0)), (0.0, 0.999));
    }
}
