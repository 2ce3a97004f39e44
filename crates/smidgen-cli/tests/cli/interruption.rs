//! A publisher that is killed at any moment, and two at once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::builds::{Random, build};
use crate::program::command;
use crate::publisher::Publisher;

#[test]
fn a_publisher_killed_at_any_moment_leaves_the_repository_as_it_was_or_complete() {
    let publisher = Publisher::with(&["routine"]);
    let server = publisher.serve();
    let mut random = Random(7);
    let mut whole = Duration::from_millis(400);
    for number in 1..=8 {
        let line = publisher.publish_words(number, "routine");
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut child =
            command(&words, publisher.dir()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(random.below(1000) as f64 / 1000.0));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();

        let verified = publisher.run("verify repo --json").ends(0).json();
        let releases = verified["releases"].as_u64().unwrap();
        publisher.update(&server.url, "").ends(0);
        let expected = [build(number - 1), build(number)];
        assert!(
            expected.contains(&publisher.installed()),
            "neither the old nor the new build after {number}"
        );

        let start = Instant::now();
        let report = publisher.publish(number, "routine").ends(0).json();
        whole = whole.max(start.elapsed());
        assert_eq!(report["sequence"], number + 1);
        let after = publisher.run("verify repo --json").ends(0).json();
        assert!(after["releases"].as_u64().unwrap() >= releases);
        publisher.update(&server.url, "").ends(0);
        assert_eq!(publisher.installed(), build(number));
    }
}

#[test]
fn two_publishers_at_once_do_not_corrupt_each_other() {
    let publisher = Publisher::with(&["routine"]);
    let lines: Vec<String> =
        (1..=3).map(|number| format!("{} --listed 4", publisher.publish_words(number, "routine"))).collect();
    let children: Vec<_> = lines
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            command(&words, publisher.dir()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let report = publisher.run("verify repo --json").ends(0).json();
    assert_eq!(report["releases"], 4);
    assert_eq!(report["applied"], report["patches"]);
}
