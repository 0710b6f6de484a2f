//! Projects and their keys. A secret is kept as a salted hash only.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A project and its organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The project's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The organisation's id.
    pub org_id: String,
    /// The organisation's name.
    pub org_name: String,
}

/// Whom a valid key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key record's id, not a secret.
    pub key_id: String,
    /// The public key.
    pub public_key: String,
    /// The project.
    pub project: Project,
}

/// A key that is to be written, its secret hashed already.
#[derive(Debug)]
pub(super) struct NewKey {
    public: String,
    salt: [u8; 16],
    hash: [u8; 32],
}

impl NewKey {
    pub(super) fn new(public: &str, secret: &str) -> Self {
        // A version-4 UUID is drawn from the system's randomness.
        let salt = uuid::Uuid::new_v4().into_bytes();
        Self { public: public.to_owned(), salt, hash: hash(&salt, secret) }
    }
}

fn hash(salt: &[u8], secret: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(secret.as_bytes()).finalize().into()
}

/// As Langfuse's headless initialisation: an existing project is not changed, an existing key of this
/// project neither, and a public key of another project moves here.
pub(super) fn provision(
    connection: &Connection,
    project: &Project,
    key: Option<&NewKey>,
    now_ms: i64,
) -> Result<(), rusqlite::Error> {
    connection.execute(
        "INSERT INTO projects VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        params![project.id, project.name, project.org_id, project.org_name, now_ms],
    )?;
    if let Some(key) = key {
        connection.execute(
            "DELETE FROM api_keys WHERE public_key = ?1 AND project_id <> ?2",
            params![key.public, project.id],
        )?;
        connection.execute(
            "INSERT INTO api_keys VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            params![key.public, uuid::Uuid::new_v4().to_string(), project.id, key.salt, key.hash, now_ms],
        )?;
    }
    Ok(())
}

pub(super) fn key_holder(
    connection: &Connection,
    public: &str,
    secret: &str,
) -> Result<Option<KeyHolder>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT k.salt, k.secret_hash, k.id, p.id, p.name, p.org_id, p.org_name
         FROM api_keys k JOIN projects p ON p.id = k.project_id WHERE k.public_key = ?1",
    )?;
    let found = statement
        .query_row([public], |row| {
            let (salt, stored): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let holder = KeyHolder {
                key_id: row.get(2)?,
                public_key: public.to_owned(),
                project: Project {
                    id: row.get(3)?,
                    name: row.get(4)?,
                    org_id: row.get(5)?,
                    org_name: row.get(6)?,
                },
            };
            Ok((salt, stored, holder))
        })
        .optional()?;
    Ok(found.and_then(|(salt, stored, holder)| {
        let matches: bool = hash(&salt, secret).ct_eq(stored.as_slice()).into();
        matches.then_some(holder)
    }))
}

/// All projects, the oldest first.
pub(super) fn projects(connection: &Connection) -> Result<Vec<Project>, rusqlite::Error> {
    let mut statement = connection
        .prepare_cached("SELECT id, name, org_id, org_name FROM projects ORDER BY created_ms, id")?;
    let project = |row: &rusqlite::Row<'_>| {
        let (id, name) = (row.get(0)?, row.get(1)?);
        Ok(Project { id, name, org_id: row.get(2)?, org_name: row.get(3)? })
    };
    statement.query_map([], project)?.collect()
}

pub(super) fn knows_public_key(connection: &Connection, public: &str) -> Result<bool, rusqlite::Error> {
    connection
        .query_row("SELECT EXISTS (SELECT 1 FROM api_keys WHERE public_key = ?1)", [public], |row| row.get(0))
}
