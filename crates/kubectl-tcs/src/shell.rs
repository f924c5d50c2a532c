//! `completion` and `man`.

use crate::cli::Args;
use crate::error::Error;
use crate::output::Output;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

/// The name of the program, for which shells complete.
const PROGRAM: &str = "kubectl-tcs";

/// Prints the completions for a shell.
pub fn completion(shell: Shell, output: &mut Output<'_>) -> Result<(), Error> {
    // clap_complete writes into memory only, so that a closed pipe is an error and no panic.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command().bin_name(PROGRAM), PROGRAM, &mut text);
    Ok(output.out.write_all(&text)?)
}

/// Prints the manual page of the program and of each command, one after the other.
pub fn manual(output: &mut Output<'_>) -> Result<(), Error> {
    let mut command = Args::command();
    // Gives every command its full name.
    command.build();
    pages(&command, output)
}

fn pages(command: &Command, output: &mut Output<'_>) -> Result<(), Error> {
    clap_mangen::Man::new(command.clone()).render(&mut *output.out)?;
    let commands = command.get_subcommands().filter(|command| command.get_name() != "help");
    commands.into_iter().try_for_each(|command| pages(command, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Output<'_>) -> Result<(), Error>) -> String {
        let (mut out, mut messages) = (Vec::new(), Vec::new());
        write(&mut Output { json: false, out: &mut out, messages: &mut messages }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_is_completed_and_has_a_manual_page() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = written(|output| completion(shell, output));
            for verb in ["status", "why", "request", "renew", "inspect", "doctor"] {
                assert!(text.contains(verb), "{shell}: {verb}");
            }
        }
        let text = written(manual);
        assert!(text.contains("no\\-approve") && text.contains("offline"), "{text}");
    }
}
