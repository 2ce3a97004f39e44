//! `key`, `doctor` and `serve --resign`, as people and monitoring use them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use smidgen_metadata::Sha256;

use crate::builds::build;
use crate::judge;
use crate::program::{Run, command, smidgen};
use crate::publisher::Publisher;

const PASSPHRASE: &str = "correct horse battery staple";

/// Rotates roles in three steps: draft `version`, signatures by whatever root keys are in `keys`, in force.
fn rotate(publisher: &Publisher, version: u64, words: &str) -> serde_json::Value {
    let (draft, last) = (format!("{version}.root.json"), version - 1);
    publisher.run(&format!("key rotate repo {words} --keys keys --out {draft} --json")).ends(0);
    let trusted = format!("repo/metadata/{last}.root.json");
    publisher.run(&format!("key sign-root {draft} --trusted {trusted} --keys keys")).ends(0);
    publisher.run(&format!("key publish-root repo {draft} --keys keys --json")).ends(0).json()
}

#[test]
fn python_tuf_follows_from_the_first_root_after_every_role_changed_keys() {
    let publisher = Publisher::with(&["routine"]);
    let server = publisher.serve();
    publisher.update(&server.url, "").ends(0);
    let rotations = [
        "timestamp",
        "snapshot",
        "targets",
        "root --key root-1",
        "root --key root-2",
        "root --key root-3",
        "targets snapshot timestamp --encrypt",
    ];
    for (version, words) in (2..).zip(rotations) {
        let report = match words.contains("--encrypt") {
            false => rotate(&publisher, version, words),
            true => {
                std::fs::write(publisher.dir().join("secret"), format!("{PASSPHRASE}\n")).unwrap();
                private(&publisher.dir().join("secret"));
                let secret = "--passphrase-file secret";
                let draft = format!("{version}.root.json");
                publisher.run(&format!("key rotate repo {words} --keys keys --out {draft} {secret}")).ends(0);
                let trusted = format!("repo/metadata/{}.root.json", version - 1);
                publisher.run(&format!("key sign-root {draft} --trusted {trusted} --keys keys")).ends(0);
                let locked = publisher.run(&format!("key publish-root repo {draft} --keys keys --json"));
                assert_eq!(locked.ends(1).error_code(), "key_locked");
                let put = format!("key publish-root repo {draft} --keys keys {secret} --json");
                publisher.run(&put).ends(0).json()
            }
        };
        assert_eq!((&report["outcome"], &report["version"]), (&"in_force".into(), &version.into()));
        assert_eq!(report["bridged"], true, "{report}");
        // Our own client, which has the root of last time.
        let seen = publisher.update(&server.url, "").ends(0).json();
        assert_eq!(seen["outcome"], "up_to_date", "{words}: {seen}");
    }
    let report = publisher.run("key rotate-release repo --keys keys --json").ends(1);
    assert_eq!(report.error_code(), "key_locked");
    let secret = "--passphrase-file secret --with keys/release-2.pub";
    let report =
        publisher.run(&format!("key rotate-release repo --keys keys {secret} --json")).ends(0).json();
    assert_eq!(report["retired"], serde_json::json!(["release"]));
    let publish = publisher.publish_words(1, "routine");
    let words: Vec<&str> = publish.split_whitespace().collect();
    let refused = Run::of(command(&words, publisher.dir()).output().unwrap()).ends(1);
    assert_eq!(refused.error_code(), "key_locked");
    let given = command(&words, publisher.dir()).env("SMIDGEN_PASSPHRASE", PASSPHRASE).output().unwrap();
    let published = Run::of(given).ends(0).json();
    assert_eq!(publisher.update(&server.url, "").ends(0).json()["outcome"], "updated");
    assert_eq!(publisher.installed(), build(1));

    let Some(python) = judge::python() else { return };
    let target = published["target"].as_str().unwrap();
    let digest = judge::download(&python, &publisher.dir().join("repo"), target);
    assert_eq!(digest, Sha256::of(&build(1)).to_string());
}

#[cfg(unix)]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The commands of `docs/keys.md`: lines in `console` blocks that begin with `$`.
fn documented() -> Vec<String> {
    let text = include_str!("../../../../docs/keys.md");
    let mut inside = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            inside = kind == "console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            commands.push(command.to_owned());
        }
    }
    commands
}

#[test]
fn the_ceremony_in_docs_keys_md_works_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_smidgen")).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(program.to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    let commands = documented();
    assert!(commands.len() > 20, "{commands:?}");
    for line in &commands {
        let mut shell = Command::new("sh");
        shell.args(["-euc", line]).current_dir(dir.path()).env("PATH", &path).stdin(Stdio::null());
        let run = Run::of(shell.output().unwrap());
        assert_eq!(run.code, Some(0), "`{line}`: {}{}", run.stdout, run.stderr);
    }
    assert!(dir.path().join("repo/metadata/5.root.json").exists());
    assert!(dir.path().join("keys/retired").is_dir());
}

#[test]
fn shows_what_a_draft_changes_before_anybody_signs_it() {
    let publisher = Publisher::new();
    let drafted =
        publisher.run("key rotate repo root --remove root-1 --threshold 1 --keys keys --out 2.root.json");
    let text = drafted.ends(0).stdout;
    assert!(text.contains("LOOK TWICE: 1 signatures would be enough for root, not 2"), "{text}");
    assert!(text.contains("signatures: 0 of 2 by keys of the old root, 0 of 1"), "{text}");
    let again = publisher.run("key renew repo --out 2.root.json --json").ends(2);
    assert_eq!(again.error_code(), "draft_exists");

    let sign = "key sign-root 2.root.json --trusted repo/metadata/1.root.json --keys keys";
    let before = std::fs::read(publisher.dir().join("2.root.json")).unwrap();
    let looked = publisher.run(&format!("{sign} --dry-run --json")).ends(0).json();
    assert_eq!(looked["surprises"][0]["code"], "threshold-lowered");
    assert_eq!(looked["signatures"]["complete"], false);
    let refused = publisher.run(&format!("{sign} --json")).ends(3);
    assert_eq!(refused.error_code(), "surprising_root");
    assert_eq!(std::fs::read(publisher.dir().join("2.root.json")).unwrap(), before);
    let signed = publisher.run(&format!("{sign} --accept threshold-lowered --json")).ends(0).json();
    assert_eq!(signed["signatures"]["complete"], true);
    assert_eq!(signed["signed"].as_array().unwrap().len(), 3);

    let draft_as_root = "key sign-root 2.root.json --trusted 3.root.json --keys keys --json";
    publisher.run("key renew repo --out 3.root.json").ends(0);
    assert_eq!(publisher.run(draft_as_root).ends(3).error_code(), "signature_threshold");
}

#[test]
fn lists_keys_and_what_they_may_sign_without_opening_any() {
    let publisher = Publisher::new();
    let made = Run::of(
        command(&["key", "generate", "spare", "--keys", "keys", "--encrypt", "--json"], publisher.dir())
            .env("SMIDGEN_PASSPHRASE", PASSPHRASE)
            .output()
            .unwrap(),
    );
    let made = made.ends(0).json();
    std::fs::remove_file(publisher.dir().join("keys/root-3.pem")).unwrap();
    let report = publisher.run("key list repo --keys keys --json").ends(0).json();
    let key = |name: &str| {
        let keys = report["keys"].as_array().unwrap();
        keys.iter().find(|key| key["name"] == name).unwrap_or_else(|| panic!("{report}")).clone()
    };
    assert_eq!((&key("spare")["form"], &key("spare")["id"]), (&"encrypted".into(), &made["id"]));
    assert_eq!(key("spare")["roles"].as_array().unwrap().len(), 0);
    assert_eq!(key("root-3")["form"], "public_only");
    assert_eq!(key("timestamp")["roles"], serde_json::json!(["timestamp"]));
    let roles = report["roles"].as_array().unwrap();
    assert_eq!(roles.len(), 4, "nothing is delegated before the first product: {report}");
    assert_eq!(publisher.run("key generate spare --keys keys --json").ends(1).error_code(), "key_exists");
    assert_eq!(publisher.run("key generate ../x --keys keys --json").ends(2).error_code(), "usage");
}

#[test]
fn nobody_is_asked_for_a_passphrase_where_nobody_sits() {
    let dir = tempfile::tempdir().unwrap();
    let run = smidgen(dir.path(), "key generate root-1 --keys keys --encrypt --json").ends(1);
    assert_eq!(run.error_code(), "no_passphrase");
    assert!(run.stderr.contains("set SMIDGEN_PASSPHRASE"), "{}", run.stderr);
    std::fs::write(dir.path().join("secret"), PASSPHRASE).unwrap();
    let words = "key generate root-1 --keys keys --encrypt --passphrase-file secret --json";
    #[cfg(unix)]
    assert_eq!(smidgen(dir.path(), words).ends(1).error_code(), "passphrase_exposed");
    private(&dir.path().join("secret"));
    let report = smidgen(dir.path(), words).ends(0).json();
    assert_eq!(report["encrypted"], true);
}

#[test]
fn doctor_tells_monitoring_by_its_exit_code() {
    let publisher = Publisher::with(&["routine"]);
    let well = publisher.run("doctor repo --json").ends(0).json();
    assert_eq!((&well["level"], &well["repository"]), (&"ok".into(), &"tests".into()));
    let roles: Vec<&str> =
        well["roles"].as_array().unwrap().iter().map(|role| role["role"].as_str().unwrap()).collect();
    assert_eq!(roles.len(), 6, "{roles:?}");
    for role in ["root", "targets", "hello", "snapshot", "timestamp"] {
        assert!(roles.contains(&role), "{roles:?}");
    }
    let keys = publisher.run("doctor repo --keys keys --json").ends(8).json();
    let codes: Vec<&str> = keys["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["root_key_online"; 3]);
    publisher.run("doctor repo --warn timestamp=80h").ends(8);
    let critical = publisher.run("doctor repo --critical 80h").ends(7);
    assert!(critical.stdout.contains("critical[expires_soon] timestamp"), "{}", critical.stdout);
    assert_eq!(publisher.run("doctor nowhere --json").ends(1).error_code(), "bad_location");
    publisher.run("doctor repo --warn soon").ends(2);
}

#[test]
fn the_server_signs_again_by_itself_and_logs_what_fails() {
    let publisher = Publisher::new();
    let version = || {
        let text = std::fs::read(publisher.dir().join("repo/metadata/timestamp.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["signed"]["version"].as_u64().unwrap()
    };
    let before = version();
    let start = || {
        let words = [
            "serve",
            "repo",
            "--listen",
            "127.0.0.1:0",
            "--resign",
            "--keys",
            "keys",
            "--resign-every",
            "1s",
        ];
        let words = [&words[..], &["--log-format", "json"]].concat();
        command(&words, publisher.dir()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let end = |mut server: std::process::Child| {
        crate::server::send("TERM", &server);
        assert_eq!(server.wait().unwrap().code(), Some(0));
    };
    // The log is kept open to the end: a server whose log goes nowhere has other worries.
    let mut server = start();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let signed =
        log.by_ref().map_while(Result::ok).filter(|line| line.contains("signed again")).take(3).count();
    assert_eq!(signed, 3);
    end(server);
    assert!(version() >= before + 3);

    std::fs::remove_file(publisher.dir().join("keys/timestamp.pem")).unwrap();
    let mut server = start();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let failed = log.by_ref().map_while(Result::ok).find(|line| line.contains("failed to sign again"));
    assert!(failed.unwrap().contains("\"code\":\"key_missing\""));
    end(server);
}
