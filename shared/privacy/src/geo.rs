//! Positions on the earth.

use crate::value::Value;

/// A pair of numbers within the ranges of latitude and longitude, as precise as a house: four decimals.
pub(crate) fn is_position(value: &Value<'_>) -> bool {
    let text = value.text.trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    let text = text.strip_prefix("POINT(").or_else(|| text.strip_prefix("POINT (")).unwrap_or(text);
    let mut parts = text.split([',', ';', ' ']).filter(|part| !part.is_empty());
    let (Some(a), Some(b), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let precise = |text: &str| text.split_once('.').is_some_and(|(_, decimals)| decimals.len() >= 4);
    let within = |text: &str, limit: f64| text.parse::<f64>().is_ok_and(|x| x.abs() <= limit);
    precise(a) && precise(b) && within(a, 180.0) && within(b, 180.0) && (within(a, 90.0) || within(b, 90.0))
}

/// One number within the range of a longitude, with three decimals at least: closer than a town.
pub(crate) fn may_be_position(value: &Value<'_>) -> bool {
    let precise = value.text.split_once('.').is_some_and(|(_, decimals)| decimals.len() >= 3);
    is_position(value) || precise && value.text.parse::<f64>().is_ok_and(|x| x.abs() <= 180.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_precise_numbers_are_positions() {
        let is = |text: &str| Value::new(text).is_some_and(|value| is_position(&value));
        assert!(is("52.520008, 13.404954") && is("POINT(13.4049 52.5200)") && is("(-33.8688,151.2093)"));
        assert!(!is("52.5, 13.4") && !is("200.00001, 13.40000") && !is("1.00001") && !is("a, b"));
    }
}
