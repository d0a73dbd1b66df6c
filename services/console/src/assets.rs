//! Style, script and icon: compiled in, served under their content hash, so that browsers keep them for good.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use maud::{Markup, PreEscaped};
use std::sync::LazyLock;
use tidemill_types::Digest;

/// The style of all pages.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("style", "css", include_str!("style.css")));
/// The script of all pages; without it, everything but live numbers works.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("script", "js", include_str!("script.js")));
/// The icon of the tab.
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", MARK));

/// The mark: a wheel's paddle over two waves.
const MARK: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><rect width="24" height="24" rx="6" fill="#2458d3"/><path d="M4 10c2.7-3 5.3-3 8 0s5.3 3 8 0M4 15.5c2.7-3 5.3-3 8 0s5.3 3 8 0" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>"##;

/// The mark, in the page.
pub(crate) fn mark() -> Markup {
    PreEscaped(MARK.to_owned())
}

/// A file that never changes under its address.
pub(crate) struct Asset {
    url: String,
    content: &'static str,
    media_type: &'static str,
}

impl Asset {
    fn new(name: &str, ending: &str, content: &'static str) -> Self {
        let digest = Digest::of(content.as_bytes());
        let media_type = match ending {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        Self { url: format!("/assets/{name}.{}.{ending}", digest.short()), content, media_type }
    }

    /// Where it is served.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// Routes of all assets.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    [&*STYLE, &*SCRIPT, &*ICON].into_iter().fold(Router::new(), |router, asset: &'static Asset| {
        let head =
            [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
        router.route(asset.url(), get(move || async move { (head, asset.content).into_response() }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_carry_the_content_and_the_script_stays_small() {
        assert!(STYLE.url().starts_with("/assets/style.") && STYLE.url().ends_with(".css"));
        assert!(SCRIPT.content.lines().count() <= 100);
        assert!(!STYLE.content.contains("http://") && !STYLE.content.contains("https://"), "nothing from outside");
    }
}
