//! `[storage]`, `[postgres]`, `[clickhouse]` and `[redis]`: where data is kept.

use url::Url;

use crate::defaults::BUCKET;
use crate::field::{Field, Place};
use crate::names;
use crate::policy::{Clickhouse, Postgres, Redis, Storage};
use crate::read::{Checked, Reader, Section};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Minio,
    S3,
}

pub(super) fn storage(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Storage {
    let mut section = reader.section(root, "storage");
    let mode = reader.choice(&mut section, "mode", &[("minio", Mode::Minio), ("s3", Mode::S3)]);
    let bucket = reader.name(
        &mut section,
        "bucket",
        "3 to 63 lower-case letters, digits, `.` and `-`, with a letter or digit at both ends",
        names::is_bucket,
    );
    let endpoint = reader.url(&mut section, "endpoint", "http(s)://host[:port]", |text| {
        web_url(text, "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY")
    });
    let region =
        reader.name(&mut section, "region", "a region such as eu-central-1, or auto", names::is_region);
    let path_style = reader.boolean(&mut section, "path_style");
    let prefix = reader.name(
        &mut section,
        "prefix",
        "folders of letters, digits, `.`, `_` and `-`, with a `/` at the end: team/langfuse/",
        names::is_prefix,
    );
    reader.finish(&section);

    if mode.given() == Some(&Mode::S3) {
        if bucket.is_absent() {
            reader.missing(&section, "bucket", "is missing", "the name of the bucket, which must exist");
        }
        if region.is_absent() && endpoint.is_absent() {
            reader.missing(&section, "region", "is missing", "the bucket's region, or an endpoint");
        }
        // Stores other than AWS seldom have a host name for each bucket.
        let elsewhere = endpoint.given().is_some();
        return Storage::S3 {
            bucket: bucket.or(BUCKET.into()),
            endpoint: endpoint.into_option(),
            region: region.or("auto".into()),
            path_style: path_style.or(elsewhere),
            prefix: prefix.or(String::new()),
        };
    }
    if mode.is_absent() || mode.given() == Some(&Mode::Minio) {
        for place in
            [endpoint.place(), region.place(), path_style.place(), prefix.place()].into_iter().flatten()
        {
            reader.fault(
                place,
                "has no effect when storage.mode is `minio`",
                "storage.mode = \"s3\", or no such key",
            );
        }
    }
    Storage::Minio { bucket: bucket.or(BUCKET.into()) }
}

struct PostgresUrl {
    host: String,
    port: u16,
    database: String,
    role: String,
    tls: bool,
}

pub(super) fn postgres(reader: &mut Reader<'_>, root: &mut Section<'_>, default: Postgres) -> Postgres {
    let mut section = reader.section(root, "postgres");
    let name = |reader: &mut Reader<'_>, section: &mut Section<'_>, key| {
        reader.text(section, key, "a lower-case name of our own, such as langfuse", |text| match () {
            () if !names::is_postgres_name(text) => {
                Err("is not of the form [a-z_][a-z0-9_]{0,62}".to_owned())
            }
            () if names::is_taken_postgres_name(text) => {
                Err("belongs to Postgres itself or to Ken's server".to_owned())
            }
            () => Ok(text.to_owned()),
        })
    };
    let database = name(reader, &mut section, "database");
    let role = name(reader, &mut section, "role");
    let url =
        reader.url(&mut section, "url", "postgresql://role@host:5432/database?sslmode=require", postgres_url);
    reader.finish(&section);

    if !url.is_absent() {
        for place in [database.place(), role.place()].into_iter().flatten() {
            in_the_url(reader, place, "postgres.url");
        }
    }
    match url {
        Field::Given { value, .. } => Postgres::External {
            host: value.host,
            port: value.port,
            database: value.database,
            role: value.role,
            tls: value.tls,
        },
        Field::Absent | Field::Refused => {
            let Postgres::Ken { database: default_database, role: default_role } = default else {
                return default;
            };
            Postgres::Ken { database: database.or(default_database), role: role.or(default_role) }
        }
    }
}

fn postgres_url(text: &str) -> Checked<PostgresUrl> {
    let url = parsed(text, &["postgresql", "postgres"], "POSTGRES_PASSWORD")?;
    let mut tls = true;
    for (key, value) in url.query_pairs() {
        match (&*key, &*value) {
            ("sslmode", "require") => tls = true,
            ("sslmode", "disable") => tls = false,
            ("sslmode", _) => {
                return Err(
                    "has an sslmode that Langfuse's driver does not know: `require` or `disable`".into()
                );
            }
            _ => return Err("has a parameter other than sslmode".into()),
        }
    }
    let role = url.username().to_owned();
    let database = url.path().trim_start_matches('/').to_owned();
    match () {
        () if role.is_empty() => Err("names no role".into()),
        () if !names::is_foreign_postgres_name(&role) => {
            Err("has a role with other characters than letters, digits, `_`, `-` and `.`".into())
        }
        () if database.is_empty() => Err("names no database".into()),
        () if !names::is_foreign_postgres_name(&database) => {
            Err("has a database with other characters than letters, digits, `_`, `-` and `.`".into())
        }
        () => Ok(PostgresUrl { host: host(&url)?, port: url.port().unwrap_or(5432), database, role, tls }),
    }
}

pub(super) fn clickhouse(reader: &mut Reader<'_>, root: &mut Section<'_>, default: Clickhouse) -> Clickhouse {
    let mut section = reader.section(root, "clickhouse");
    let form = "letters, digits and `_`, with a letter at the beginning";
    let user = reader.name(&mut section, "user", form, names::is_clickhouse_name);
    let database = reader.text(&mut section, "database", form, |text| match () {
        () if !names::is_clickhouse_name(text) => Err("is not valid".to_owned()),
        () if matches!(text.to_lowercase().as_str(), "system" | "information_schema") => {
            Err("belongs to ClickHouse itself".to_owned())
        }
        () => Ok(text.to_owned()),
    });
    let http_url = reader
        .url(&mut section, "http_url", "http(s)://host:8123", |text| web_url(text, "CLICKHOUSE_PASSWORD"));
    let native_url = reader.url(&mut section, "native_url", "clickhouse://host:9000", |text| {
        let url = parsed(text, &["clickhouse"], "CLICKHOUSE_PASSWORD")?;
        host(&url)?;
        bare(url)
    });
    reader.finish(&section);

    for (here, key, other) in [(&http_url, "native_url", &native_url), (&native_url, "http_url", &http_url)] {
        if !here.is_absent() && other.is_absent() {
            reader.missing(
                &section,
                key,
                "is missing",
                "both addresses: Langfuse queries over HTTP and migrates over the native protocol",
            );
        }
    }
    let Clickhouse::Container { user: default_user, database: default_database } = default else {
        return default;
    };
    let (user, database) = (user.or(default_user), database.or(default_database));
    match (http_url.into_option(), native_url.into_option()) {
        (Some(http_url), Some(native_url)) => Clickhouse::External { http_url, native_url, user, database },
        _ => Clickhouse::Container { user, database },
    }
}

pub(super) fn redis(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Redis {
    let mut section = reader.section(root, "redis");
    let url = reader.url(&mut section, "url", "redis://host:6379, or rediss:// with TLS", |text| {
        let url = parsed(text, &["redis", "rediss"], "REDIS_PASSWORD")?;
        let username = Some(url.username().to_owned()).filter(|name| !name.is_empty());
        match () {
            () if username.as_deref().is_some_and(|name| !names::is_foreign_postgres_name(name)) => {
                Err("has a user with other characters than letters, digits, `_`, `-` and `.`".to_owned())
            }
            () if !matches!(url.path(), "" | "/" | "/0") => {
                Err("chooses a database, which Langfuse cannot: it uses number 0".to_owned())
            }
            () if url.query().is_some() || url.fragment().is_some() => Err("has a query".to_owned()),
            () => Ok(Redis::External {
                host: host(&url)?,
                port: url.port().unwrap_or(6379),
                tls: url.scheme() == "rediss",
                username,
            }),
        }
    });
    reader.finish(&section);
    url.or(Redis::Container)
}

/// A URL with one of these schemes and without a password.
fn parsed(text: &str, schemes: &[&str], secret: &str) -> Checked<Url> {
    let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
    match () {
        () if url.password().is_some() => Err(format!(
            "holds a password, and a policy holds none: it belongs into secrets.env as {secret}=…"
        )),
        () if !schemes.contains(&url.scheme()) => Err(format!("does not begin with {}://", schemes[0])),
        () if url.fragment().is_some() => Err("has a part after `#`".to_owned()),
        () => Ok(url),
    }
}

fn web_url(text: &str, secret: &str) -> Checked<Url> {
    let url = parsed(text, &["https", "http"], secret)?;
    host(&url)?;
    bare(url)
}

/// Only scheme, host and port.
fn bare(url: Url) -> Checked<Url> {
    match () {
        () if !url.username().is_empty() => Err("names a user; that has a key of its own".to_owned()),
        () if !matches!(url.path(), "" | "/") || url.query().is_some() => {
            Err("has a path or a query".to_owned())
        }
        () => Ok(url),
    }
}

fn host(url: &Url) -> Checked<String> {
    match url.host_str() {
        Some(host) if names::is_host(host) => Ok(host.to_owned()),
        _ => Err("has no host name that is valid".to_owned()),
    }
}

fn in_the_url(reader: &mut Reader<'_>, place: &Place, key: &str) {
    reader.fault(
        place,
        format!("has no effect beside {key}, which says it"),
        format!("either {key} or this key"),
    );
}
