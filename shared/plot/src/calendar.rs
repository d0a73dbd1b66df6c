//! Instants on an axis: ticks at round instants of UTC, and their names.

/// An instant, in milliseconds since 1970 (UTC).
pub type AtMillis = i64;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Steps shorter than a month.
const STEPS: [i64; 16] = [
    SECOND,
    5 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
];
/// Steps in months.
const MONTHS: [i64; 5] = [1, 2, 3, 6, 12];
/// The longest month.
const MONTH: i64 = 31 * DAY;
const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// At most `most` round instants in `from..=until`, each with its name.
pub(crate) fn ticks(from: AtMillis, until: AtMillis, most: i64) -> Vec<(AtMillis, String)> {
    let rough = until.saturating_sub(from).max(1) / most.max(1);
    if let Some(step) = STEPS.into_iter().find(|step| *step >= rough) {
        let first = from.div_euclid(step) * step;
        let all = (0..=most + 1).map(|i| first + i * step).filter(|at| (from..=until).contains(at));
        return all.map(|at| (at, name(at, step))).collect();
    }
    let years = rough / (12 * MONTH) + 1;
    let step = MONTHS.into_iter().find(|months| months * MONTH >= rough).unwrap_or(12 * years);
    let (year, month, _) = civil(from.div_euclid(DAY));
    let first = (year * 12 + month - 1).div_euclid(step) * step;
    let all = (0..=most + 1).map(|i| first + i * step).map(|months| {
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
        let text = if month == 0 || step >= 12 { year.to_string() } else { NAMES[month as usize].to_owned() };
        (days(year, month + 1) * DAY, text)
    });
    all.filter(|(at, _)| (from..=until).contains(at)).collect()
}

/// An instant as a person writes it: `2013-02-01` or `2013-02-01 06:15`.
pub(crate) fn written(at: AtMillis) -> String {
    let (year, month, day) = civil(at.div_euclid(DAY));
    let (hour, minute) = (at.rem_euclid(DAY) / HOUR, at.rem_euclid(HOUR) / MINUTE);
    if at.rem_euclid(DAY) == 0 {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

fn name(at: AtMillis, step: i64) -> String {
    let (_, month, day) = civil(at.div_euclid(DAY));
    if step >= DAY || at.rem_euclid(DAY) == 0 {
        return format!("{day} {}", NAMES[(month - 1) as usize]);
    }
    let (hour, minute, second) =
        (at.rem_euclid(DAY) / HOUR, at.rem_euclid(HOUR) / MINUTE, at.rem_euclid(MINUTE) / SECOND);
    if step < MINUTE { format!("{hour:02}:{minute:02}:{second:02}") } else { format!("{hour:02}:{minute:02}") }
}

/// Year, month (1 to 12) and day of a day since 1970 in the Gregorian calendar (Hinnant's `civil_from_days`).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * part + 2) / 5 + 1)
}

/// The day since 1970 on which a month begins.
fn days(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_over_eight_centuries() {
        for day in (-150_000..150_000).step_by(17) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month) + of_month - 1, day);
        }
        assert_eq!(written(1_359_698_400_000), "2013-02-01 06:00");
        assert_eq!(written(951_782_400_000), "2000-02-29");
    }

    #[test]
    fn ticks_are_round_named_and_few() {
        let year = ticks(1_356_998_400_000, 1_388_534_400_000, 12);
        let names: Vec<&str> = year.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(names[..3], ["2013", "Feb", "Mar"]);
        assert_eq!((year.len(), year[12].1.as_str()), (13, "2014"));
        let names = |from, until| ticks(from, until, 6).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(
            names(0, 60_000),
            ["00:00:00", "00:00:15", "00:00:30", "00:00:45", "00:01:00"].map(|t| if t == "00:00:00" {
                "1 Jan"
            } else {
                t
            })
        );
        assert_eq!(names(0, 2 * DAY), ["1 Jan", "12:00", "2 Jan", "12:00", "3 Jan"]);
        for span in [1, 1_000, DAY, 90 * DAY, 400 * DAY, 4_000 * DAY, 400_000 * DAY] {
            assert!(ticks(1_356_998_400_123, 1_356_998_400_123 + span, 8).len() <= 10, "{span}");
        }
    }
}
