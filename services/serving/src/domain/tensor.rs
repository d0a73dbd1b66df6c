//! Tensors of the Open Inference Protocol: types, values, and the raw little-endian form.
//!
//! Integers of every width are held as 64 bits and floats as `f64`, which loses nothing; the declared type
//! is kept, so that values are written back in the width that was asked for.

use crate::error::Error;
use bytes::Bytes;

/// Element types of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the protocol")]
pub enum Datatype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
}

const NAMES: [(Datatype, &str); 13] = [
    (Datatype::Bool, "BOOL"),
    (Datatype::Int8, "INT8"),
    (Datatype::Int16, "INT16"),
    (Datatype::Int32, "INT32"),
    (Datatype::Int64, "INT64"),
    (Datatype::Uint8, "UINT8"),
    (Datatype::Uint16, "UINT16"),
    (Datatype::Uint32, "UINT32"),
    (Datatype::Uint64, "UINT64"),
    (Datatype::Fp16, "FP16"),
    (Datatype::Fp32, "FP32"),
    (Datatype::Fp64, "FP64"),
    (Datatype::Bytes, "BYTES"),
];

impl Datatype {
    /// The type of that protocol name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, n)| *n == name).map(|(d, _)| *d)
    }

    /// The protocol name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(d, _)| *d == self).map_or("", |(_, n)| n)
    }

    /// Bytes of one element in raw form; `None` for `BYTES`, whose elements carry their length.
    #[must_use]
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Int8 | Self::Uint8 => Some(1),
            Self::Int16 | Self::Uint16 | Self::Fp16 => Some(2),
            Self::Int32 | Self::Uint32 | Self::Fp32 => Some(4),
            Self::Int64 | Self::Uint64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }
}

/// Elements of a tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `BOOL`.
    Bool(Vec<bool>),
    /// Signed integers.
    Int(Vec<i64>),
    /// Unsigned integers.
    Uint(Vec<u64>),
    /// Floats.
    Float(Vec<f64>),
    /// `BYTES`.
    Bytes(Vec<Bytes>),
}

impl Values {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Uint(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Bytes(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name in the model's signature.
    pub name: String,
    /// Declared element type.
    pub datatype: Datatype,
    /// Declared shape.
    pub shape: Vec<i64>,
    /// Elements.
    pub values: Values,
}

impl Tensor {
    /// A column vector: shape `[N]`.
    #[must_use]
    pub fn column(name: &str, datatype: Datatype, values: Values) -> Self {
        let shape = vec![i64::try_from(values.len()).unwrap_or(i64::MAX)];
        Self { name: name.to_owned(), datatype, shape, values }
    }

    /// Number of rows of a `[N]` or `[N, 1]` tensor.
    ///
    /// # Errors
    /// Another shape, or a shape that disagrees with the number of elements.
    pub fn rows(&self) -> Result<usize, Error> {
        let declared = match self.shape.as_slice() {
            [n] | [n, 1] => *n,
            other => return Err(Error::tensor(&self.name, format!("shape {other:?}: only [N] and [N, 1] are taken"))),
        };
        if usize::try_from(declared) != Ok(self.values.len()) {
            let reason = format!("shape {:?} does not hold {} elements", self.shape, self.values.len());
            return Err(Error::tensor(&self.name, reason));
        }
        Ok(self.values.len())
    }
}

/// Parses the declared element type of tensor `name`.
///
/// # Errors
/// A type that the protocol does not know.
pub fn datatype(name: &str, declared: &str) -> Result<Datatype, Error> {
    Datatype::parse(declared).ok_or_else(|| {
        let known: Vec<_> = NAMES.iter().map(|(_, n)| *n).collect();
        Error::tensor(name, format!("datatype \"{declared}\" is none of {}", known.join(", ")))
    })
}

/// Decodes the raw little-endian form of tensor `name`.
///
/// # Errors
/// A length that is no multiple of the element width, or damaged `BYTES` prefixes.
pub fn from_raw(name: &str, datatype: Datatype, raw: &Bytes) -> Result<Values, Error> {
    let Some(width) = datatype.width() else {
        return bytes_from_raw(name, raw).map(Values::Bytes);
    };
    if !raw.len().is_multiple_of(width) {
        let reason = format!("{} bytes are no whole number of {} elements", raw.len(), datatype.name());
        return Err(Error::tensor(name, reason));
    }
    Ok(match datatype {
        Datatype::Bool => Values::Bool(raw.iter().map(|b| *b != 0).collect()),
        Datatype::Int8 => Values::Int(elements(raw, |b: [u8; 1]| i8::from_le_bytes(b).into())),
        Datatype::Int16 => Values::Int(elements(raw, |b| i16::from_le_bytes(b).into())),
        Datatype::Int32 => Values::Int(elements(raw, |b| i32::from_le_bytes(b).into())),
        Datatype::Int64 => Values::Int(elements(raw, i64::from_le_bytes)),
        Datatype::Uint8 => Values::Uint(elements(raw, |b: [u8; 1]| b[0].into())),
        Datatype::Uint16 => Values::Uint(elements(raw, |b| u16::from_le_bytes(b).into())),
        Datatype::Uint32 => Values::Uint(elements(raw, |b| u32::from_le_bytes(b).into())),
        Datatype::Uint64 => Values::Uint(elements(raw, u64::from_le_bytes)),
        Datatype::Fp16 => Values::Float(elements(raw, |b| half::f16::from_le_bytes(b).to_f64())),
        Datatype::Fp32 => Values::Float(elements(raw, |b| f32::from_le_bytes(b).into())),
        Datatype::Fp64 => Values::Float(elements(raw, f64::from_le_bytes)),
        Datatype::Bytes => Values::Bytes(Vec::new()),
    })
}

fn elements<const W: usize, T>(raw: &[u8], read: impl Fn([u8; W]) -> T) -> Vec<T> {
    raw.as_chunks::<W>().0.iter().map(|chunk| read(*chunk)).collect()
}

/// Elements are a four-byte little-endian length followed by that many bytes.
fn bytes_from_raw(name: &str, raw: &Bytes) -> Result<Vec<Bytes>, Error> {
    let mut elements = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let Some(prefix) = raw[at..].first_chunk::<4>() else {
            return Err(Error::tensor(name, format!("length prefix cut off at byte {at}")));
        };
        let start = at + 4;
        let end = start.saturating_add(u32::from_le_bytes(*prefix) as usize);
        if end > raw.len() {
            return Err(Error::tensor(name, format!("element at byte {at} reaches past the end")));
        }
        elements.push(raw.slice(start..end));
        at = end;
    }
    Ok(elements)
}

/// Encodes values in the raw little-endian form of `datatype`.
///
/// Values of another family than the type (which no caller builds) come out empty.
#[must_use]
pub fn to_raw(datatype: Datatype, values: &Values) -> Vec<u8> {
    match (values, datatype) {
        (Values::Bool(v), _) => v.iter().map(|b| u8::from(*b)).collect(),
        (Values::Int(v), _) => v.iter().flat_map(|x| low_bytes(x.to_le_bytes(), datatype)).collect(),
        (Values::Uint(v), _) => v.iter().flat_map(|x| low_bytes(x.to_le_bytes(), datatype)).collect(),
        (Values::Float(v), Datatype::Fp64) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        #[expect(clippy::cast_possible_truncation, reason = "the type asked for is 32 bits wide")]
        (Values::Float(v), Datatype::Fp32) => v.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
        (Values::Float(v), _) => v.iter().flat_map(|x| half::f16::from_f64(*x).to_le_bytes()).collect(),
        (Values::Bytes(v), _) => {
            let mut raw = Vec::with_capacity(v.iter().map(|b| b.len() + 4).sum());
            for element in v {
                raw.extend_from_slice(&u32::try_from(element.len()).unwrap_or(u32::MAX).to_le_bytes());
                raw.extend_from_slice(element);
            }
            raw
        }
    }
}

/// Two's complement in little-endian order: the low bytes are the narrower integer.
fn low_bytes(full: [u8; 8], datatype: Datatype) -> impl Iterator<Item = u8> {
    full.into_iter().take(datatype.width().unwrap_or(8))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_type_survives_the_raw_form() {
        let cases = [
            (Datatype::Bool, Values::Bool(vec![true, false])),
            (Datatype::Int8, Values::Int(vec![-128, 127])),
            (Datatype::Int16, Values::Int(vec![-32_768, 7])),
            (Datatype::Int32, Values::Int(vec![i64::from(i32::MIN), 1])),
            (Datatype::Int64, Values::Int(vec![i64::MIN, i64::MAX])),
            (Datatype::Uint8, Values::Uint(vec![0, 255])),
            (Datatype::Uint16, Values::Uint(vec![65_535])),
            (Datatype::Uint32, Values::Uint(vec![u64::from(u32::MAX)])),
            (Datatype::Uint64, Values::Uint(vec![u64::MAX])),
            (Datatype::Fp16, Values::Float(vec![0.5, -2.0])),
            (Datatype::Fp32, Values::Float(vec![0.25, 1e30f32.into()])),
            (Datatype::Fp64, Values::Float(vec![0.1, f64::INFINITY])),
            (Datatype::Bytes, Values::Bytes(vec![Bytes::from_static(b""), Bytes::from_static("à".as_bytes())])),
        ];
        for (datatype, values) in cases {
            let raw = Bytes::from(to_raw(datatype, &values));
            assert_eq!(from_raw("t", datatype, &raw).unwrap(), values, "{}", datatype.name());
            assert_eq!(Datatype::parse(datatype.name()), Some(datatype));
        }
    }

    #[test]
    fn bytes_follow_the_published_layout() {
        let raw = to_raw(Datatype::Bytes, &Values::Bytes(vec![Bytes::from_static(b"UA")]));
        assert_eq!(raw, [2, 0, 0, 0, b'U', b'A']);
    }

    #[test]
    fn damaged_raw_tensors_are_refused() {
        for (datatype, raw) in [
            (Datatype::Int32, &[1, 2, 3][..]),
            (Datatype::Bytes, &[9, 0, 0, 0, 1]),
            (Datatype::Bytes, &[1, 0]),
            (Datatype::Bytes, &[255, 255, 255, 255, 1]),
        ] {
            assert!(from_raw("t", datatype, &Bytes::copy_from_slice(raw)).is_err());
        }
    }

    #[test]
    fn only_columns_are_taken() {
        let mut tensor = Tensor::column("x", Datatype::Fp64, Values::Float(vec![1.0, 2.0]));
        assert_eq!(tensor.rows().unwrap(), 2);
        tensor.shape = vec![2, 1];
        assert_eq!(tensor.rows().unwrap(), 2);
        for shape in [vec![1, 2], vec![3], vec![], vec![-2]] {
            tensor.shape = shape;
            assert!(tensor.rows().is_err());
        }
    }
}
