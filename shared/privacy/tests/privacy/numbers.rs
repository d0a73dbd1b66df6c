//! Checksums against python-stdnum.

use serde::Deserialize;
use std::collections::BTreeMap;
use tidemill_privacy::{examine, id_kinds};

#[derive(Deserialize)]
struct Numbers {
    valid: Vec<String>,
    invalid: Vec<String>,
}

#[test]
fn numbers_are_judged_as_python_stdnum_does() {
    let golden: BTreeMap<String, Numbers> = serde_json::from_str(include_str!("../golden/ids.json")).unwrap();
    let mut judged = 0;
    for (kind, numbers) in &golden {
        let accepts = |text: &str| match kind.as_str() {
            "card" => examine(text).is_card,
            "iban" => examine(text).is_iban,
            _ => id_kinds().iter().find(|known| known.name == kind).unwrap_or_else(|| panic!("{kind}")).accepts(text),
        };
        for text in &numbers.valid {
            assert!(accepts(text), "{kind} {text} is valid");
        }
        for text in &numbers.invalid {
            assert!(!accepts(text), "{kind} {text} is not valid");
        }
        judged += numbers.valid.len() + numbers.invalid.len();
    }
    println!("{judged} numbers of {} kinds judged as the reference does", golden.len());
    assert!(golden.len() >= 21 && judged > 400);
}

#[test]
fn kinds_without_a_reference_follow_their_definitions() {
    let accepts = |name: &str, text: &str| id_kinds().iter().find(|kind| kind.name == name).unwrap().accepts(text);
    assert!(
        accepts("uk_nino", "AB 12 34 56 C") && !accepts("uk_nino", "BG123456C") && !accepts("uk_nino", "AB123456E")
    );
    assert!(accepts("us_ssn", "219-09-9999") && !accepts("us_ssn", "666-09-9999") && !accepts("us_ssn", "219-00-9999"));
    assert!(!accepts("us_ssn", "219099999") && accepts("us_itin", "912-70-1234") && !accepts("us_itin", "912-12-1234"));
    assert!(accepts("au_medicare", "2123 45670 1") && !accepts("au_medicare", "2123 45671 1"));
    assert!(accepts("dk_cpr", "010190-1234") && !accepts("dk_cpr", "310290-1234") && !accepts("dk_cpr", "0101901234"));
    assert!(accepts("in_pan", "ABCPE1234F") && !accepts("in_pan", "ABCDE1234F"));
}
