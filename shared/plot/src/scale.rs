//! Linear scales with round ticks.

/// A range of values mapped to a range of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale over `low..=high`; an empty range is opened by one so that its value lands in the middle, but nothing
    /// but zeros lies at the bottom, since they are mostly counts.
    pub(crate) fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        let (low, high) = if high > low {
            (low, high)
        } else if low == 0.0 {
            (0.0, 1.0)
        } else {
            (low - 0.5, low + 0.5)
        };
        Self { low, high, from, to }
    }

    /// A scale over all finite values, none if there are none.
    pub(crate) fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let bounds = values.filter(|v| v.is_finite()).fold(None, |bounds: Option<(f64, f64)>, v| {
            Some(bounds.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
        });
        bounds.map(|(low, high)| Self::new(low, high, from, to))
    }

    /// The same scale with room at both ends, as a share of its range.
    pub(crate) fn widened(self, share: f64) -> Self {
        let room = share * (self.high - self.low);
        Self { low: self.low - room, high: self.high + room, ..self }
    }

    pub(crate) fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About five round numbers (1, 2 or 5 times a power of ten apart) inside the range.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|s| s * power).find(|s| *s >= rough).unwrap_or(rough);
        let (first, last) = ((self.low / step).ceil(), (self.high / step + 1e-9).floor());
        // Steps lost in the rounding of huge values would repeat one tick for ever.
        let count = (last - first).clamp(0.0, 10.0) as u32;
        (0..=count).map(|i| (first + f64::from(i)) * step).collect()
    }
}

/// A number in as few characters as it takes to tell ticks apart.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if value.abs() >= 1e6 || value.abs() < 1e-3 {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Scale::new(0.0, 1.0, 0.0, 100.0).ticks().len(), 6);
        for (low, high) in [(-3.0, 17.5), (0.001, 0.0042), (1e9, 3e9), (5.0, 5.0), (1e17, 1e17)] {
            let scale = Scale::new(low, high, 0.0, 1.0);
            let ticks = scale.ticks();
            assert!(ticks.len() <= 11, "{ticks:?}");
            let slack = 1e-6 * (scale.high - scale.low);
            assert!(ticks.iter().all(|t| !t.is_finite() || *t >= scale.low - slack), "{ticks:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.2, 0.25, 1500.0, 2_500_000.0, 0.000_04].map(number);
        assert_eq!(texts, ["0", "0.2", "0.25", "1500", "2.5e6", "4.0e-5"]);
    }
}
