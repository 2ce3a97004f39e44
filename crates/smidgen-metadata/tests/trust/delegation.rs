//! Searches through delegated roles: the order of the visits, what ends them, and who may sign.

use std::collections::BTreeSet;

use smidgen_metadata::sign::{Signer as _, sign_role};
use smidgen_metadata::{
    Authority, BuildLine, Delegated, Limits, RoleName, Scope, Sha256, Stored, VerifyError,
};

use crate::follower::Follower;
use crate::graph::{Graph, bins, delegate_key, delegations, offer, paths, to, walk};
use crate::publisher::{key, start};
use crate::release::{line, line_of};

/// Roles that a search for a path that nobody lists comes by.
fn visits(edges: &[(&str, &str, &str)], path: &str) -> Vec<String> {
    let mut graph = Graph::of(edges);
    graph.publish();
    let searched = graph.search(path);
    assert_eq!(searched.found, Ok(None));
    searched.visited
}

#[test]
fn delegations_are_searched_in_pre_order() {
    let all = "*";
    for (edges, expected) in [
        (vec![("targets", "A", all)], "A"),
        (vec![("targets", "A", all), ("targets", "B", all)], "AB"),
        (vec![("targets", "B", all), ("targets", "A", all)], "BA"),
        (vec![("targets", "A", all), ("targets", "B", all), ("B", "C", all)], "ABC"),
        (vec![("targets", "A", all), ("targets", "B", all), ("A", "C", all), ("A", "D", all)], "ACDB"),
        (vec![("targets", "A", all), ("targets", "B", all), ("A", "C", all), ("C", "D", all)], "ACDB"),
        // Terminating: neither siblings after it nor what waits further up; its own delegations still count.
        (vec![("targets", "A", all), ("targets", "B", all), ("A", "C!", all), ("A", "D", all)], "AC"),
        (vec![("targets", "A", all), ("targets", "B", all), ("A", "C!", all), ("C", "D", all)], "ACD"),
        (vec![("targets", "A!", all), ("targets", "B", all), ("A", "C", all), ("A", "D", all)], "ACD"),
        (vec![("targets", "A", all), ("targets", "B!", all), ("targets", "C", all)], "AB"),
        // A terminating delegation that is not about the path ends nothing.
        (vec![("targets", "A!", "*.py"), ("targets", "B", all)], "B"),
        (vec![("targets", "A", all), ("targets", "B", all), ("A", "C!", "*.py"), ("C", "D", all)], "AB"),
        // Cycles, roles that delegate to themselves, and roles with two delegators.
        (vec![("targets", "A", all), ("A", "A", all)], "A"),
        (vec![("targets", "A", all), ("A", "B", all), ("B", "A", all), ("targets", "C", all)], "ABC"),
        (
            vec![
                ("targets", "A", all),
                ("targets", "B", all),
                ("B", "C", all),
                ("C", "D", all),
                ("D", "B", all),
            ],
            "ABCD",
        ),
        (vec![("targets", "A", all), ("targets", "B", all), ("B", "C", all), ("A", "C", all)], "ACB"),
        (vec![("targets", "A", all), ("targets", "B", all), ("B", "C", all), ("A", "C", "*.py")], "ABC"),
        (vec![("targets", "A", all), ("targets", "B", all), ("A", "B!", all), ("targets", "C", all)], "AB"),
    ] {
        assert_eq!(visits(&edges, "nowhere").concat(), expected, "{edges:?}");
    }
}

#[test]
fn a_target_counts_only_if_every_delegation_on_the_way_is_about_it() {
    let mut graph = Graph::of(&[
        ("targets", "A", "*.md"),
        ("targets", "B", "releases/*/*"),
        ("B", "C", "releases/x/*"),
        ("B", "D", "releases/y/*.zip"),
    ]);
    for (role, path) in [
        ("targets", "file"),
        ("A", "README.md"),
        ("C", "releases/x/1"),
        ("D", "releases/y/1.zip"),
        // Listed, and never delegated to whom lists it.
        ("D", "releases/z/1.zip"),
        ("D", "releases/y/1.tar"),
        ("C", "elsewhere"),
    ] {
        graph.list(role, path);
    }
    graph.publish();
    for (path, visited, found) in [
        ("file", "", true),
        ("README.md", "A", true),
        ("releases/x/1", "BC", true),
        ("releases/y/1.zip", "BD", true),
        ("releases/z/1.zip", "B", false),
        ("releases/y/1.tar", "B", false),
        ("elsewhere", "", false),
    ] {
        let searched = graph.search(path);
        assert_eq!(
            (searched.visited.concat().as_str(), searched.found.unwrap().is_some()),
            (visited, found),
            "{path}"
        );
    }
}

#[test]
fn the_first_role_in_pre_order_that_lists_a_target_is_believed() {
    let mut graph = Graph::of(&[("targets", "A", "*"), ("targets", "B", "*"), ("A", "C", "*")]);
    for role in ["B", "C"] {
        graph.role(role).targets.insert("file".to_owned(), crate::graph::target(role.as_bytes()));
    }
    graph.publish();
    let searched = graph.search("file");
    assert_eq!(searched.visited, ["A", "C"]);
    assert_eq!(searched.found.unwrap().unwrap().hashes.to_sha256(), Some(Sha256::of(b"C")));
}

#[test]
fn hashed_and_succinct_bins_lead_to_one_role_each() {
    let mut graph = Graph::new();
    for digit in "0123456789abcdef".chars() {
        let scope = Scope::PathHashPrefixes(vec![digit.to_string()]);
        graph.delegate("targets", to(&format!("hash-{digit}"), false, scope));
    }
    graph.list("hash-3", "file");
    graph.publish();
    let searched = graph.search("file");
    assert_eq!(searched.visited, ["hash-3"]);
    assert!(searched.found.unwrap().is_some());

    let mut graph = Graph::new();
    let bins = bins(10);
    graph.publisher.targets.delegations = Some(delegations(Delegated::Succinct(bins.clone())));
    for name in bins.role_names() {
        graph.role(&name);
    }
    assert_eq!(graph.roles.len(), 1024);
    graph.list("bin-0ee", "file");
    // In another bin than its own it is not found.
    graph.list("bin-0ef", "other file");
    graph.publish();
    let searched = graph.search("file");
    assert_eq!(searched.visited, ["bin-0ee"]);
    assert!(searched.found.unwrap().is_some());
    let other = graph.search("other file");
    assert_eq!((other.visited.len(), other.found), (1, Ok(None)));
    assert_ne!(other.visited, ["bin-0ef"]);
}

#[test]
fn odd_names_of_roles_stay_within_one_segment_of_an_address() {
    for (name, file) in [
        ("?", "1.%3F.json"),
        ("#", "1.%23.json"),
        ("/role", "1.%2Frole.json"),
        ("../role", "1...%2Frole.json"),
        ("..", "1....json"),
        ("a b%20", "1.a%20b%2520.json"),
        ("é\n", "1.%C3%A9%0A.json"),
        ("1.root", "1.1.root.json"),
        ("A-z_0.9~", "1.A-z_0.9~.json"),
    ] {
        let mut graph = Graph::of(&[("targets", name, "*")]);
        graph.list(name, "file");
        graph.publish();
        let set = graph.follow();
        let search = set.search("file").unwrap();
        let request = search.request().unwrap().unwrap();
        assert_eq!((request.name.as_str(), request.role), (file, RoleName::Delegated(name.to_owned())));
        assert!(walk(search, |request| graph.fetch(request)).found.unwrap().is_some(), "{name:?}");
    }
}

#[test]
fn rejects_a_delegated_role_that_is_not_the_listed_one() {
    let mut graph = Graph::of(&[("targets", "A", "*")]);
    graph.list("A", "file");
    graph.publish();
    let refused = |graph: &Graph, raw: Vec<u8>| {
        let set = graph.follow();
        let mut search = set.search("file").unwrap();
        let before = format!("{search:?}");
        let error = search.update(&raw).unwrap_err();
        assert_eq!(format!("{search:?}"), before, "a refused role changed the search");
        assert_eq!(search.finish().unwrap_err().code(), "out_of_order");
        error
    };
    let good = graph.files["1.A.json"].clone();
    assert_eq!(refused(&graph, vec![]).code(), "digest_mismatch");
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() = b' ';
    assert_eq!(refused(&graph, damaged).code(), "digest_mismatch");

    // Where digests are not listed, the rest has to hold by itself.
    let plain = |graph: &mut Graph, version| {
        let meta = &mut graph.publisher.snapshot.meta;
        meta.insert("A.json".to_owned(), smidgen_metadata::MetaFile::new(version));
        graph.publisher.publish();
    };
    plain(&mut graph, 2);
    assert_eq!(refused(&graph, good.clone()).code(), "version_mismatch");
    plain(&mut graph, 3);
    let mut role = graph.roles["A"].clone();
    role.header.version = 3;
    let forged = refused(&graph, sign_role(&role, &[&key(91)]).unwrap());
    let expected = Authority::Delegator(smidgen_metadata::RoleKind::Targets.into());
    assert!(matches!(forged, VerifyError::SignatureThreshold { authority, .. } if authority == expected));
    role.header.expires = start();
    assert_eq!(refused(&graph, sign_role(&role, &[&delegate_key()]).unwrap()).code(), "expired_metadata");
    let other = sign_role(&graph.publisher.snapshot, &[&delegate_key()]).unwrap();
    assert_eq!(refused(&graph, other).code(), "other_role");
    let long = vec![b' '; 5_000_001];
    assert_eq!(refused(&graph, long).code(), "length_exceeded");
}

#[test]
fn rejects_a_delegated_role_that_snapshot_does_not_list() {
    let mut graph = Graph::of(&[("targets", "A", "*"), ("targets", "B", "*")]);
    graph.list("B", "file");
    graph.publish();
    graph.publisher.snapshot.meta.remove("A.json");
    graph.publisher.publish();
    // The search must not go on behind a role that it could not look into.
    assert_eq!(graph.search("file").found.unwrap_err().code(), "not_listed");
}

#[test]
fn a_stored_role_is_verified_against_the_delegator_of_this_search() {
    // A delegates one half of the paths to C with one key, B the other half with another.
    let mut graph = Graph::of(&[("targets", "A", "a*"), ("targets", "B", "b*"), ("A", "C", "a*")]);
    let stranger = key(91).public_key();
    let mut by_other_key = to("C", false, paths(&["b*"]));
    by_other_key.keyids = BTreeSet::from([stranger.id()]);
    graph.delegate("B", by_other_key);
    graph.role("B").delegations.as_mut().unwrap().keys.insert(stranger.id(), stranger);
    graph.list("C", "a-file");
    graph.list("C", "b-file");
    graph.publish();
    let set = graph.follow();
    let raw = graph.files["1.C.json"].clone();

    let mut search = set.search("a-file").unwrap();
    search.update(&graph.files["1.A.json"]).unwrap();
    assert_eq!(offer(&mut search, &raw), Ok(Stored::Current));
    assert!(search.finish().unwrap().is_some());

    let mut search = set.search("b-file").unwrap();
    search.update(&graph.files["1.B.json"]).unwrap();
    assert_eq!(offer(&mut search, &raw), Ok(Stored::Superseded));
    assert_eq!(search.update(&raw).unwrap_err().code(), "signature_threshold");
}

#[test]
fn a_stored_role_counts_only_while_it_is_what_snapshot_lists() {
    let mut graph = Graph::of(&[("targets", "A", "*")]);
    graph.list("A", "file");
    graph.publish();
    let stored = graph.files["1.A.json"].clone();
    graph.role("A").header.version = 2;
    graph.publish();
    let set = graph.follow();
    let mut search = set.search("file").unwrap();
    assert_eq!(search.load_stored(&stored), Ok(Stored::Older));
    assert_eq!(search.load_stored(b"torn").unwrap_err().code(), "malformed_metadata");
    assert_eq!(search.load_stored(&graph.files["2.A.json"]), Ok(Stored::Current));
    assert!(search.finish().unwrap().is_some());

    // Expired while it was stored.
    graph.publisher.now = start().plus_hours(24 * 90);
    graph.publisher.publish();
    let set = graph.follow();
    let mut search = set.search("file").unwrap();
    assert_eq!(search.load_stored(&graph.files["2.A.json"]), Ok(Stored::Older));
}

#[test]
fn rejects_delegations_without_end() {
    // A chain of roles that each delegate to the next.
    let names: Vec<String> = (0..40).map(|number| format!("r{number:02}")).collect();
    let mut graph = Graph::of(&[("targets", "r00", "*")]);
    for pair in names.windows(2) {
        graph.delegate(&pair[0], to(&pair[1], false, paths(&["*"])));
    }
    graph.list("r31", "near");
    graph.list("r32", "far");
    graph.publish();
    assert!(graph.search("near").found.unwrap().is_some());
    let far = graph.search("far");
    assert_eq!((far.visited.len(), far.found.unwrap_err().code()), (32, "too_many_roles"));

    // And all of them may not have more bytes together than one search takes.
    let mut follower = Follower::new(&graph.publisher.mirror.roots[0]);
    follower.limits = Limits::default();
    follower.limits.max_searched_len = 3_000;
    let set = follower.refresh(&graph.publisher.mirror, start()).unwrap();
    let searched = walk(set.search("near").unwrap(), |request| graph.fetch(request));
    assert_eq!(searched.found.unwrap_err().code(), "length_exceeded");
    assert!((2..8).contains(&searched.visited.len()), "{:?}", searched.visited);
}

#[test]
fn ten_thousand_delegations_cost_no_more_than_the_roles_on_the_way() {
    let mut graph = Graph::new();
    for number in 0..10_000 {
        let pattern = format!("product-{number}/*/*/*/*/*");
        graph.publisher.targets.delegations.get_or_insert_with(|| delegations(Delegated::Roles(vec![])));
        graph.delegate("targets", to(&format!("r{number}"), number % 2 == 0, paths(&[&pattern])));
    }
    // Wildcards that are about everything, behind them.
    graph.delegate("targets", to("all", false, paths(&["*/*/*/*/*/*", "*", "*/*"])));
    graph.list("r9999", "product-9999/a/b/c/d/e");
    graph.publish();
    let searched = graph.search("product-9999/a/b/c/d/e");
    assert_eq!(searched.visited, ["r9999"]);
    assert!(searched.found.unwrap().is_some());
    assert_eq!(graph.search("product-9998/a/b/c/d/e").visited, ["r9998"]);
    assert_eq!(graph.search("product-9997/a/b/c/d/e").visited, ["r9997", "all"]);
}

#[test]
fn a_line_is_found_in_the_role_that_it_is_delegated_to() {
    let id = line().id();
    let first: String = id.to_string().chars().take(2).collect();
    let mut graph = Graph::new();
    // Of the delegations that hold some of the line's paths only the last one holds all of them.
    for (name, pattern) in [
        ("digits", "editor/*/*/*/[0-9]/*"),
        ("file", "editor/*/*/*/*/editor"),
        ("elsewhere", "editor/*/*/zz*/*/*"),
        ("bin", &format!("editor/*/*/{first}*/*/*")),
    ] {
        graph.delegate("targets", to(name, false, paths(&[pattern])));
    }
    graph.delegate("targets", to("late", false, paths(&["editor/*/*/*/*/*"])));
    line_of(3, 1).write(graph.role("bin"), &line());
    line_of(9, 1).write(graph.role("late"), &line());
    graph.publish();
    let searched = graph.search(&line());
    assert_eq!(searched.visited, ["bin"]);
    let found = searched.found.unwrap().unwrap();
    assert_eq!(found.newest().unwrap().sequence, 3);

    let other = BuildLine::new("viewer", "stable", "x86_64-linux", []).unwrap();
    let searched = graph.search(&other);
    assert_eq!((searched.visited.len(), searched.found), (0, Ok(None)));
}

#[test]
fn any_other_client_finds_a_delegated_release_by_its_path() {
    let mut graph = Graph::of(&[("targets", "bin", "editor/*/*/*/*/*")]);
    let made = line_of(3, 1);
    made.write(graph.role("bin"), &line());
    graph.publish();
    let path = made.newest().unwrap().target_path(&line());
    assert!(graph.search(path.as_str()).found.unwrap().is_some());
}

#[test]
fn rejects_a_line_whose_form_is_wrong_in_a_delegated_role() {
    let mut graph = Graph::of(&[("targets", "bin", "editor/*/*/*/*/*")]);
    graph.list("bin", &format!("{}1/editor", line().target_prefix()));
    graph.publish();
    let error = graph.search(&line()).found.unwrap_err();
    assert!(matches!(error, VerifyError::Malformed { role: RoleName::Delegated(name), .. } if name == "bin"));
}
