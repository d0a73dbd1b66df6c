//! The style of the page.

/// The style sheet, which stands inside the page.
pub const STYLE: &str = include_str!("style.css");
