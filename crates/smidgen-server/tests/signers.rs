//! Keys and signatures of other programs: OpenSSL reads our key files, we read its, and it signs in our place.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail loudly")]

mod scene;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use scene::Scene;
use smidgen_metadata::PublicKey;
use smidgen_metadata::sign::Signer;
use smidgen_server::keys::{KeyForm, KeyName, Keys, Passphrase, Protection, read_public};
use smidgen_server::resign::{ResignScope, resign};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "correct horse battery staple";

/// Runs OpenSSL in `folder`; `None`, loudly, where it is not installed.
fn openssl(folder: &Path, words: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(words).current_dir(folder).env("PASSPHRASE", PASSPHRASE);
    let Ok(output) = command.output() else {
        assert!(std::env::var_os("CI").is_none(), "OpenSSL must judge on CI");
        let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: there is no OpenSSL to judge our keys\n");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words:?}: {said}");
    Some(output.stdout)
}

fn keys(folder: &Path) -> Keys {
    let given = Passphrase(Zeroizing::new(PASSPHRASE.to_owned()));
    Keys::make_folder(folder, None).unwrap().with_passphrases(Arc::new(given))
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn private(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn write_program(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Signs for `public` with a program whose text this is.
fn signer(folder: &Path, public: &Path, program: &str, timeout: u64) -> Box<dyn Signer> {
    write_program(&folder.join("sign"), program);
    let description = format!("command = [\"./sign\"]\ntimeout_seconds = {timeout}\n");
    std::fs::write(folder.join("token.exec"), description).unwrap();
    std::fs::copy(public, folder.join("token.pub")).unwrap();
    keys(folder).signer(&name("token")).unwrap()
}

fn refusal(signer: &dyn Signer) -> String {
    signer.sign(b"message").unwrap_err().to_string()
}

#[test]
fn openssl_opens_our_keys_and_finds_the_same_public_key() {
    let home = tempfile::tempdir().unwrap();
    let keys = keys(home.path());
    keys.generate(&name("plain"), &Protection::None).unwrap();
    let secret = Protection::Passphrase(Zeroizing::new(PASSPHRASE.to_owned()));
    keys.generate(&name("encrypted"), &secret).unwrap();
    for key in ["plain", "encrypted"] {
        let file = format!("{key}.pem");
        let words = ["pkey", "-in", &file, "-passin", "env:PASSPHRASE", "-pubout"];
        let Some(theirs) = openssl(home.path(), &words) else { return };
        let ours = std::fs::read(home.path().join(format!("{key}.pub"))).unwrap();
        assert_eq!(String::from_utf8_lossy(&theirs), String::from_utf8_lossy(&ours), "{key}");
    }
    let wrong = ["pkey", "-in", "encrypted.pem", "-passin", "pass:wrong", "-noout"];
    let refused = Command::new("openssl").args(wrong).current_dir(home.path()).output().unwrap();
    assert!(!refused.status.success(), "it is really encrypted");
}

#[test]
fn we_open_keys_that_openssl_encrypted() {
    let home = tempfile::tempdir().unwrap();
    let keys = keys(home.path());
    for (key, words) in [
        ("pbkdf2", &["genpkey", "-algorithm", "ed25519", "-aes-256-cbc", "-pass", "env:PASSPHRASE"][..]),
        ("plain", &["genpkey", "-algorithm", "ed25519"]),
    ] {
        let file = format!("{key}.pem");
        let Some(_) = openssl(home.path(), &[words, &["-out", &file]].concat()) else { return };
        private(&home.path().join(&file));
    }
    let scrypt = [
        "pkcs8",
        "-topk8",
        "-scrypt",
        "-in",
        "plain.pem",
        "-out",
        "scrypt.pem",
        "-passout",
        "env:PASSPHRASE",
    ];
    openssl(home.path(), &scrypt).unwrap();
    private(&home.path().join("scrypt.pem"));
    for key in ["pbkdf2", "plain", "scrypt"] {
        let (secret, public) = (format!("{key}.pem"), format!("{key}.pub"));
        let words = ["pkey", "-in", &secret, "-passin", "env:PASSPHRASE", "-pubout", "-out", &public];
        openssl(home.path(), &words).unwrap();
        let theirs = read_public(&home.path().join(&public)).unwrap();
        assert_eq!(keys.signer(&name(key)).unwrap().public_key(), theirs, "{key}");
    }
}

#[tokio::test]
async fn openssl_signs_timestamp_in_our_place_and_clients_follow() {
    let scene = Scene::new().await;
    let folder = scene.keys.folder().to_owned();
    if openssl(&folder, &["version"]).is_none() {
        return;
    }
    // The secret goes to where only the other program finds it.
    let vault = scene.home.path().join("vault");
    std::fs::create_dir(&vault).unwrap();
    let secret = vault.join("timestamp.pem");
    std::fs::rename(scene.keys.path(&KeyName::TIMESTAMP), &secret).unwrap();
    let program = format!(
        "cat > '{0}/message' && echo \"$SMIDGEN_KEY_NAME $SMIDGEN_KEY_ID\" > '{0}/asked' && \
         exec openssl pkeyutl -sign -rawin -inkey '{1}' -in '{0}/message'",
        vault.display(),
        secret.display()
    );
    write_program(&vault.join("sign"), &program);
    let description = format!("command = [\"{}\"]", vault.join("sign").display());
    std::fs::write(folder.join("timestamp.exec"), description).unwrap();
    let forms: Vec<KeyForm> = scene.keys.list().unwrap().iter().map(|entry| entry.form).collect();
    assert_eq!(forms.iter().filter(|form| **form == KeyForm::External).count(), 1);

    let before = scene.repository.load().await.unwrap().timestamp().header.version;
    resign(&scene.repository, &scene.keys, ResignScope::TimestampOnly, &()).await.unwrap();
    let after = scene.repository.load().await.unwrap();
    assert_eq!(after.timestamp().header.version, before + 1);
    scene.client();
    let asked = std::fs::read_to_string(vault.join("asked")).unwrap();
    let id = read_public(&folder.join("timestamp.pub")).unwrap().id();
    assert_eq!(asked.trim(), format!("timestamp {id}"));
}

#[test]
fn a_program_that_does_not_sign_is_told_from_one_that_signs_badly() {
    let home = tempfile::tempdir().unwrap();
    let key = keys(home.path());
    let public: PublicKey = key.generate(&name("other"), &Protection::None).unwrap();
    let other = home.path().join("other.pub");
    let sign = |program: &str, timeout| signer(home.path(), &other, program, timeout);
    assert_eq!(sign("exit 0", 5).public_key(), public);

    let failing = refusal(&*sign("echo 'slot 7: \u{1b}[31mPIN locked' >&2; exit 3", 5));
    assert!(failing.contains("exit status: 3: slot 7:") && failing.contains("PIN locked"), "{failing}");
    assert!(!failing.contains('\u{1b}'), "what a program says does not drive a terminal");
    let silent = refusal(&*sign("exit 0", 5));
    assert!(silent.contains("printed 0 bytes; expected a signature of 64 bytes"), "{silent}");
    let slow = refusal(&*sign("exec sleep 600", 1));
    assert!(slow.contains("gave no signature within 1 seconds"), "{slow}");
    let lingering = refusal(&*sign("exec >&-; exec sleep 600", 1));
    assert!(lingering.contains("within 1 seconds"), "{lingering}");
    let endless = refusal(&*sign("exec cat /dev/zero", 60));
    assert!(endless.contains("printed more than 4096 bytes"), "{endless}");
    let deaf = refusal(&*sign("exec <&-; head -c 10 /dev/zero", 5));
    assert!(deaf.contains("printed 10 bytes"), "{deaf}");
    // 64 bytes that are no signature get as far as the envelope, and no further.
    assert!(sign("head -c 64 /dev/zero", 5).sign(b"message").is_ok());

    std::fs::remove_file(home.path().join("sign")).unwrap();
    let missing = refusal(&*key.signer(&name("token")).unwrap());
    assert!(missing.contains("did not start"), "{missing}");
}

#[tokio::test]
async fn a_wrong_signature_of_another_program_never_reaches_the_repository() {
    let scene = Scene::new().await;
    let folder = scene.keys.folder().to_owned();
    std::fs::remove_file(scene.keys.path(&KeyName::TIMESTAMP)).unwrap();
    write_program(&folder.join("sign"), "head -c 64 /dev/zero");
    std::fs::write(folder.join("timestamp.exec"), "command = [\"./sign\"]").unwrap();
    let before = std::fs::read(scene.folder().join("metadata/timestamp.json")).unwrap();
    let error = resign(&scene.repository, &scene.keys, ResignScope::TimestampOnly, &()).await.unwrap_err();
    assert_eq!(error.code(), "sign_failed");
    assert!(error.to_string().contains("does not verify"), "{error}");
    assert_eq!(std::fs::read(scene.folder().join("metadata/timestamp.json")).unwrap(), before);
}

#[test]
fn a_description_that_others_can_change_starts_nothing() {
    let home = tempfile::tempdir().unwrap();
    let keys = keys(home.path());
    keys.generate(&name("other"), &Protection::None).unwrap();
    signer(home.path(), &home.path().join("other.pub"), "touch started", 5);
    let path = home.path().join("token.exec");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    assert_eq!(keys.signer(&name("token")).unwrap_err().code(), "key_exposed");
    private(&path);
    for bad in ["", "command = []", "command = [\"\"]", "command = 7", "command = [\"a\"]\nshell = true", "{"]
    {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(keys.signer(&name("token")).unwrap_err().code(), "bad_external_signer", "{bad:?}");
    }
    std::fs::write(&path, "command = [\"a\"]\ntimeout_seconds = 0").unwrap();
    assert_eq!(keys.signer(&name("token")).unwrap_err().code(), "bad_external_signer");
    std::fs::remove_file(home.path().join("token.pub")).unwrap();
    assert_eq!(keys.signer(&name("token")).unwrap_err().code(), "public_key_missing");
}
