//! What the program says about itself: help, completions, manual pages, usage errors.

use crate::program::smidgen;

#[test]
fn help_is_as_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let top = smidgen(dir.path(), "--help").ends(0).stdout;
    insta::assert_snapshot!("help", top);
    for name in commands(&top) {
        let help = smidgen(dir.path(), &format!("{name} --help")).ends(0).stdout;
        insta::assert_snapshot!(format!("help-{name}"), help);
        for inner in commands(&help) {
            let help = smidgen(dir.path(), &format!("{name} {inner} --help")).ends(0).stdout;
            insta::assert_snapshot!(format!("help-{name}-{inner}"), help);
        }
    }
}

#[test]
fn writes_completions_for_every_shell() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = smidgen(dir.path(), &format!("completions {shell}")).ends(0).stdout;
        assert!(script.contains("smidgen"), "{shell}: {script}");
        let report = smidgen(dir.path(), &format!("completions {shell} --json")).ends(0).json();
        assert_eq!(report["script"], script);
    }
}

#[test]
fn writes_a_manual_page_for_each_command() {
    let dir = tempfile::tempdir().unwrap();
    let report = smidgen(dir.path(), "man pages --json").ends(0).json();
    let top = smidgen(dir.path(), "--help").ends(0).stdout;
    for name in commands(&top) {
        let page = std::fs::read_to_string(dir.path().join(format!("pages/smidgen-{name}.1"))).unwrap();
        assert!(page.contains("Examples:"), "{name}");
    }
    assert_eq!(report["pages"].as_array().unwrap().len(), commands(&top).len() + 1);
}

#[test]
fn refuses_a_senseless_command_line_as_text_and_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let text = smidgen(dir.path(), "frobnicate").ends(2);
    assert!(text.stderr.contains("frobnicate"), "{}", text.stderr);
    assert_eq!(text.stdout, "");
    let json = smidgen(dir.path(), "frobnicate --json").ends(2);
    assert_eq!(json.error_code(), "usage");
    assert_eq!(json.json()["error"]["exit_code"], 2);
}

/// It was listed among the commands that are expected.
#[test]
fn does_not_list_a_hidden_command_when_none_is_given() {
    let dir = tempfile::tempdir().unwrap();
    for words in ["--json", "--quiet"] {
        let run = smidgen(dir.path(), words).ends(2);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains("inspect") && !told.contains("prove"), "{told}");
    }
}

/// The text was of a type of the language.
#[test]
fn says_how_many_threads_there_may_be() {
    let dir = tempfile::tempdir().unwrap();
    for words in ["diff old new patch --threads 0", "gen-deltas release.toml repo --keys keys --threads 0"] {
        let run = smidgen(dir.path(), &format!("{words} --json")).ends(2);
        assert_eq!(run.error_code(), "usage");
        let told = run.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains("expected a number of threads, 1 at least"), "{told}");
    }
}

/// The commands that the help lists, without clap's own `help`.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
