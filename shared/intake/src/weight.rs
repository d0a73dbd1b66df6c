//! What a message may come to once it is decoded, told from its bytes without decoding them. Pure.
//!
//! A few kilobytes can unfold to the limit of a message, in rows or in bytes; how many messages are decoded together
//! follows from this bound, not from their size on the bus.

use crate::event::Event;
use arrow::datatypes::Schema;
use tidemill_conform::Limits;

/// What is decoded together, as far as the bytes can tell.
pub(crate) const SLICE: usize = 128 << 20;
/// No Arrow message counts for less. Its views may show the same bytes many times, which only decoding tells.
const ARROW: usize = SLICE / 16;
/// Bytes that a row costs beside its values: position, instant, and a reason when it is refused.
const ROW: usize = 512;
/// First bytes of a zstd frame.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Most that a compressed block of a zstd frame unfolds to.
const BLOCK: usize = 128 << 10;

/// Weighs the messages of one source.
pub(crate) struct Scales {
    /// Bytes of a row of the table whose texts are empty.
    width: usize,
    limits: Limits,
}

impl Scales {
    /// Scales for rows of this schema.
    pub(crate) fn new(schema: &Schema) -> Self {
        // The offset of a text is the widest that a column needs for an empty row, but for numbers.
        let width = schema.fields().iter().map(|field| field.data_type().primitive_width().unwrap_or(8)).sum();
        Self { width, limits: Limits::default() }
    }

    /// Bytes that an event comes to at most, rows and refusals together.
    pub(crate) fn weigh(&self, event: &Event<'_>) -> usize {
        if !event.has_rows {
            return 0;
        }
        let input = event.input();
        let of_rows = input.rows_at_most(&self.limits) * (self.width + event.identity.len() + ROW);
        if input.is_arrow() {
            (unfolded(input.body).min(self.limits.decoded_bytes) + of_rows).max(ARROW)
        } else {
            input.body.len() + of_rows
        }
    }
}

/// Parts events, in their order, into runs that may be decoded together whatever they unfold to; none is empty.
#[must_use]
pub fn slices<'a>(schema: &Schema, events: Vec<Event<'a>>) -> Vec<Vec<Event<'a>>> {
    let (scales, mut slices, mut weight) = (Scales::new(schema), Vec::<Vec<Event<'a>>>::new(), 0);
    for event in events {
        let of_one = scales.weigh(&event);
        weight += of_one;
        match slices.last_mut() {
            Some(slice) if weight <= SLICE => slice.push(event),
            _ => {
                weight = of_one;
                slices.push(vec![event]);
            }
        }
    }
    slices
}

/// Bytes inside a zstd frame at most, by the heads of its blocks; what its own head announces need not be true.
fn unfolded(body: &[u8]) -> usize {
    let (Some(head), true) = (body.get(4), body.starts_with(&ZSTD)) else { return body.len() };
    let is_single = head & 0x20 != 0;
    let dictionary = [0, 1, 2, 4][usize::from(head & 3)];
    let announced = [usize::from(is_single), 2, 4, 8][usize::from(head >> 6)];
    let mut at = 5 + usize::from(!is_single) + dictionary + announced;
    let mut bytes = 0;
    while let Some([a, b, c]) = body.get(at..at + 3).and_then(|block| <[u8; 3]>::try_from(block).ok()) {
        let block = u32::from_le_bytes([a, b, c, 0]);
        let size = usize::try_from(block >> 3).unwrap_or(usize::MAX);
        let (stored, unfolds) = match (block >> 1) & 3 {
            0 => (size, size),
            1 => (1, size),
            _ => (size, BLOCK),
        };
        bytes += unfolds;
        at += 3 + stored;
        if block & 1 == 1 {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::message;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    use tidemill_contracts::headers;

    fn scales() -> Scales {
        Scales::new(&rows(1, "").schema())
    }

    fn rows(count: usize, text: &str) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(count).unwrap()));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)));
        RecordBatch::try_from_iter([("n", numbers), ("text", texts)]).unwrap()
    }

    #[test]
    fn a_frame_weighs_at_least_what_it_unfolds_to_whatever_it_announces() {
        for (count, text) in [(1, ""), (100, "x"), (1_000, &"x".repeat(60_000)[..])] {
            let batch = rows(count, text);
            let body = tidemill_conform::encode_stream(std::slice::from_ref(&batch)).unwrap();
            assert!(unfolded(&body) >= batch.get_array_memory_size() / 2, "{count} × {}", text.len());
            assert!(unfolded(&body) <= batch.get_array_memory_size() * 2 + 2 * BLOCK, "{count} × {}", text.len());
            let mut lying = body.clone();
            // The announced size stands behind the head of a frame in one segment.
            lying[5..7].fill(0);
            assert_eq!(unfolded(&lying), unfolded(&body));
        }
        assert_eq!(unfolded(&ZSTD), 4, "a torn frame weighs what it is");
    }

    #[test]
    fn small_rows_that_are_many_and_long_ids_count() {
        let weigh = |id: &str, body: &str| {
            let message = message(&[("ce-id", id), ("content-type", headers::JSON)], body);
            scales().weigh(&Event::of(&message))
        };
        let one = weigh("1", r#"{"n":1,"text":"a, b, c"}"#);
        assert!(one < 1_000, "{one}");
        let many = weigh("1", &format!("[{}1]", "1,".repeat(9_999)));
        assert!(many > 5_000_000, "{many}");
        assert!(weigh(&"i".repeat(1_000), &format!("[{}1]", "1,".repeat(9_999))) > many + 9_000_000);
        let watermark = message(&[("ce-type", headers::TYPE_WATERMARK), ("tm-watermark", "5")], "");
        assert_eq!(scales().weigh(&Event::of(&watermark)), 0);
    }
}
