//! A store whose process dies at a chosen step: nothing reaches the disk any more after that.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use smidgen_server::store::Store;

/// In which moment of the chosen step the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing of the step was done.
    Before,
    /// Half of the file was written under its temporary name.
    Within,
    /// The step was done, but its caller never heard of it.
    After,
}

pub(crate) const MOMENTS: [Moment; 3] = [Moment::Before, Moment::Within, Moment::After];

#[derive(Debug)]
struct Crashing {
    inner: Arc<dyn ObjectStore>,
    folder: PathBuf,
    /// Steps that change something, until the last one.
    left: Arc<AtomicI64>,
    moment: Moment,
}

/// `store`, dying at its `step`th change (from 0). The counter tells afterwards whether it came to that: below zero.
pub(crate) fn crash_at(store: Store, step: i64, moment: Moment) -> (Store, Arc<AtomicI64>) {
    let folder = store.as_folder().unwrap().to_owned();
    let left = Arc::new(AtomicI64::new(step));
    let counter = Arc::clone(&left);
    (store.wrap(|inner| Arc::new(Crashing { inner, folder, left, moment })), counter)
}

impl Crashing {
    fn alive(&self) -> Result<()> {
        if self.left.load(Ordering::SeqCst) < 0 { Err(dead()) } else { Ok(()) }
    }

    /// Performs a step that changes something; `torn` is what is left of it when the process dies within.
    async fn change<T>(&self, step: impl Future<Output = Result<T>>, torn: impl FnOnce()) -> Result<T> {
        self.alive()?;
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return step.await;
        }
        match self.moment {
            Moment::Before => {}
            Moment::Within => torn(),
            Moment::After => _ = step.await,
        }
        Err(dead())
    }
}

fn dead() -> Error {
    Error::Generic { store: "crashing", source: "the process is dead".into() }
}

impl fmt::Display for Crashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that crashes")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Crashing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes: Vec<u8> = payload.iter().flatten().copied().collect();
        let torn = || {
            let path = self.folder.join(format!("{location}#1"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        };
        self.change(self.inner.put_opts(location, payload, options), torn).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(dead())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.alive()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, left, moment) = (Arc::clone(&self.inner), Arc::clone(&self.left), self.moment);
        let folder = self.folder.clone();
        locations
            .then(move |location| {
                let this = Self {
                    inner: Arc::clone(&inner),
                    folder: folder.clone(),
                    left: Arc::clone(&left),
                    moment,
                };
                async move {
                    let location = location?;
                    let one = futures_util::stream::iter([Ok(location.clone())]).boxed();
                    let delete = async { this.inner.delete_stream(one).next().await.unwrap() };
                    this.change(delete, || ()).await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.alive() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.alive()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.change(self.inner.copy_opts(from, to, options), || ()).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.change(self.inner.rename_opts(from, to, options), || ()).await
    }
}
