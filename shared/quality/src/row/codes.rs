//! Codes with a register or a checksum: countries, currencies, IBAN, Luhn.

/// Assigned country codes, ISO 3166-1 alpha-2, in order.
pub(super) const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ \
BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET \
FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR \
IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN \
MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR \
TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Currency and fund codes in use, ISO 4217 (list one, 2025), in order.
pub(super) const CURRENCIES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN \
BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP \
GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR \
LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP \
PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY \
TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD \
XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG";

/// Length of an IBAN by country, from the registry of SWIFT.
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 \
DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 \
JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 \
PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 \
XK20 YE30";

/// Whether a code of a fixed width is in an ordered list.
pub(super) fn is_listed(list: &str, code: &str) -> bool {
    let (bytes, code) = (list.as_bytes(), code.as_bytes());
    let step = code.len() + 1;
    let width = list.find(' ').unwrap_or(list.len());
    if code.len() != width {
        return false;
    }
    let (mut low, mut high) = (0, bytes.len().div_ceil(step));
    while low < high {
        let middle = (low + high) / 2;
        match bytes[middle * step..middle * step + width].cmp(code) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    false
}

/// Country, two check digits, length and the remainder 1 of ISO 7064 mod 97-10; single spaces may part it.
pub(super) fn is_iban(text: &str) -> bool {
    let mut digits = [0_u8; 34];
    let mut length = 0;
    for byte in text.bytes().filter(|b| *b != b' ') {
        let Some(place) = digits.get_mut(length) else {
            return false;
        };
        if !(byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
            return false;
        }
        *place = byte;
        length += 1;
    }
    let code = &digits[..length];
    let spaced = text.starts_with(' ') || text.ends_with(' ') || text.contains("  ");
    if spaced || length < 15 || !code[2].is_ascii_digit() || !code[3].is_ascii_digit() {
        return false;
    }
    let known = IBAN_LENGTHS.split(' ').find(|entry| entry.as_bytes()[..2] == code[..2]);
    if known.and_then(|entry| entry[2..].parse().ok()) != Some(length) {
        return false;
    }
    let value = |b: u8| if b.is_ascii_digit() { u32::from(b - b'0') } else { u32::from(b - b'A') + 10 };
    let turned = code[4..].iter().chain(&code[..4]);
    let rest = turned.fold(0, |rest, b| {
        let value = value(*b);
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    });
    rest == 1
}

/// The Luhn checksum over at least two digits; spaces and hyphens are skipped, anything else fails.
pub(super) fn is_luhn(text: &str) -> bool {
    let (mut sum, mut digits) = (0_u32, 0);
    for byte in text.bytes().rev() {
        match byte {
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0') * (1 + digits % 2);
                sum += digit / 10 + digit % 10;
                digits += 1;
            }
            b' ' | b'-' => {}
            _ => return false,
        }
    }
    digits >= 2 && sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_complete_and_in_order() {
        for (list, count) in [(COUNTRIES, 249), (CURRENCIES, 179)] {
            let codes: Vec<&str> = list.split(' ').collect();
            assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{list}");
            assert_eq!(codes.len(), count);
            assert!(codes.iter().all(|code| is_listed(list, code)));
        }
        assert!(!is_listed(COUNTRIES, "XX") && !is_listed(COUNTRIES, "") && !is_listed(COUNTRIES, "DEU"));
        assert!(!is_listed(COUNTRIES, "D ") && !is_listed(CURRENCIES, "eur"));
    }

    #[test]
    fn checksums_catch_slips() {
        assert!(is_iban("DE89 3704 0044 0532 0130 00") && is_iban("GB82WEST12345698765432"));
        assert!(
            !is_iban("DE88370400440532013000")
                && !is_iban("DE8937040044053201300")
                && !is_iban("de89370400440532013000")
        );
        assert!(
            is_luhn("4111 1111 1111 1111") && !is_luhn("4111 1111 1111 1112") && !is_luhn("0") && !is_luhn("4111x")
        );
    }
}
