//! `share`: what partners may read, tokens for them, and whether rows are those of a manifest.

use super::output::{Output, next, say};
use super::rows;
use super::target::Target;
use crate::error::{Error, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use tidemill_registry::TrustedKeys;
use tidemill_types::Digest;
use tidemill_validation::share::{ShareError, SignedManifest};

const EXAMPLES: &str = "\
Examples:
  tidemill share ls
  tidemill share token acme
  tidemill share verify manifest.json rows.parquet --trusted partner-keys.txt
Shares stand under share: in the project file; validation.flight is the address at which they are read by Arrow Flight.";

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// `tidemill share …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ShareCommand {
    /// List what is shared with whom.
    #[command(after_help = EXAMPLES)]
    Ls,
    /// Make a token for a partner. It is shown once; the file of tokens gets its digest.
    #[command(after_help = EXAMPLES)]
    Token(TokenArgs),
    /// Check the signature of a manifest, and that a file holds exactly its rows. Ends with 3 when they are not.
    #[command(after_help = EXAMPLES)]
    Verify(VerifyArgs),
}

/// Whose token.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Name of the partner, as under `share` in the project file.
    #[arg(value_name = "PARTNER")]
    partner: String,
}

/// What is checked.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The signed manifest, as the action `manifest` answers.
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// The rows, in Parquet; without it, only the signature is checked.
    #[arg(value_name = "FILE")]
    rows: Option<PathBuf>,
    /// File of the public keys that are believed, one line each: `ed25519 HEX`.
    #[arg(long, value_name = "FILE")]
    trusted: PathBuf,
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: ShareCommand) -> Result<u8> {
    match command {
        ShareCommand::Ls => list(target, out).await,
        ShareCommand::Token(args) => token(out, &args),
        ShareCommand::Verify(args) => verify(out, &args).await,
    }
}

async fn list(target: &Target, out: Output) -> Result<u8> {
    let spec = target.spec(&target.bus().await?).await?;
    let mut lines: Vec<Value> = Vec::new();
    for (name, share) in &spec.share {
        let Some(source) = spec.sources.get(&share.source) else { continue };
        for (partner, terms) in &share.partners {
            lines.push(json!({
                "share": name,
                "partner": partner,
                "source": share.source,
                "columns": share.columns_for(source, terms).join(" "),
                "where": share.conditions(terms).collect::<Vec<_>>().join(" and "),
                "until": terms.until,
                "purpose": share.purpose,
            }));
        }
    }
    out.rows(&["share", "partner", "source", "columns", "where", "until"], &lines)?;
    match target.instance.as_ref().map(|instance| instance.endpoints.shares.as_str()) {
        Some("") => say("the instance was started without validation.flight, so nothing is offered"),
        Some(url) => say(&format!("offered at {}", url.replacen("http", "grpc", 1))),
        None => {}
    }
    next("tidemill share token PARTNER");
    Ok(0)
}

fn token(out: Output, args: &TokenArgs) -> Result<u8> {
    let token = tidemill_servers::random_hex(TOKEN_BYTES)?;
    let line = format!("{} {}", args.partner, Digest::of(token.as_bytes()));
    out.record(&json!({"partner": args.partner, "token": token, "line": line}))?;
    say("give the token to the partner by a safe way, and add the line to the file that validation.tokens_file names");
    next("restart validation, which reads the file at its start");
    Ok(0)
}

async fn verify(out: Output, args: &VerifyArgs) -> Result<u8> {
    let trusted = TrustedKeys::load(&args.trusted)?;
    let text = std::fs::read(&args.manifest).map_err(Error::file("read", &args.manifest))?;
    let unreadable = |e: serde_json::Error| ShareError::Manifest(e.to_string());
    let signed: SignedManifest = serde_json::from_slice(&text).map_err(unreadable)?;
    let manifest = signed.verify(&trusted)?;
    if let Some(file) = &args.rows {
        manifest.check(&rows::parquet(file).await?)?;
    }
    out.record(&json!({
        "share": manifest.share,
        "partner": manifest.partner,
        "purpose": manifest.purpose,
        "version": manifest.version,
        "rows": manifest.rows,
        "content": manifest.content,
        "made_at": manifest.made_at,
        "signature": "good",
        "rows_checked": args.rows.is_some(),
    }))?;
    next("tidemill dataset profile FILE");
    Ok(0)
}
