//! A store that counts what is asked of it.

use std::fmt;
use std::ops::Sub;
use std::sync::{Arc, Mutex};

use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Operations and bytes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Reads and questions about one file.
    pub(crate) gets: u64,
    pub(crate) puts: u64,
    pub(crate) lists: u64,
    /// Of metadata: builds are the same everywhere, and so are their blobs.
    pub(crate) bytes_put: u64,
}

impl Sub for Count {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            gets: self.gets - before.gets,
            puts: self.puts - before.puts,
            lists: self.lists - before.lists,
            bytes_put: self.bytes_put - before.bytes_put,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Counting {
    inner: Arc<dyn ObjectStore>,
    count: Mutex<Count>,
}

impl Counting {
    pub(crate) fn over(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, count: Mutex::default() }
    }

    pub(crate) fn count(&self) -> Count {
        *self.count.lock().unwrap()
    }

    fn add(&self, change: impl FnOnce(&mut Count)) {
        change(&mut self.count.lock().unwrap());
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that counts")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_metadata = location.as_ref().contains("metadata/");
        self.add(|count| {
            count.puts += 1;
            count.bytes_put += if is_metadata { payload.content_length() as u64 } else { 0 };
        });
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.add(|count| count.gets += 1);
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.add(|count| count.lists += 1);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.add(|count| count.lists += 1);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
