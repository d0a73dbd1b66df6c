//! Decisions of training, without bus, store or clock.

pub(crate) mod fit;
pub(crate) mod leaks;
pub(crate) mod personal;
pub(crate) mod quality;
pub(crate) mod record;
pub(crate) mod rows;
pub(crate) mod space;
pub(crate) mod windows;
