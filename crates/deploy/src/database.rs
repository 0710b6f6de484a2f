//! Langfuse's database and role inside Ken's own Postgres, as idempotent SQL against the running server.
//!
//! The server's init scripts ran once, long ago. Nothing here names Ken's database, its roles or its settings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use ken_secrets::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::stack::Database;

/// Oldest Postgres that Langfuse v4 runs on, as `server_version_num`.
pub const OLDEST_SERVER: u32 = 150_000;
const ITERATIONS: u32 = 4096;

/// What was seen of the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseSeen {
    /// An external server is used; its operator made the database.
    External,
    /// It could not be asked.
    Unknown {
        /// Why.
        why: String,
    },
    /// It answered.
    Server(ServerFacts),
}

/// The server's answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerFacts {
    /// `server_version_num`, such as 150018.
    pub version: u32,
    /// Connections that the server admits.
    pub max_connections: u32,
    /// The role, if it exists.
    pub role: Option<RoleFacts>,
    /// The database, if it exists.
    pub database: Option<DatabaseFacts>,
}

/// The role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleFacts {
    /// Whether its password is the generated one; none when no secret is known yet.
    pub password_matches: Option<bool>,
    /// Whether it may log in.
    pub login: bool,
    /// Whether it may do more than it should: superuser, create roles or databases, replicate, bypass row security.
    pub privileged: bool,
    /// Its connection limit.
    pub connection_limit: i64,
    /// Whether its sessions are in UTC.
    pub utc: bool,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseFacts {
    /// Its owner.
    pub owner: String,
    /// Whether anybody may connect to it.
    pub public: bool,
}

/// SQL that asks for everything in one line of JSON.
#[must_use]
pub fn facts_sql(database: &Database) -> Secret {
    let role = literal(&database.role);
    let name = literal(&database.database);
    Secret::new(format!(
        "SELECT json_build_object(
  'version', current_setting('server_version_num')::int,
  'max_connections', current_setting('max_connections')::int,
  'role', (SELECT json_build_object('verifier', rolpassword, 'login', rolcanlogin,
      'privileged', rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls,
      'connection_limit', rolconnlimit,
      'utc', EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = a.oid AND s.setdatabase = 0
        AND 'TimeZone=UTC' ILIKE ANY (s.setconfig)))
    FROM pg_authid a WHERE rolname = {role}),
  'database', (SELECT json_build_object('owner', pg_get_userbyid(datdba),
      'public', has_database_privilege('public', oid, 'CONNECT'))
    FROM pg_database WHERE datname = {name}));"
    ))
}

#[derive(Deserialize)]
struct RawFacts {
    version: u32,
    max_connections: u32,
    role: Option<RawRole>,
    database: Option<RawDatabase>,
}

#[derive(Deserialize)]
struct RawRole {
    verifier: Option<String>,
    login: bool,
    privileged: bool,
    connection_limit: i64,
    utc: bool,
}

#[derive(Deserialize)]
struct RawDatabase {
    owner: String,
    public: bool,
}

/// Reads the answer to [`facts_sql`]. The stored verifier is compared and forgotten.
#[must_use]
pub fn read_facts(answer: &str, password: Option<&Secret>) -> DatabaseSeen {
    let Ok(raw) = serde_json::from_str::<RawFacts>(answer.trim()) else {
        return DatabaseSeen::Unknown { why: "the server's answer was not understood".to_owned() };
    };
    DatabaseSeen::Server(ServerFacts {
        version: raw.version,
        max_connections: raw.max_connections,
        role: raw.role.map(|role| RoleFacts {
            password_matches: password
                .map(|p| role.verifier.as_deref().is_some_and(|stored| verifier_matches(stored, p))),
            login: role.login,
            privileged: role.privileged,
            connection_limit: role.connection_limit,
            utc: role.utc,
        }),
        database: raw.database.map(|d| DatabaseFacts { owner: d.owner, public: d.public }),
    })
}

/// What is missing or different; empty when all is well.
#[must_use]
pub fn differences(target: &Database, seen: &ServerFacts) -> Vec<String> {
    let mut found = Vec::new();
    match &seen.role {
        None => found.push(format!("role {} does not exist", target.role)),
        Some(role) => {
            if role.password_matches != Some(true) {
                found.push(format!("role {} has another password", target.role));
            }
            if !role.login {
                found.push(format!("role {} may not log in", target.role));
            }
            if role.privileged {
                found.push(format!("role {} may do more than it should", target.role));
            }
            if role.connection_limit != i64::from(target.connection_limit) {
                found.push(format!("role {} has another connection limit", target.role));
            }
            if !role.utc {
                found.push(format!("role {} is not in UTC", target.role));
            }
        }
    }
    match &seen.database {
        None => found.push(format!("database {} does not exist", target.database)),
        Some(database) => {
            if database.owner != target.role {
                found.push(format!("database {} is owned by {}", target.database, database.owner));
            }
            if database.public {
                found.push(format!("database {} is open to every role", target.database));
            }
        }
    }
    found
}

/// SQL that makes role and database what they should be, however often it is run.
///
/// The password goes in as its SCRAM verifier: not even a server that logs every statement learns it.
#[must_use]
pub fn create_sql(target: &Database, password: &Secret) -> Secret {
    let (role, name) = (identifier(&target.role), identifier(&target.database));
    let (role_text, name_text) = (literal(&target.role), literal(&target.database));
    let mut salt = [0u8; 16];
    // A salt need not be secret; on the never seen failure of the system's randomness it comes from the secret itself.
    if getrandom::fill(&mut salt).is_err() {
        salt.copy_from_slice(&Sha256::digest(password.expose())[..16]);
    }
    let verifier = verifier(password, &salt, ITERATIONS);
    Secret::new(format!(
        "SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET client_min_messages = 'warning';
SELECT format('CREATE ROLE %I', {role_text}) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role_text}) \\gexec
ALTER ROLE {role} WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT {limit} PASSWORD {verifier};
ALTER ROLE {role} SET timezone TO 'UTC';
SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', {name_text}, {role_text})
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {name_text}) \\gexec
ALTER DATABASE {name} OWNER TO {role};
REVOKE ALL ON DATABASE {name} FROM PUBLIC;
",
        limit = target.connection_limit,
        verifier = literal(&verifier),
    ))
}

/// SQL that drops both; run only when it was asked for twice.
#[must_use]
pub fn drop_sql(target: &Database) -> Secret {
    let (role, name) = (identifier(&target.role), identifier(&target.database));
    Secret::new(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE);\nDROP ROLE IF EXISTS {role};\n"))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    <Hmac<Sha256> as Mac>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// Stored and server key of RFC 5802, for a password of ASCII letters and digits, which SASLprep leaves alone.
fn keys(password: &Secret, salt: &[u8], iterations: u32) -> (Vec<u8>, Vec<u8>) {
    let mut salted = [0u8; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.expose().as_bytes(), salt, iterations, &mut salted);
    let client = hmac(&salted, b"Client Key");
    (Sha256::digest(client).to_vec(), hmac(&salted, b"Server Key"))
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as Postgres stores it.
fn verifier(password: &Secret, salt: &[u8], iterations: u32) -> String {
    let (stored, server) = keys(password, salt, iterations);
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

/// Whether a stored verifier belongs to a password. An MD5 one counts as another password, and is replaced.
pub(crate) fn verifier_matches(stored: &str, password: &Secret) -> bool {
    let parsed = (|| {
        let rest = stored.strip_prefix("SCRAM-SHA-256$")?;
        let (head, _) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        Some((iterations.parse::<u32>().ok().filter(|n| *n <= 1_000_000)?, STANDARD.decode(salt).ok()?))
    })();
    parsed.is_some_and(|(iterations, salt)| verifier(password, &salt, iterations) == stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Database {
        Database { database: "langfuse".to_owned(), role: "langfuse".to_owned(), connection_limit: 25 }
    }

    #[test]
    fn the_verifier_is_that_of_rfc_7677() {
        // The example of RFC 7677, section 3: user `user`, password `pencil`.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let (_, server) = keys(&Secret::new("pencil".to_owned()), &salt, 4096);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = STANDARD.encode(hmac(&server, message.as_bytes()));
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_verifier_matches_its_password_only() {
        let password = Secret::new("correct".to_owned());
        let stored = verifier(&password, b"0123456789abcdef", 4096);
        assert!(verifier_matches(&stored, &password));
        assert!(!verifier_matches(&stored, &Secret::new("wrong".to_owned())));
        for rubbish in [
            "",
            "md5aaaa",
            "SCRAM-SHA-256$x:y$z",
            "SCRAM-SHA-256$4096:!!$a:b",
            "SCRAM-SHA-256$4000000000:AA==$a:b",
        ] {
            assert!(!verifier_matches(rubbish, &password), "{rubbish}");
        }
    }

    #[test]
    fn the_sql_never_holds_the_password() {
        let sql = create_sql(&target(), &Secret::new("Zq3x9PlaintextPassword".to_owned()));
        assert!(!sql.expose().contains("Zq3x9PlaintextPassword"));
        assert!(sql.expose().contains("SCRAM-SHA-256$4096:"));
    }

    #[test]
    fn names_are_quoted() {
        let odd = Database { database: "a\"b".to_owned(), role: "o'c".to_owned(), connection_limit: 1 };
        let sql = create_sql(&odd, &Secret::new("x".to_owned()));
        assert!(sql.expose().contains("ALTER DATABASE \"a\"\"b\" OWNER TO \"o'c\""));
        assert!(sql.expose().contains("rolname = 'o''c'"));
    }

    #[test]
    fn every_difference_is_named() {
        let answer = r#"{"version":150018,"max_connections":100,"role":{"verifier":"md5x","login":false,"privileged":true,
            "connection_limit":-1,"utc":false},"database":{"owner":"ken","public":true}}"#;
        let DatabaseSeen::Server(seen) = read_facts(answer, Some(&Secret::new("p".to_owned()))) else {
            panic!()
        };
        assert_eq!(differences(&target(), &seen).len(), 7);
        let DatabaseSeen::Server(empty) =
            read_facts(r#"{"version":150018,"max_connections":100,"role":null,"database":null}"#, None)
        else {
            panic!()
        };
        assert_eq!(
            differences(&target(), &empty),
            ["role langfuse does not exist", "database langfuse does not exist"]
        );
    }
}
