//! Expressions with the rows they must give over the test batch.

use super::{batch, run};
use tidemill_expr::{Compiled, columns_of};

/// Expression and expected rows.
const CASES: &[(&str, &str)] = &[
    // names
    ("i", "1, -7, null, 9223372036854775807"),
    ("a.b", "10, 20, 30, 40"),
    ("\"a.b\" + \"Odd Name\"", "11, 22, 33, 44"),
    ("d", "on, off, null, on"),
    ("l || '!'", "1.5!, 12!, abc!, null"),
    // numbers
    ("j + 1", "3, 1, 4, 0"),
    ("-j", "-2, 0, -3, 1"),
    ("+j", "2, 0, 3, -1"),
    ("-9223372036854775808", "-9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808"),
    ("j * f", "1.0, -0.0, 12.0, null"),
    ("u - 6", "-1, null, -6, 3"),
    ("i / j", "0.5, null, null, -9.223372036854776e18"),
    ("1 / 0", "null, null, null, null"),
    ("1.0 / x", "0.6666666666666666, null, null, null"),
    ("i % j", "1, null, null, 0"),
    ("mod(7, j)", "1, null, 1, 0"),
    ("mod(5.5, f)", "0.0, 1.0, 1.5, null"),
    ("x + 1", "2.5, 1.0, null, null"),
    ("1e3", "1000.0, 1000.0, 1000.0, 1000.0"),
    ("abs(f)", "0.5, 2.25, 4.0, null"),
    ("abs(j)", "2, 0, 3, 1"),
    ("sqrt(f)", "0.7071067811865476, null, 2.0, null"),
    ("ln(f) is null", "false, true, false, true"),
    ("log10(a.b * 10) = 2", "true, false, false, false"),
    ("exp(0) + pow(2, 3) + cos(0) + sin(0)", "10.0, 10.0, 10.0, 10.0"),
    ("floor(f)", "0.0, -3.0, 4.0, null"),
    ("ceil(f)", "1.0, -2.0, 4.0, null"),
    ("floor(j)", "2, 0, 3, -1"),
    ("round(f)", "1.0, -2.0, 4.0, null"),
    ("round(f * 1.111, 2)", "0.56, -2.5, 4.44, null"),
    ("round(1234.5, -2)", "1200.0, 1200.0, 1200.0, 1200.0"),
    ("least(j, 1)", "1, 0, 1, -1"),
    ("greatest(i, j, 0)", "2, 0, 3, 9223372036854775807"),
    ("greatest(x, -1)", "1.5, 0.0, -1.0, -1.0"),
    ("round(cyclic_sin(j, 4), 6)", "0.0, 0.0, -1.0, -1.0"),
    ("cyclic_cos(0, 24)", "1.0, 1.0, 1.0, 1.0"),
    ("cyclic_cos(j, 0)", "null, null, null, null"),
    ("is_nan(x)", "false, false, null, true"),
    // comparisons
    ("x = 0", "false, true, null, null"),
    ("x > 1", "true, false, null, null"),
    ("x is null", "false, false, true, false"),
    ("x is distinct from 1.5", "false, true, true, true"),
    ("i is not distinct from null", "false, false, true, false"),
    ("i <> 1", "false, true, null, true"),
    ("f <= 0.5", "true, true, false, null"),
    ("j between 0 and 2", "true, true, false, false"),
    ("j not between 0 and 2", "false, false, true, true"),
    ("j in (2, 3)", "true, false, true, false"),
    ("j in (2, null)", "true, null, null, null"),
    ("j not in (2, null)", "false, null, null, null"),
    ("d in ('on')", "true, false, null, true"),
    ("d = 'on' and b", "true, false, null, true"),
    // conditions
    ("case when b then 'yes' when not b then 'no' else 'open' end", "yes, no, open, yes"),
    ("case j when 2 then 20 when 3 then 30 end", "20, null, 30, null"),
    ("case d when 'on' then 1 when 'off' then 0.5 else null end", "1.0, 0.5, null, 1.0"),
    ("if(b, i, -1)", "1, -1, -1, 9223372036854775807"),
    ("coalesce(i, u, 0)", "1, -7, 0, 9223372036854775807"),
    ("coalesce(null, null)", "null, null, null, null"),
    ("nullif(j, 0)", "2, null, 3, -1"),
    ("nullif(s, '')", "Alpha, βeta x, null, null"),
    // text
    ("lower(s)", "alpha, βeta x, null, "),
    ("upper(s)", "ALPHA, ΒETA X, null, "),
    ("length(s)", "5, 6, null, 0"),
    ("trim('  a ') || s", "aAlpha, aβeta x, null, a"),
    ("concat(d, ':', s)", "on:Alpha, off:βeta x, null, on:"),
    ("substring(s, 2, 3)", "lph, eta, null, "),
    ("substring(s from 2)", "lpha, eta x, null, "),
    ("substring(s, 0, 2)", "A, β, null, "),
    ("starts_with(s, 'Al')", "true, false, null, false"),
    ("s like '%a'", "true, false, null, false"),
    ("s ilike 'ALP__'", "true, false, null, false"),
    ("s not like '%x'", "true, false, null, true"),
    ("regexp_like(s, '^[A-Z]')", "true, false, null, false"),
    ("contains(s, 'eta') or ends_with(s, 'pha')", "true, true, null, false"),
    // casts
    ("cast(l as double)", "1.5, 12.0, null, null"),
    ("l::bigint", "null, 12, null, null"),
    ("cast(f as bigint)", "0, -2, 4, null"),
    ("cast(x as bigint)", "1, 0, null, null"),
    ("cast(1e300 as bigint)", "null, null, null, null"),
    ("cast(b as bigint)", "1, 0, null, 1"),
    ("cast(j as boolean)", "true, false, true, true"),
    ("cast(j as varchar)", "2, 0, 3, -1"),
    ("cast(t as varchar)", "2024-03-10T12:34:56.789Z, 2023-12-31T23:30:00Z, null, 1969-12-31T23:59:59.999Z"),
    ("cast(j as timestamp) = timestamp '1970-01-01T00:00:00.002Z'", "true, false, false, false"),
    ("cast('2024-01-01T01:00:00+01:00' as timestamp) = '2024-01-01'", "true, true, true, true"),
    // instants
    ("cast(t as bigint)", "1710074096789, 1704065400000, null, -1"),
    ("us", "1710074096789, 0, null, 1"),
    ("day = date '1970-01-01'", "true, false, null, false"),
    ("t > '2024-01-01'", "true, false, null, false"),
    ("t - interval '1 week 2 days' + interval '30 minutes'", "1709298296789, 1703289600000, null, -775800001"),
    ("interval '2' hour + t", "1710081296789, 1704072600000, null, 7199999"),
    ("t - us > interval '1 day'", "false, true, null, false"),
    ("hours(t - us)", "0.0, 473351.5, null, -5.555555555555555e-7"),
    ("seconds_between(us, t)", "0.0, 1704065400.0, null, -0.002"),
    ("minutes(interval '90 seconds') + days(interval '12 hours')", "2.0, 2.0, 2.0, 2.0"),
    ("extract(year from t)", "2024, 2023, null, 1969"),
    ("extract(dow from t)", "0, 0, null, 3"),
    ("extract(isodow from t)", "7, 7, null, 3"),
    ("extract(doy from t)", "70, 365, null, 365"),
    ("extract(week from t)", "10, 52, null, 1"),
    ("extract(epoch from t)", "1710074096.789, 1704065400.0, null, -0.001"),
    ("hour(t)", "12, 23, null, 23"),
    ("hour(t, 'Europe/Berlin')", "13, 0, null, 0"),
    ("year(t, 'Europe/Berlin')", "2024, 2024, null, 1970"),
    ("hour(t, 'America/New_York')", "8, 18, null, 18"),
    ("minute(t) + second(t) + day(t) + month(t) + quarter(t)", "104, 77, null, 165"),
    ("date_trunc('hour', t)", "1710072000000, 1704063600000, null, -3600000"),
    ("date_trunc('day', t)", "1710028800000, 1703980800000, null, -86400000"),
    ("date_trunc('day', t, 'Europe/Berlin')", "1710025200000, 1704063600000, null, -3600000"),
    ("date_trunc('month', t) = '2024-03-01'", "true, false, null, false"),
    ("date_trunc('year', t)", "1704067200000, 1672531200000, null, -31536000000"),
];

#[test]
fn gives_the_documented_rows() {
    for (text, expected) in CASES {
        assert_eq!(run(text), *expected, "{text}");
    }
}

#[test]
fn clock_changes_keep_repeated_hours_apart() {
    // Berlin, 2024-10-27: 02:00 to 03:00 local happens twice, starting at 00:00Z and 01:00Z.
    let truncated = |text: &str| run(&format!("date_trunc('hour', timestamp '{text}', 'Europe/Berlin')"));
    let at = |text: &str| run(&format!("timestamp '{text}'"));
    assert_eq!(truncated("2024-10-27T00:30:00Z"), at("2024-10-27T00:00:00Z"));
    assert_eq!(truncated("2024-10-27T01:30:00Z"), at("2024-10-27T01:00:00Z"));
    // Beirut, 2024-03-31: midnight does not exist, the day starts at 01:00 local, 22:00Z.
    let start = run("date_trunc('day', timestamp '2024-03-31T12:00:00Z', 'Asia/Beirut')");
    assert_eq!(start, at("2024-03-30T22:00:00Z"));
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    let batch = batch();
    let compiled = Compiled::new("j + a.b", &batch.schema()).unwrap();
    let order: Vec<usize> = (0..batch.num_columns()).rev().collect();
    let turned = batch.project(&order).unwrap();
    let [straight, reversed] = [&batch, &turned].map(|batch| compiled.evaluate(batch).unwrap());
    assert_eq!(&straight, &reversed);
    assert_eq!(compiled.columns(), ["a.b", "j"]);
    assert_eq!(compiled.text(), "j + a.b");
}

#[test]
fn column_names_need_no_schema() {
    assert_eq!(columns_of("sum(case when q then z.y end) / count(*) + f(z.y)").unwrap(), ["q", "z.y"]);
    assert_eq!(columns_of("1 + 1").unwrap(), Vec::<String>::new());
}

#[test]
fn empty_batches_give_empty_columns() {
    let empty = batch().slice(0, 0);
    for (text, _) in CASES {
        let compiled = Compiled::new(text, &empty.schema()).unwrap();
        assert_eq!(compiled.evaluate(&empty).unwrap().len(), 0, "{text}");
    }
}

pub(super) fn texts() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|(text, _)| *text)
}
