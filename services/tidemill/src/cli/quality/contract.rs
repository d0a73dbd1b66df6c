//! `quality contract`: sources and rules as a data contract of ODCS 3.1, and back.

use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use crate::projects;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tidemill_quality::contract::{Imported, export, import};
use tidemill_spec::{flow, read_yaml, write_yaml};

const EXAMPLES: &str = "\
Examples:
  tidemill quality contract export infra/examples/flights/project.yaml > flights.odcs.yaml
  tidemill quality contract import flights.odcs.yaml";

/// `tidemill quality contract …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) enum ContractCommand {
    /// Write the contract of a project file, or of the project in force.
    #[command(after_help = EXAMPLES)]
    Export {
        /// The project file.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Read a contract and write its sources and rules. Ends with 5 when parts of it have no counterpart.
    #[command(after_help = EXAMPLES)]
    Import {
        /// The contract, YAML or JSON.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) async fn run(target: &Target, out: Output, command: ContractCommand) -> Result<u8> {
    match command {
        ContractCommand::Export { file } => {
            let spec = match &file {
                Some(file) => {
                    let text = read(file)?;
                    projects::check(&text).map_err(Error::in_file(file, &text))?
                }
                None => target.spec(&target.bus().await?).await?,
            };
            let contract = export(&spec.project, &spec.sources, &spec.quality);
            match out.is_table() {
                true => out.text("contract", &write_yaml(&contract)?)?,
                false => out.record(&contract)?,
            }
            Ok(0)
        }
        ContractCommand::Import { file } => {
            let text = read(&file)?;
            let contract: Value = read_yaml(&text).map_err(|e| Error::in_file(&file, &text)(e.into()))?;
            let imported = import(&contract)?;
            match out.is_table() {
                true => out.text("project", &block(&imported))?,
                false => out.record(&json!(imported))?,
            }
            for remark in &imported.assumed {
                say(&format!("assumed: {remark}"));
            }
            for remark in &imported.not_taken {
                say(&format!("not taken: {remark}"));
            }
            next("put this into a project file, then tidemill project validate FILE");
            Ok(if imported.not_taken.is_empty() { 0 } else { 5 })
        }
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(Error::file("read", file))
}

/// The sections `sources` and `quality` as project files have them.
fn block(imported: &Imported) -> String {
    let mut text = "sources:\n".to_owned();
    for (name, source) in &imported.sources {
        text.push_str(&format!("  {name}:\n"));
        let written = json!(source);
        for (key, value) in written.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            match value {
                Value::Object(columns) if key == "columns" => {
                    text.push_str("    columns:\n");
                    for (column, declared) in columns {
                        text.push_str(&format!("      {column}: {}\n", flow(declared)));
                    }
                }
                other => text.push_str(&format!("    {key}: {}\n", flow(other))),
            }
        }
    }
    if !imported.quality.is_empty() {
        text.push_str("quality:\n");
    }
    for (name, rules) in &imported.quality {
        text.push_str(&format!("  {name}:\n"));
        for rule in rules {
            text.push_str(&format!("    - {}\n", rule.to_line()));
        }
    }
    text
}
