//! What one release costs does not depend on how many build lines there are.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod scene;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use scene::counting::{Count, Counting};
use scene::{START, Scene, SetClock};
use smidgen_metadata::{BuildLine, Timestamp};
use smidgen_server::keys::Keys;
use smidgen_server::publish::{PublishOptions, PublishRequest, publish};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;
use smidgen_testkit::Fleet;

/// A generated fleet in memory, and a publisher over it.
struct Publisher {
    scene: Scene,
    repository: Repository,
    counting: Arc<Counting>,
    keys: Keys,
}

impl Publisher {
    /// Shows each shard's metadata, and the roles of its lines, to `look` on the way.
    async fn new(
        fleet: &Fleet,
        mut look: impl FnMut(&BTreeMap<String, Vec<u8>>, &BTreeMap<BuildLine, String>),
    ) -> Self {
        let objects = InMemory::new();
        let put = async |key: String, bytes: Vec<u8>| {
            objects.put(&Path::parse(&key).unwrap(), PutPayload::from(bytes)).await.unwrap();
        };
        for (key, bytes) in fleet.home() {
            put(key, bytes).await;
        }
        for (folder, _) in fleet.shards() {
            let (files, roles) = fleet.shard(folder);
            look(&files, &roles);
            for (key, bytes) in files {
                put(if folder.is_empty() { key } else { format!("{folder}/{key}") }, bytes).await;
            }
        }
        let scene = Scene::bare();
        let folder = scene.home.path().join("fleet-keys");
        std::fs::create_dir(&folder).unwrap();
        for (name, pem) in Fleet::keys() {
            let path = folder.join(name);
            std::fs::write(&path, pem).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
        let counting = Arc::new(Counting::over(Arc::new(objects)));
        let store = Store::over(Arc::clone(&counting) as Arc<dyn ObjectStore>, "memory");
        let keys = Keys::open(&folder, &store).unwrap();
        let clock = Arc::new(SetClock::at(START));
        Self { repository: Repository::new(store).with_clock(clock), scene, counting, keys }
    }

    async fn publish(&self, line: &BuildLine, version: u32) -> Count {
        let plugins =
            line.plugins.iter().map(|name| format!("{name}@9.{version}").parse().unwrap()).collect();
        let request = PublishRequest {
            platform: line.platform.clone(),
            plugins,
            version: format!("9.{version}").parse().unwrap(),
            ..self.scene.request(version)
        };
        let options = PublishOptions { previous: 1, ..PublishOptions::default() };
        let before = self.counting.count();
        publish(&self.repository, &self.keys, request, &options, &()).await.unwrap();
        self.counting.count() - before
    }
}

fn start() -> Timestamp {
    Timestamp::from_unix(START)
}

#[tokio::test]
async fn publishing_does_the_same_work_in_a_large_fleet_as_in_a_small_repository() {
    let mut counts = Vec::new();
    for (lines, shards) in [(10, 1), (1600, 128)] {
        let fleet = Fleet::new(lines, shards, start());
        let publisher = Publisher::new(&fleet, |_, _| ()).await;
        let (_, lines) = fleet.shards().next().unwrap();
        // The first release here finds no build to make a patch from; the second does what every later one does.
        publisher.publish(&lines[0], 1).await;
        counts.push(publisher.publish(&lines[0], 2).await);
    }
    let [small, large] = counts.try_into().unwrap();
    println!("ten lines: {small:?}\n1600 lines: {large:?}");
    assert_eq!(small.puts, large.puts);
    assert_eq!((small.lists, large.lists), (0, 0), "a listing grows with what is listed");
    // A shard is its own root and its home has another copy: a few questions more.
    assert!(large.gets <= small.gets + 4, "{small:?} {large:?}");
    assert!(large.bytes_put <= small.bytes_put * 6 / 5, "{small:?} {large:?}");
}

/// So many build lines are generated; for the figures of `docs/measurements.md`: 100000.
const LINES: &str = "SMIDGEN_TEST_LINES";

#[tokio::test]
async fn an_update_of_a_line_is_light_however_many_lines_there_are() {
    let asked = std::env::var(LINES).ok().map(|lines| lines.parse::<usize>().unwrap());
    let (lines, rounds) = asked.map_or((400, 2), |lines| (lines, 50));
    let shards = (lines as u64 / 16).next_power_of_two();
    let (mut updates, mut snapshots, mut timestamps, mut roles) = (Vec::new(), vec![], vec![], vec![]);
    let mut most = 0;
    let weigh = |files: &BTreeMap<String, Vec<u8>>, names: &BTreeMap<BuildLine, String>| {
        most = most.max(names.len());
        let of = |end: &str| packed(files.iter().find(|(key, _)| key.ends_with(end)).unwrap().1);
        let (timestamp, snapshot) = (of("timestamp.json"), of(".snapshot.json"));
        snapshots.push(snapshot);
        timestamps.push(timestamp);
        for name in names.values() {
            let role = of(&format!(".{name}.json"));
            roles.push(role);
            updates.push(timestamp + snapshot + role);
        }
    };
    let (small, large) = (Fleet::new(10, 1, start()), Fleet::new(lines, shards, start()));
    let publishers = [
        ("ten lines", &small, Publisher::new(&small, |_, _| ()).await),
        ("the fleet", &large, Publisher::new(&large, weigh).await),
    ];
    for (what, mut sizes) in
        [("timestamp", timestamps), ("snapshot", snapshots), ("role of a line", roles), ("update", updates)]
    {
        println!("{what}: {}", spread(&mut sizes));
        assert!(sizes.last().is_some_and(|most| *most <= 1_590), "{what}");
    }
    println!("{} shards, at most {most} lines in one", large.shards().count());
    for (name, fleet, publisher) in publishers {
        let (_, lines) = fleet.shards().next().unwrap();
        publisher.publish(&lines[0], 1).await;
        let before = cpu();
        let mut count = Count::default();
        for version in 2..2 + rounds {
            count = publisher.publish(&lines[0], version).await;
        }
        println!("{name}: {count:?}; {:?} of processor time a release", (cpu() - before) / rounds);
    }
}

fn packed(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}

fn spread(sizes: &mut [usize]) -> String {
    sizes.sort_unstable();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    let at = |percent: usize| sizes[(sizes.len() - 1) * percent / 100];
    format!("mean {mean}, median {}, 99 % {}, most {} bytes", at(50), at(99), at(100))
}

/// Processor time of this process.
fn cpu() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    std::time::Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}
