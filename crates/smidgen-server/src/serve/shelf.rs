//! Metadata held between requests: the store says each time whether it changed, digest and packing are done once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore};
use tokio::sync::OnceCell;

use super::conditions::EntityTag;
use super::encoding;
use super::failure::Failure;

/// Metadata is signed and parsed as a whole, so it is small; a larger file is a mistake, and not read into memory.
const MAX_DOCUMENT_SIZE: u64 = 64 << 20;
/// What the shelf may hold in total, packed forms not counted.
const MAX_SHELF_SIZE: u64 = 128 << 20;

/// The metadata files that were asked for lately.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    held: Mutex<HashMap<Path, Arc<Document>>>,
}

/// One version of a metadata file.
#[derive(Debug)]
pub(super) struct Document {
    /// How the store tells versions apart. It differs between copies of a repository, so clients never see it.
    store_tag: Option<String>,
    /// Time of the last change.
    pub(super) modified: SystemTime,
    pub(super) plain: Bytes,
    /// Made of the content, so that every copy of the repository gives the same one.
    pub(super) tag: EntityTag,
    packed: OnceCell<Option<Bytes>>,
}

impl Document {
    /// The gzip form, where it is smaller. Made at the first call, off the threads that serve.
    pub(super) async fn packed(&self) -> Option<Bytes> {
        let pack = || async {
            let plain = self.plain.clone();
            // A task that was lost to a shutdown is as good as one that saved nothing.
            let packed = tokio::task::spawn_blocking(move || encoding::gzip(&plain)).await;
            packed.ok().flatten().map(Bytes::from)
        };
        self.packed.get_or_init(pack).await.clone()
    }
}

impl Shelf {
    /// The file at `path` as it is now: one conditional read of the store, without a body if nothing changed.
    pub(super) async fn read(
        &self,
        objects: &dyn ObjectStore,
        path: &Path,
    ) -> Result<Arc<Document>, Failure> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        let known = held.as_ref().and_then(|document| document.store_tag.clone());
        let options = GetOptions::new().with_if_none_match(known);
        let found = match (objects.get_opts(path, options).await, held) {
            (Err(object_store::Error::NotModified { .. }), Some(document)) => return Ok(document),
            (found, _) => found?,
        };
        if found.meta.size > MAX_DOCUMENT_SIZE {
            return Err(Failure::TooLarge { size: found.meta.size, limit: MAX_DOCUMENT_SIZE });
        }
        let store_tag = found.meta.e_tag.clone();
        let modified = found.meta.last_modified.into();
        let plain = found.bytes().await?;
        let tag = EntityTag::strong(smidgen_delta::Digest::of(&plain).to_string());
        let document = Arc::new(Document { store_tag, modified, plain, tag, packed: OnceCell::new() });
        self.put(path.clone(), Arc::clone(&document));
        Ok(document)
    }

    /// Makes room by forgetting everything: what is in use comes back with the next requests.
    fn put(&self, path: Path, document: Arc<Document>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&path);
        let size = |document: &Document| document.plain.len() as u64;
        let total = held.values().map(|document| size(document)).sum::<u64>();
        if total.saturating_add(size(&document)) > MAX_SHELF_SIZE {
            held.clear();
        }
        held.insert(path, document);
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn reads_a_file_again_only_when_the_store_says_that_it_changed() {
        let (objects, shelf, path) =
            (InMemory::new(), Shelf::default(), Path::from("metadata/timestamp.json"));
        assert!(matches!(shelf.read(&objects, &path).await, Err(Failure::Missing)));
        objects.put(&path, "one".into()).await.unwrap();
        let one = shelf.read(&objects, &path).await.unwrap();
        assert!(Arc::ptr_eq(&one, &shelf.read(&objects, &path).await.unwrap()));
        objects.put(&path, "two".into()).await.unwrap();
        assert_eq!(shelf.read(&objects, &path).await.unwrap().plain, "two");
        objects.delete(&path).await.unwrap();
        assert!(matches!(shelf.read(&objects, &path).await, Err(Failure::Missing)));
    }

    #[tokio::test]
    async fn holds_no_more_than_its_limit() {
        let (objects, shelf) = (InMemory::new(), Shelf::default());
        for version in 1..=5 {
            let path = Path::from(format!("metadata/{version}.targets.json"));
            objects.put(&path, vec![b' '; 40 << 20].into()).await.unwrap();
            shelf.read(&objects, &path).await.unwrap();
            let held = shelf.held.lock().unwrap();
            assert!(held.values().map(|document| document.plain.len() as u64).sum::<u64>() <= MAX_SHELF_SIZE);
            assert!(held.contains_key(&path));
        }
    }

    #[tokio::test]
    async fn refuses_to_hold_what_cannot_be_metadata() {
        let (objects, shelf, path) =
            (InMemory::new(), Shelf::default(), Path::from("metadata/1.targets.json"));
        objects.put(&path, vec![b' '; (64 << 20) + 1].into()).await.unwrap();
        let refused = shelf.read(&objects, &path).await;
        assert!(matches!(refused, Err(Failure::TooLarge { size, .. }) if size == (64 << 20) + 1));
    }
}
