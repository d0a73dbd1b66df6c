//! Dead letters about whole objects, so that a refused file is found where refused events are.

use crate::error::{Fault, Result};
use tidemill_bus::{Bus, Headers, Outgoing};
use tidemill_conform::cloud::encoded;
use tidemill_contracts::{headers, subjects};
use tidemill_types::{Classified as _, Digest, ProjectName, SourceName};

/// Stores the letter about a refused object; durable when it returns. The same refusal is one letter, also when it is
/// told again after a crash.
pub(crate) async fn bury(
    bus: &Bus,
    project: &ProjectName,
    source: &SourceName,
    kind: &str,
    digest: &str,
    fault: &Fault,
) -> Result<()> {
    let code = fault.code().to_string();
    let reason = one_line(&format!("{}; mend: {}", fault.reason, fault.mend));
    let position = one_line(if fault.position.is_empty() { "whole file" } else { &fault.position });
    let origin = format!("{kind}:{}", encoded(&fault.object));
    let pairs = [
        (headers::DEAD_CODE, code.as_str()),
        (headers::DEAD_REASON, reason.as_str()),
        (headers::DEAD_POSITION, position.as_str()),
        (headers::DEAD_STREAM, origin.as_str()),
        (headers::SOURCE_KIND, kind),
        (headers::SOURCE_OBJECT, &encoded(&fault.object)),
        (headers::SOURCE_DIGEST, digest),
    ];
    let id = Digest::of(format!("{origin} {digest} {code}").as_bytes());
    let letter = Outgoing::new(subjects::dead(project, source), fault.sample.clone());
    let letter = letter.with_headers(Headers::from_pairs(pairs)?).with_id(id.as_str())?;
    bus.publish(&letter.subject, &letter.headers, letter.payload).await?;
    Ok(())
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}
