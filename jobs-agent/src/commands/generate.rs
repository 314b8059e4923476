//! Manual pages and completions, out of the command line's own description.

use std::{fs, io, path::Path};

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};

use super::Cli;

/// Writes them into `dir`, which is made if missing.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let command = Cli::command();
    clap_mangen::generate_to(command.clone(), dir)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command.clone(), "jobs-agent", dir)?;
    }
    Ok(())
}
