//! Keys as files: made once, private, found by what they are.

use super::*;

fn scene() -> (tempfile::TempDir, Store, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let repository = home.path().join("repository");
    std::fs::create_dir(&repository).unwrap();
    let store = Store::folder(&repository).unwrap();
    let keys = home.path().join("keys");
    (home, store, keys)
}

#[test]
fn makes_seven_private_keys_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_home, store, folder) = scene();
    let keys = Keys::create(&folder, &store).unwrap();
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let first = std::fs::read(keys.path(&KeyName::TARGETS)).unwrap();
    for name in &KeyName::of_new_repository() {
        assert_eq!(keys.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        keys.signer(name).unwrap();
    }
    Keys::create(&folder, &store).unwrap();
    assert_eq!(std::fs::read(keys.path(&KeyName::TARGETS)).unwrap(), first);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 14);
}

#[test]
fn refuses_a_folder_inside_the_repository() {
    let (home, store, _) = scene();
    let repository = home.path().join("repository");
    let error = Keys::create(&repository.join("keys"), &store).unwrap_err();
    assert_eq!(error.code(), "key_in_repository");
    assert!(!repository.join("keys").exists());

    std::os::unix::fs::symlink(&repository, home.path().join("elsewhere")).unwrap();
    let error = Keys::create(&home.path().join("elsewhere/deep/keys"), &store).unwrap_err();
    assert_eq!(error.code(), "key_in_repository");
    assert_eq!(std::fs::read_dir(&repository).unwrap().count(), 0);
}

#[test]
fn refuses_a_key_that_is_a_link_into_the_repository() {
    let (home, store, folder) = scene();
    let keys = Keys::create(&folder, &store).unwrap();
    let inside = home.path().join("repository/targets.pem");
    std::fs::rename(keys.path(&KeyName::TARGETS), &inside).unwrap();
    std::os::unix::fs::symlink(&inside, keys.path(&KeyName::TARGETS)).unwrap();
    assert_eq!(keys.signer(&KeyName::TARGETS).unwrap_err().code(), "key_in_repository");
}

#[test]
fn refuses_a_key_that_others_can_read_and_says_chmod() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_home, store, folder) = scene();
    let keys = Keys::create(&folder, &store).unwrap();
    let path = keys.path(&KeyName::SNAPSHOT);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = keys.signer(&KeyName::SNAPSHOT).unwrap_err();
    assert_eq!(error.code(), "key_exposed");
    assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
}

#[test]
fn tells_a_missing_key_from_a_damaged_one() {
    let (_home, store, folder) = scene();
    assert_eq!(Keys::open(&folder, &store).unwrap_err().code(), "key_missing");
    let keys = Keys::create(&folder, &store).unwrap();
    std::fs::write(keys.path(&KeyName::TARGETS), "-----BEGIN NONSENSE-----").unwrap();
    assert_eq!(keys.signer(&KeyName::TARGETS).unwrap_err().code(), "key_malformed");
    std::fs::remove_file(keys.path(&KeyName::TARGETS)).unwrap();
    assert_eq!(keys.signer(&KeyName::TARGETS).unwrap_err().code(), "key_missing");
}

fn public(keys: &Keys, name: &KeyName) -> PublicKey {
    read_public(&keys.path(name).with_extension("pub")).unwrap()
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase(Zeroizing::new(text.to_owned()))
}

/// What a signer could not be had for.
fn refusal<T>(result: Result<T, KeysError>) -> KeysError {
    result.err().unwrap()
}

#[test]
fn finds_keys_by_what_they_are_and_not_by_their_names() {
    let (_home, store, folder) = scene();
    let keys = Keys::create(&folder, &store).unwrap();
    let name = "a-token".parse().unwrap();
    let other = keys.generate(&name, &Protection::None).unwrap();
    let own = public(&keys, &KeyName::TIMESTAMP);

    let signers = keys.signers("timestamp", [&other], 1).unwrap();
    assert_eq!(signers[0].public_key(), other);
    assert_eq!(keys.signers("timestamp", [&other, &own], 2).unwrap().len(), 2);
    assert_eq!(keys.signers("timestamp", [&other, &own], 1).unwrap().len(), 1, "no more than needed");
    assert!(keys.can_sign([&other, &own], 2).unwrap() && !keys.can_sign([&own], 2).unwrap());

    let stranger = SecretKey::generate().unwrap().public_key();
    let error = refusal(keys.signers("timestamp", [&stranger], 1));
    assert_eq!(error.code(), "wrong_key");
    assert!(error.to_string().contains("timestamp.pem"), "{error}");
    assert_eq!(refusal(keys.signers("editor", [&stranger], 1)).code(), "key_missing");
    let error = refusal(keys.signers("editor", [&stranger, &other], 2));
    assert_eq!(error.code(), "signature_threshold");
}

#[test]
fn a_key_that_lies_there_twice_counts_once() {
    let (_home, store, folder) = scene();
    let keys = Keys::create(&folder, &store).unwrap();
    let copy: KeyName = "copy".parse().unwrap();
    std::fs::copy(keys.path(&KeyName::TARGETS), keys.path(&copy)).unwrap();
    let own = public(&keys, &KeyName::TARGETS);
    assert_eq!(public_of(&keys, &copy), own, "told from the secret, without a public file");
    assert_eq!(refusal(keys.signers("targets", [&own], 2)).code(), "signature_threshold");
}

fn public_of(keys: &Keys, name: &KeyName) -> PublicKey {
    keys.list().unwrap().into_iter().find(|entry| entry.name == *name).unwrap().public.unwrap()
}

#[test]
fn an_encrypted_key_is_listed_without_its_passphrase_and_signs_with_it() {
    let (_home, store, folder) = scene();
    let keys = Keys::make_folder(&folder, Some(&store)).unwrap();
    let secret = Protection::Passphrase(Zeroizing::new("correct horse".to_owned()));
    let own = keys.generate(&KeyName::TARGETS, &secret).unwrap();
    let text = std::fs::read_to_string(keys.path(&KeyName::TARGETS)).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{text}");
    assert_eq!(keys.list().unwrap()[0].form, KeyForm::Encrypted);
    assert_eq!(public_of(&keys, &KeyName::TARGETS), own);

    assert_eq!(refusal(keys.signers("targets", [&own], 1)).code(), "key_locked");
    let wrong = keys.clone().with_passphrases(Arc::new(passphrase("correct house")));
    assert_eq!(refusal(wrong.signers("targets", [&own], 1)).code(), "wrong_passphrase");
    let right = keys.clone().with_passphrases(Arc::new(passphrase("correct horse")));
    assert_eq!(right.signers("targets", [&own], 1).unwrap()[0].public_key(), own);

    std::fs::remove_file(keys.path(&KeyName::TARGETS).with_extension("pub")).unwrap();
    let error = refusal(right.signers("targets", [&own], 1));
    assert_eq!(error.code(), "public_key_missing");
    assert_eq!(keys.ensure(&KeyName::TARGETS, &secret).unwrap(), own, "and can be made again");
}

#[test]
fn a_public_file_of_another_key_does_not_pass_for_it() {
    let (_home, store, folder) = scene();
    let keys = Keys::create(&folder, &store).unwrap();
    let path = |name| keys.path(name).with_extension("pub");
    std::fs::copy(path(&KeyName::SNAPSHOT), path(&KeyName::TARGETS)).unwrap();
    let planted = public(&keys, &KeyName::SNAPSHOT);
    std::fs::remove_file(keys.path(&KeyName::SNAPSHOT)).unwrap();
    assert_eq!(refusal(keys.signers("targets", [&planted], 1)).code(), "key_halves_differ");
}

#[test]
fn never_makes_a_key_over_another() {
    let (_home, store, folder) = scene();
    let keys = Keys::create(&folder, &store).unwrap();
    let before = std::fs::read(keys.path(&KeyName::TARGETS)).unwrap();
    let error = keys.generate(&KeyName::TARGETS, &Protection::None).unwrap_err();
    assert_eq!(error.code(), "key_exists");
    assert_eq!(std::fs::read(keys.path(&KeyName::TARGETS)).unwrap(), before);
}
