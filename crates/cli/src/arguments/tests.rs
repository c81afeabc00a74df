use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _};

use super::*;

/// Every command beneath this one with its way there.
fn walk(path: &str, command: &Command, visit: &mut impl FnMut(&str, &Command)) {
    visit(path, command);
    for below in command.get_subcommands() {
        walk(&format!("{path} {}", below.get_name()), below, visit);
    }
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_verb_says_what_it_is_for_and_shows_an_example() {
    walk("headwater", &Arguments::command(), &mut |path, command| {
        assert!(command.get_about().is_some(), "`{path}` says nothing of what it is for");
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Example"), "`{path}` shows no example:\n{help}");
        assert!(help.contains(&format!("\n  {path}")), "no example of `{path}` starts with it:\n{help}");
    });
}

#[test]
fn help_and_version_are_there() {
    let parse = |line: &str| Arguments::try_parse_from(line.split_whitespace());
    assert_eq!(parse("headwater --help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert_eq!(parse("headwater completions --help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert_eq!(parse("headwater --version").unwrap_err().kind(), ErrorKind::DisplayVersion);
}

#[test]
fn what_makes_no_sense_is_a_matter_of_usage() {
    for line in ["headwater", "headwater nonsense", "headwater completions", "headwater completions zsh --timeout 5"] {
        let error = Arguments::try_parse_from(line.split_whitespace()).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}
