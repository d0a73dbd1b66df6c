//! Decisions of evaluation, without bus, store or clock.

pub(crate) mod gates;
pub(crate) mod kpi;
pub(crate) mod scorecard;
pub(crate) mod slices;
pub(crate) mod twins;
