//! What a column can hold of a person, by the names that a project file uses.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PiiClass {
    /// E-mail address.
    Email,
    /// Telephone number.
    Phone,
    /// Number of a payment card.
    Card,
    /// International bank account number.
    Iban,
    /// Code of a bank, which says with whom a person banks.
    Bic,
    /// Number that a state gives to a person: tax, insurance, population register.
    NationalId,
    /// Number of a document: passport, driving licence, identity card.
    Document,
    /// Internet address of a device.
    IpAddress,
    /// Hardware address of a device.
    MacAddress,
    /// Name of a person, or a part of it.
    PersonName,
    /// Postal address, or a part of it.
    Address,
    /// Postal code.
    Postcode,
    /// Date or year of birth.
    BirthDate,
    /// Geographic position.
    Location,
    /// Running text that contains any of the others.
    FreeText,
}

impl PiiClass {
    /// All classes.
    pub const ALL: [Self; 15] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::Bic,
        Self::NationalId,
        Self::Document,
        Self::IpAddress,
        Self::MacAddress,
        Self::PersonName,
        Self::Address,
        Self::Postcode,
        Self::BirthDate,
        Self::Location,
        Self::FreeText,
    ];

    /// The name in project files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Bic => "bic",
            Self::NationalId => "national_id",
            Self::Document => "document",
            Self::IpAddress => "ip_address",
            Self::MacAddress => "mac_address",
            Self::PersonName => "person_name",
            Self::Address => "address",
            Self::Postcode => "postcode",
            Self::BirthDate => "birth_date",
            Self::Location => "location",
            Self::FreeText => "free_text",
        }
    }

    /// Whether a value points at one person or household by itself. The others do so only beside such a column.
    #[must_use]
    pub fn is_direct(self) -> bool {
        !matches!(self, Self::Bic | Self::Postcode | Self::BirthDate | Self::Location)
    }
}

impl fmt::Display for PiiClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a project file says of a column under `pii`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declaration {
    /// `none`: somebody looked, and it is no personal data.
    None,
    /// It is personal data of this class.
    Class(PiiClass),
}

/// Every text that `pii` takes.
const NAMES: &[&str] = &[
    "none",
    "email",
    "phone",
    "card",
    "iban",
    "bic",
    "national_id",
    "document",
    "ip_address",
    "mac_address",
    "person_name",
    "address",
    "postcode",
    "birth_date",
    "location",
    "free_text",
];

impl Declaration {
    /// The name in project files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Class(class) => class.as_str(),
        }
    }

    /// The class, if it is personal data.
    #[must_use]
    pub fn class(self) -> Option<PiiClass> {
        match self {
            Self::None => None,
            Self::Class(class) => Some(class),
        }
    }
}

impl FromStr for Declaration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let class = PiiClass::ALL.into_iter().find(|class| class.as_str() == text);
        class.map(Self::Class).ok_or_else(|| format!("\"{text}\" is no class of personal data: {}", NAMES.join(", ")))
    }
}

impl From<PiiClass> for Declaration {
    fn from(class: PiiClass) -> Self {
        Self::Class(class)
    }
}

impl Serialize for Declaration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Declaration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::unknown_variant(&text, NAMES))
    }
}

impl Serialize for PiiClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PiiClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let declared = Declaration::deserialize(deserializer)?;
        declared.class().ok_or_else(|| serde::de::Error::unknown_variant("none", NAMES.get(1..).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_class_is_read_as_it_is_written() {
        assert_eq!(NAMES.len(), PiiClass::ALL.len() + 1);
        for name in NAMES {
            let declared: Declaration = name.parse().unwrap();
            assert_eq!(declared.as_str(), *name);
            let json = serde_json::to_string(&declared).unwrap();
            assert_eq!(serde_json::from_str::<Declaration>(&json).unwrap(), declared);
        }
        let refused = serde_json::from_str::<Declaration>("\"emial\"").unwrap_err().to_string();
        assert!(refused.contains("unknown variant `emial`") && refused.contains("`email`"), "{refused}");
        assert!(serde_json::from_str::<PiiClass>("\"none\"").is_err());
    }
}
