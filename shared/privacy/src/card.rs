//! Payment cards, bank accounts and banks.

use crate::checksum::{luhn, mod_97_10, number};
use crate::value::Value;

/// Issuer ranges by the first six digits, with the lengths that are issued: ISO/IEC 7812-1 and what the networks
/// publish (Visa; Mastercard; American Express; Discover; JCB; Diners Club; UnionPay; Maestro).
const ISSUERS: &[(u64, u64, &[usize])] = &[
    (400_000, 499_999, &[13, 16, 19]),
    (510_000, 559_999, &[16]),
    (222_100, 272_099, &[16]),
    (340_000, 349_999, &[15]),
    (370_000, 379_999, &[15]),
    (601_100, 601_199, &[16, 19]),
    (644_000, 659_999, &[16, 19]),
    (352_800, 358_999, &[16, 17, 18, 19]),
    (300_000, 305_999, &[14]),
    (360_000, 369_999, &[14]),
    (380_000, 399_999, &[14]),
    (620_000, 629_999, &[16, 17, 18, 19]),
    (500_000, 509_999, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (560_000, 589_999, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (600_000, 601_099, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (601_200, 643_999, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (660_000, 699_999, &[12, 13, 14, 15, 16, 17, 18, 19]),
];

/// Lengths of account numbers by country: the IBAN registry of SWIFT, release 99.
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 \
    EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 \
    PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 \
    UA29 VA22 VG24 XK20 YE30";

/// Countries of ISO 3166-1 in which banks have codes, and XK.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AR AT AU AW AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ \
    CA CD CF CG CH CI CL CM CN CO CR CU CV CW CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FK FO FR GA GB GD GE GG \
    GH GI GL GM GN GQ GR GT GW GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE KG KH KM KN KR KW KY KZ LA \
    LB LC LI LK LR LS LT LU LV LY MA MC MD ME MG MK ML MM MN MO MR MT MU MV MW MX MY MZ NA NE NG NI NL NO NP NZ OM PA \
    PE PG PH PK PL PS PT PY QA RO RS RU RW SA SB SC SD SE SG SI SK SL SM SN SO SR SS ST SV SY SZ TC TD TG TH TJ TL TM \
    TN TO TR TT TW TZ UA UG US UY UZ VA VC VE VG VN VU WS XK YE ZA ZM ZW";

/// A card number: an issuer's range, one of its lengths, and the check digit.
pub(crate) fn is_card(value: &Value<'_>) -> bool {
    let Some(digits) = value.digits.as_deref() else { return false };
    let Some(head) = digits.get(..6).map(number) else { return false };
    let issued =
        ISSUERS.iter().any(|(low, high, lengths)| (*low..=*high).contains(&head) && lengths.contains(&digits.len()));
    issued && value.plain_separators() && luhn(digits)
}

/// An account number: a country's length and the two check digits of ISO 13616.
pub(crate) fn is_iban(value: &Value<'_>) -> bool {
    let compact = value.compact.as_bytes();
    let Some((country, rest)) = value.compact.get(..2).zip(value.compact.get(4..)) else { return false };
    let wanted = format!("{country}{}", compact.len());
    let known = IBAN_LENGTHS.split(' ').any(|entry| entry == wanted);
    known
        && value.plain_separators()
        && compact.get(2..4).is_some_and(|check| check.iter().all(u8::is_ascii_digit))
        && mod_97_10(rest.bytes().chain(compact.iter().take(4).copied()))
}

/// A bank code of ISO 9362: four letters, a country, two letters or digits, and perhaps three more for the branch.
pub(crate) fn has_bic_form(value: &Value<'_>) -> bool {
    let text = value.text.as_bytes();
    let country = value.text.get(4..6);
    matches!(text.len(), 8 | 11)
        && text.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text.iter().take(4).all(u8::is_ascii_uppercase)
        && country.is_some_and(|country| COUNTRIES.split(' ').any(|known| known == country))
}

/// A bank code that is no ordinary word either: it has a digit, or the length of a code with its branch.
pub(crate) fn is_bic(value: &Value<'_>) -> bool {
    has_bic_form(value) && (value.text.len() == 11 || value.text.bytes().any(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(check: fn(&Value<'_>) -> bool, text: &str) -> bool {
        Value::new(text).is_some_and(|value| check(&value))
    }

    #[test]
    fn test_numbers_of_the_networks_are_cards_and_their_neighbours_are_not() {
        for card in
            ["4111 1111 1111 1111", "5555555555554444", "378282246310005", "6011-1111-1111-1117", "3530111333300000"]
        {
            assert!(holds(is_card, card), "{card}");
        }
        for other in ["4111111111111112", "9111111111111111", "41111111111111", "4111_1111_1111_1111"] {
            assert!(!holds(is_card, other), "{other}");
        }
    }

    #[test]
    fn examples_of_the_registry_are_accounts() {
        for account in
            ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "NO9386011117947", "FR1420041010050500013M02606"]
        {
            assert!(holds(is_iban, account), "{account}");
        }
        for other in ["DE89370400440532013001", "DE8937040044053201300", "ZZ89370400440532013000", ""] {
            assert!(!holds(is_iban, other), "{other}");
        }
    }

    #[test]
    fn words_in_capitals_are_no_bank_codes() {
        assert!(holds(is_bic, "DEUTDEFF500") && holds(is_bic, "BNORPHM2"));
        assert!(!holds(is_bic, "CHEMDEED") && holds(has_bic_form, "CHEMDEED") && !holds(has_bic_form, "COMPUTER"));
    }
}
