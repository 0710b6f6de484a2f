//! The things a rollout can do. Each may be done again after a crash with the same end.

use std::path::PathBuf;

use ken_compose_file::Change;
use serde::{Deserialize, Serialize};

use crate::stack::Role;

/// Text that a plan carries but neither shows nor stores.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents(pub Vec<u8>);

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// How far an action reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Nothing that exists is changed.
    None,
    /// Files of ours.
    OurFiles,
    /// Ken's Compose file; Ken's containers do not notice.
    KenFile,
    /// Containers, networks and volumes of ours.
    OurServices,
    /// A database and a role beside Ken's in its server.
    KenServer,
    /// Data of ours is destroyed.
    Destroys,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Makes the secrets that are missing; existing ones are kept.
    InitSecrets {
        /// Keys of the secrets that will be made.
        keys: Vec<String>,
    },
    /// Writes a service's environment file from the secrets.
    WriteEnvironment {
        /// The service's role.
        role: Role,
        /// The file.
        path: PathBuf,
    },
    /// Writes a file of ours.
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Digest of the new bytes.
        sha256: String,
        /// The new bytes.
        #[serde(skip)]
        contents: Contents,
    },
    /// Puts our lines into Ken's Compose file, keeping a copy of it first.
    EditKenFile {
        /// The file.
        path: PathBuf,
        /// Digest of the bytes that the edit was made for.
        before: String,
        /// Digest of the new bytes.
        after: String,
        /// The lines that come and go.
        #[serde(skip)]
        changes: Vec<Change>,
        /// The new bytes.
        #[serde(skip)]
        contents: Contents,
    },
    /// Fetches an image.
    Pull {
        /// Image reference.
        reference: String,
    },
    /// Creates or recreates and starts services.
    Up {
        /// Their roles.
        roles: Vec<Role>,
        /// Their names.
        services: Vec<String>,
        /// Why each is not as it should be.
        reasons: Vec<String>,
    },
    /// Removes a container of ours that the target no longer has under this name.
    RemoveContainer {
        /// Container id.
        id: String,
        /// Its name.
        name: String,
        /// Seconds it gets to stop.
        grace: u64,
    },
    /// Makes role and database in Ken's Postgres what they should be.
    CreateDatabase {
        /// The database.
        database: String,
        /// The role that owns it.
        role: String,
        /// What is missing or different.
        reasons: Vec<String>,
    },
    /// Creates the bucket.
    CreateBucket {
        /// Its name.
        bucket: String,
    },
    /// Waits for services that run but are not well yet.
    Await {
        /// Their names.
        services: Vec<String>,
    },
    /// Takes our lines out of Ken's Compose file.
    RestoreKenFile {
        /// The file.
        path: PathBuf,
        /// Digest of the bytes that the edit was made for.
        before: String,
        /// Digest of the new bytes.
        after: String,
        /// Whether the result is what the file was before our first edit.
        exact: bool,
        /// The lines that come and go.
        #[serde(skip)]
        changes: Vec<Change>,
        /// The new bytes.
        #[serde(skip)]
        contents: Contents,
    },
    /// Removes a generated file of ours.
    RemoveFile {
        /// The file.
        path: PathBuf,
    },
    /// Removes a network of ours.
    RemoveNetwork {
        /// Its name.
        name: String,
    },
    /// Destroys a volume of ours.
    RemoveVolume {
        /// Its name.
        name: String,
    },
    /// Destroys the database and the role.
    DropDatabase {
        /// The database.
        database: String,
        /// The role.
        role: String,
    },
    /// Destroys secrets and state.
    RemoveFolder,
}

impl Action {
    /// How far it reaches.
    #[must_use]
    pub fn impact(&self) -> Impact {
        match self {
            Self::Pull { .. } | Self::Await { .. } => Impact::None,
            Self::InitSecrets { .. }
            | Self::WriteEnvironment { .. }
            | Self::WriteFile { .. }
            | Self::RemoveFile { .. } => Impact::OurFiles,
            Self::EditKenFile { .. } | Self::RestoreKenFile { .. } => Impact::KenFile,
            Self::Up { .. }
            | Self::RemoveContainer { .. }
            | Self::CreateBucket { .. }
            | Self::RemoveNetwork { .. } => Impact::OurServices,
            Self::CreateDatabase { .. } => Impact::KenServer,
            Self::RemoveVolume { .. } | Self::DropDatabase { .. } | Self::RemoveFolder => Impact::Destroys,
        }
    }
}
