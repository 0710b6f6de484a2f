//! Who may do what: the one account everything, in buckets that exist.

use std::path::PathBuf;

use s3s::access::{S3Access, S3AccessContext};
use s3s::path::S3Path;
use s3s::{S3Result, s3_error};

/// Refuses what is not signed, and what names a bucket that nobody created.
///
/// The store below would make the folder of a missing bucket on the first put. MinIO does not, and a
/// deployment that forgets its bucket must not get away with it here.
#[derive(Debug)]
pub(crate) struct ExistingBuckets {
    pub(crate) data: PathBuf,
}

#[async_trait::async_trait]
impl S3Access for ExistingBuckets {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied."));
        }
        let bucket = match context.s3_path() {
            S3Path::Root => return Ok(()),
            S3Path::Bucket { .. } if context.s3_op().name() == "CreateBucket" => return Ok(()),
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } => bucket,
        };
        match self.data.join(&**bucket).is_dir() {
            true => Ok(()),
            false => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        }
    }
}
