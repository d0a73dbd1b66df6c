//! `completions` and `man`: what shells and manual readers want to know of the command line.

use super::output::{Output, next, say};
use crate::error::{Error, Result};
use clap::{Args, Command};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tidemill completions bash > ~/.local/share/bash-completion/completions/tidemill
  tidemill completions zsh > ~/.zfunc/_tidemill
  tidemill completions fish > ~/.config/fish/completions/tidemill.fish
  tidemill completions powershell >> $PROFILE";

/// `tidemill completions`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

const MAN_EXAMPLES: &str = "\
Examples:
  tidemill man | man -l -
  tidemill man --out ~/.local/share/man/man1      one page a command, then: man tidemill-events-publish";

/// `tidemill man`.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(super) struct ManArgs {
    /// Write the pages of all commands to this folder; without it, the first page goes to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes the completion script of a shell.
pub(super) fn completions(out: Output, args: &CompletionsArgs, mut command: Command) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tidemill", &mut script);
    out.bytes(&script)?;
    Ok(0)
}

/// Writes manual pages.
pub(super) fn man(out: Output, args: &ManArgs, command: Command) -> Result<u8> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        out.bytes(&page)?;
        return Ok(0);
    };
    std::fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    clap_mangen::generate_to(command, folder).map_err(Error::file("write manual pages to", folder))?;
    say(&format!("wrote {} pages to {}", pages(folder)?, folder.display()));
    next(&format!("man {}", folder.join("tidemill.1").display()));
    Ok(0)
}

fn pages(folder: &Path) -> Result<usize> {
    let entries = std::fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok().map(|entry| entry.file_name());
    Ok(entries.filter_map(name).filter(|name| name.to_string_lossy().starts_with("tidemill")).count())
}
