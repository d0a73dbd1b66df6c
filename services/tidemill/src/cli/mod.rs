//! The command line: a noun, then a verb. Answers go to standard output, everything else to standard error.

mod classify;
mod cleaning;
mod dataset;
mod dead;
mod doctor;
mod events;
mod explain;
mod frame;
mod health;
mod history;
mod lifecycle;
mod lineage;
mod manual;
mod masking;
mod observe;
pub(crate) mod output;
mod predict;
mod profile;
mod progress;
mod project;
mod prompt;
mod quality;
mod rows;
mod secrets;
mod serve;
mod share;
mod source;
mod target;
mod wait;

use crate::demo::{self, DemoArgs};
use crate::error::{Error, Result};
use crate::roles::Role;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use output::{Format, Output};
use std::path::PathBuf;
use std::process::ExitCode;
use target::Target;
use tidemill_runtime::{Config, Environment as _, ProcessEnvironment, block_on};
use tidemill_telemetry::{Recent, Telemetry};

const EXAMPLES: &str = "\
Examples:
  tidemill demo                                     a year of flights through the whole loop
  tidemill up --project infra/examples/flights/project.yaml
  tidemill events publish --source weather rows.csv
  tidemill predict --key 12345
  tidemill status -o json
  tidemill doctor                                   is everything there, safe and answering
  tidemill explain TM0403                           what an error means, and what to do

Exit codes: 0 ok, 1 failed, 2 usage, 3 a check or gate said no, 4 unreachable, 5 done in part.";

/// Event-driven machine learning, from events to monitored predictions and back.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// How the answer is written.
    #[arg(
        id = "output",
        short = 'o',
        long = "output",
        global = true,
        value_enum,
        default_value = "table",
        value_name = "FORMAT"
    )]
    format: Format,
    /// Configuration file; TIDEMILL_CONFIG names one too.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, such as bus.url=nats://127.0.0.1:4222; repeatable.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Folder of the instance; by it, commands find a running one.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the story of a year of flights.
    Demo(DemoArgs),
    /// Run all roles in this process, beside a nats-server of its own.
    Up(serve::UpArgs),
    /// End the running instance in good order.
    Down(serve::DownArgs),
    /// Run some roles in this process, against a configured bus and store.
    Run(serve::RunArgs),
    /// Ask whether the process at admin.grpc works.
    Health(health::HealthArgs),
    /// Make the keys of all roles and what grants each its part.
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Show roles, lag, watermarks, champion and alerts.
    Status(observe::StatusArgs),
    /// Check and apply project specs.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// See where sources come from, and infer the schema of new ones.
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Publish and watch data events.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Look at refused events, send them again, or put them aside.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Look at tables, compare, tag, export and tidy them.
    #[command(subcommand)]
    Dataset(dataset::DatasetCommand),
    /// Ask what came from what.
    #[command(subcommand)]
    Lineage(lineage::LineageCommand),
    /// See what was decided about values and what it did, and have decisions proposed.
    #[command(subcommand)]
    Cleaning(cleaning::CleaningCommand),
    /// Judge files by rules, propose rules from history, write and read data contracts.
    #[command(subcommand)]
    Quality(quality::QualityCommand),
    /// See what partners may read, make tokens for them, check what was shared.
    #[command(subcommand)]
    Share(share::ShareCommand),
    /// Ask for a training run.
    Train(lifecycle::TrainArgs),
    /// Look at training runs.
    #[command(subcommand)]
    Runs(lifecycle::RunsCommand),
    /// Look at models, and move the champion.
    #[command(subcommand)]
    Models(lifecycle::ModelsCommand),
    /// Ask for a prediction.
    Predict(predict::PredictArgs),
    /// Show drift by window of event time.
    Drift(observe::DriftArgs),
    /// Check every dependency and every default of security, each with its mend.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor,
    /// Show the page of an error code: cause, remedy, example.
    Explain(explain::ExplainArgs),
    /// Write a completion script for a shell.
    Completions(manual::CompletionsArgs),
    /// Write manual pages.
    Man(manual::ManArgs),
}

/// Reads the command line, runs the command and gives its exit code.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output and is a success; the rest is a usage error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let color = !ProcessEnvironment.variables().iter().any(|(name, value)| name == "NO_COLOR" && !value.is_empty());
    let process = async {
        match dispatch(cli).await {
            Ok(code) => code,
            Err(error) => {
                output::fail(&error, color);
                error.exit_code()
            }
        }
    };
    match block_on(process) {
        Ok(code) => code,
        Err(error) => {
            let error = Error::from(error);
            output::fail(&error, color);
            ExitCode::from(error.exit_code())
        }
    }
}

impl Global {
    fn config(&self) -> Result<Config> {
        let mut settings = Vec::new();
        for setting in &self.settings {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| Error::Usage(format!("--set {setting}: expected KEY=VALUE, such as project=flights")))?;
            settings.push((key.to_owned(), value.to_owned()));
        }
        if let Some(dir) = &self.data_dir {
            settings.push(("data_dir".to_owned(), dir.display().to_string()));
        }
        Ok(Config::load_with(self.config.as_deref(), &ProcessEnvironment, &settings)?)
    }
}

/// Targets of libraries that tell every step at level info, or call a table that is yet to be made an error.
const TALKATIVE: &str = "async_nats=warn,buoyant_kernel=off,deltalake_core=warn,deltalake=warn";

/// Logs of a process that serves; short commands and the demo only warn, unless the configuration says otherwise.
fn telemetry(config: &Config, name: &str, serves: bool) -> Result<Telemetry> {
    let mut options = config.telemetry_options(name);
    options.roles = Role::ALL.map(Role::name).to_vec();
    if !serves && options.log == "info" {
        // A short command closes its connection by ending, and what it is denied is its own error.
        "warn,tidemill_bus::connection=off,buoyant_kernel=off".clone_into(&mut options.log);
    }
    // Whoever names a target has thought about it.
    if serves && !options.log.contains('=') {
        options.log = format!("{},{TALKATIVE}", options.log);
    }
    Ok(tidemill_telemetry::init(&options)?)
}

async fn dispatch(cli: Cli) -> Result<u8> {
    let Cli { global, command } = cli;
    let out = Output::new(global.format);
    match command {
        Command::Completions(args) => return manual::completions(out, &args, Cli::command()),
        Command::Man(args) => return manual::man(out, &args, Cli::command()),
        Command::Explain(args) => return explain::run(out, &args),
        Command::Source(source::SourceCommand::Infer(args)) => return source::look(out, args, &global.config()?).await,
        Command::Project(project::ProjectCommand::Validate { file }) => return project::validate(out, &file).await,
        _ => {}
    }
    let mut config = global.config()?;
    if !matches!(command, Command::Up(_) | Command::Run(_) | Command::Demo(_)) {
        // A short command opens no spans, and must not wait for a backend that is away.
        config.telemetry.otlp_endpoint = None;
    }
    let serves = matches!(command, Command::Up(_) | Command::Run(_));
    let telemetry = telemetry(&config, "tidemill", serves)?;
    let code = run(command, config, out, telemetry.recent()).await;
    telemetry.shutdown().await;
    code
}

async fn run(command: Command, config: Config, out: Output, recent: Recent) -> Result<u8> {
    match command {
        Command::Demo(args) => return exit_code(demo::run(args, recent).await.map_err(Error::Story)?),
        Command::Up(args) => return serve::up(config, args, recent).await,
        Command::Run(args) => return serve::run(config, args, recent).await,
        Command::Health(args) => return health::run(&config, out, &args).await,
        Command::Secrets(command) => return secrets::run(out, command),
        _ => {}
    }
    let target = Target::find(config)?;
    match command {
        Command::Down(args) => serve::down(&target, out, &args).await,
        Command::Status(args) => observe::status(&target, out, &args).await,
        Command::Project(command) => project::run(&target, out, command).await,
        Command::Source(command) => source::run(&target, out, command).await,
        Command::Events(command) => events::run(&target, out, command).await,
        Command::Dead(command) => dead::run(&target, out, command).await,
        Command::Dataset(command) => dataset::run(&target, out, command).await,
        Command::Lineage(command) => lineage::run(&target, out, command).await,
        Command::Cleaning(command) => cleaning::run(&target, out, command).await,
        Command::Quality(command) => quality::run(&target, out, command).await,
        Command::Share(command) => share::run(&target, out, command).await,
        Command::Train(args) => lifecycle::train(&target, out, args).await,
        Command::Runs(command) => lifecycle::runs(&target, out, command).await,
        Command::Models(command) => lifecycle::models(&target, out, command).await,
        Command::Predict(args) => predict::run(&target, out, args).await,
        Command::Drift(args) => observe::drift(&target, out, &args).await,
        Command::Doctor => doctor::run(&target, out).await,
        // Those that need no instance have ended above.
        Command::Health(_) | Command::Secrets(_) | Command::Demo(_) | Command::Up(_) | Command::Run(_) => Ok(0),
        Command::Completions(_) | Command::Man(_) | Command::Explain(_) => Ok(0),
    }
}

/// The demo speaks in exit codes of the standard library, which cannot be read back.
fn exit_code(code: ExitCode) -> Result<u8> {
    Ok(u8::from(code != ExitCode::SUCCESS))
}

/// The two ways of writing an instant: RFC 3339, or a date, meaning its first instant in UTC.
fn instant(text: &str) -> std::result::Result<tidemill_types::Millis, String> {
    tidemill_types::Millis::parse(text)
        .or_else(|| tidemill_types::Millis::parse(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| format!("\"{text}\" is no instant: write 2013-06-01 or 2013-06-01T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        // An option of a verb that shares its name with one of every command would be read as the wrong type.
        for line in ["events publish --source weather rows.csv --format arrow -o json", "demo --exit", "dead ls -o csv"]
        {
            Cli::try_parse_from(std::iter::once("tidemill").chain(line.split(' '))).unwrap();
        }
    }

    #[test]
    fn instants_are_dates_or_rfc_3339() {
        assert_eq!(instant("1970-01-02").unwrap().0, 86_400_000);
        assert_eq!(instant("1970-01-01T00:00:01Z").unwrap().0, 1_000);
        assert!(instant("tomorrow").is_err());
    }
}
