//! The rig itself: the small Ken, and each image's contract with the Compose files that name it.
//!
//! What is proven here need not be doubted when a deploy on top of it fails.

use std::time::Duration;

use anyhow::Context as _;
use ken_tests::{KenStack, Project, Rig, Sharing, command, http, rig_or_skip};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};

/// The stores without Ken or Langfuse, these of them started.
fn stores(rig: &Rig, services: &[&str]) -> anyhow::Result<Project> {
    let project = Project::copy_of(&rig.folder().join("stores"), ".", Sharing::Shared)?;
    project.up(services.iter().copied())?;
    Ok(project)
}

/// What a command that must fail said.
fn refused(expression: &duct::Expression) -> anyhow::Result<String> {
    let done = expression.stderr_to_stdout().stdout_capture().unchecked().run()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    anyhow::ensure!(!done.status.success(), "{expression:?} went well: {said}");
    Ok(said)
}

/// Every word of every process in the container.
fn arguments(project: &Project, service: &str) -> anyhow::Result<String> {
    let script = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done 2>/dev/null";
    project.exec(service, ["sh", "-c", script])
}

#[test]
fn the_small_ken_serves_its_data_and_goes_without_a_trace() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::start(rig)?;
    assert_eq!(http::get(ken.ken_address(), "/healthz")?.status, 200);
    assert_eq!(ken.conversations()?, 42);

    let (before, postgres) = (ken.fingerprint()?, ken.container("postgres")?);
    assert_eq!((postgres.status.as_str(), postgres.health.as_str()), ("running", "healthy"));
    assert_eq!(ken.fingerprint()?, before, "looking changes nothing");

    // Ken counts anew each time, and the fingerprint notices one row.
    ken.sql("ken", "INSERT INTO conversations (started_at, question) VALUES (now(), 'one more')")?;
    assert_eq!(ken.conversations()?, 43);
    let after = ken.fingerprint()?;
    assert_ne!(after.database, before.database);
    assert_eq!(
        (&after.role, &after.volume, &after.compose_file),
        (&before.role, &before.volume, &before.compose_file)
    );

    // A restart keeps the data and the id, and shows in the start time.
    command::read(&ken.compose(["restart", "postgres"]))?;
    ken.up_ken()?;
    let restarted = ken.container("postgres")?;
    assert_eq!(restarted.id, postgres.id);
    assert_ne!(restarted.started_at, postgres.started_at);
    assert_eq!(ken.fingerprint()?, after);

    // Without its database Ken says so instead of making a number up.
    command::read(&ken.compose(["stop", "postgres"]))?;
    assert_eq!(http::get(ken.ken_address(), "/")?.status, 503);

    let policy: toml::Table = toml::from_str(&std::fs::read_to_string(ken.policy_file())?)?;
    assert_eq!(policy["images"]["pull"].as_str(), Some("never"));
    assert_eq!(policy["ken"]["compose_file"].as_str(), ken.compose_file().to_str());
    ken.finish()
}

#[test]
fn a_ken_that_is_dropped_in_a_panic_leaves_nothing() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::prepare(rig, Sharing::Shared)?;
    let (name, folder) = (ken.name().to_owned(), ken.folder().to_owned());
    command::read(&ken.compose(["up", "-d", "postgres"]))?;
    let in_panic = std::thread::spawn(move || {
        let _ken = ken;
        panic!("on purpose");
    });
    assert!(in_panic.join().is_err());
    for list in [["container", "ls", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"]] {
        let filter = format!("label=com.docker.compose.project={name}");
        let left = command::docker(list.into_iter().chain(["--filter", &filter]))?;
        assert_eq!(left, "", "{list:?}");
    }
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn postgres_is_as_the_official_image() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stores = stores(rig, &["postgres"])?;
    let sql = |statement: &str| {
        stores.exec("postgres", ["psql", "-X", "-q", "-A", "-t", "-U", "owner", "-d", "app", "-c", statement])
    };
    assert_eq!(sql("SELECT current_setting('server_version_num')::int / 10000")?, "15");
    assert_eq!(sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'owner'")?, "t");
    assert_eq!(sql("SELECT count(*) FROM pg_roles WHERE rolname = 'postgres'")?, "0");
    assert_eq!(stores.exec("postgres", ["stat", "-c", "%U", "/proc/1"])?, "postgres");

    // From another container only the password opens, on every interface of the server.
    let from_outside = |password: &str| {
        let network = format!("{}_default", stores.name());
        let url = "host=postgres user=owner dbname=app connect_timeout=5";
        duct::cmd!(
            "docker",
            "run",
            "--rm",
            "--network",
            network,
            "-e",
            format!("PGPASSWORD={password}"),
            rig.image("postgres"),
            "psql",
            "-X",
            "-w",
            "-A",
            "-t",
            "-c",
            "SELECT 1",
            url
        )
    };
    assert_eq!(command::read(&from_outside("owner-password"))?, "1");
    assert!(refused(&from_outside("wrong"))?.contains("password authentication failed"));

    // The second start keeps what the first made.
    sql("CREATE TABLE kept AS SELECT 7 AS value")?;
    command::read(&stores.compose(["up", "-d", "--wait", "--force-recreate", "postgres"]))?;
    assert_eq!(sql("SELECT value FROM kept")?, "7");
    let log = command::read(&stores.compose(["logs", "postgres"]).stderr_to_stdout())?;
    assert!(log.contains("Skipping initialization"), "{log}");
    stores.finish()
}

#[test]
fn postgres_refuses_a_first_start_without_a_password() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let said = refused(&duct::cmd!("docker", "run", "--rm", rig.image("postgres")))?;
    assert!(said.contains("superuser password is not specified"), "{said}");
    Ok(())
}

#[test]
fn redis_keeps_its_password_and_its_jobs() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stores = stores(rig, &["redis"])?;
    assert_eq!(stores.exec("redis", ["redis-cli", "ping"])?, "PONG");
    let without = stores.exec("redis", ["env", "-u", "REDISCLI_AUTH", "redis-cli", "ping"])?;
    assert!(without.contains("NOAUTH"), "{without}");
    let policy = stores.exec("redis", ["redis-cli", "config", "get", "maxmemory-policy"])?;
    assert_eq!(policy, "maxmemory-policy\nnoeviction");
    assert!(stores.exec("redis", ["redis-cli", "info", "server"])?.contains("redis_version:7.0."));
    assert_eq!(stores.exec("redis", ["stat", "-c", "%U", "/proc/1"])?, "redis");
    assert!(!arguments(&stores, "redis")?.contains("redis-password"));

    stores.exec("redis", ["redis-cli", "set", "job", "queued"])?;
    command::read(&stores.compose(["kill", "redis"]))?;
    stores.up(["redis"])?;
    assert_eq!(stores.exec("redis", ["redis-cli", "get", "job"])?, "queued");
    stores.finish()
}

#[test]
fn redis_starts_as_root_and_runs_as_redis() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    // Options alone mean the server with them, as root or not; other commands pass through.
    let options = ["--port", "0", "--unixsocket", "/tmp/redis.sock", "--daemonize", "no"];
    let id = command::docker(["run", "-d", "--rm", rig.image("redis")].into_iter().chain(options))?;
    let user = command::docker(["exec", &id, "stat", "-c", "%U", "/proc/1", "/data"]);
    command::docker(["rm", "-f", "-v", &id])?;
    assert_eq!(user?, "redis\nredis");
    assert_eq!(command::docker(["run", "--rm", rig.image("redis"), "sh", "-c", "id -u; pwd"])?, "0\n/data");
    Ok(())
}

#[test]
fn clickhouse_answers_over_http_and_keeps_its_rows() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stores = stores(rig, &["clickhouse"])?;
    let query = |password: &str, sql: &str| {
        let headers = [("X-ClickHouse-User", "clickhouse"), ("X-ClickHouse-Key", password)];
        http::send(stores.address("clickhouse", 8123)?, "POST", "/", &headers, sql)
    };
    assert_eq!(http::get(stores.address("clickhouse", 8123)?, "/ping")?.body, "Ok.\n");
    assert_eq!(query("clickhouse-password", "SELECT timezone()")?.body, "UTC\n");
    let wrong = query("wrong", "SELECT 1")?;
    assert!((401..=403).contains(&wrong.status) && wrong.body.contains("AUTHENTICATION_FAILED"), "{wrong:?}");
    assert_eq!(query("clickhouse-password", "SELECT * FROM nowhere")?.status, 404);

    for sql in ["CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n", "INSERT INTO kept VALUES (7)"] {
        let answer = query("clickhouse-password", sql)?;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(stores.exec("clickhouse", ["stat", "-c", "%u:%g", "/proc/1"])?, "101:101");
    assert!(!arguments(&stores, "clickhouse")?.contains("clickhouse-password"));
    command::read(&stores.compose(["up", "-d", "--wait", "--force-recreate", "clickhouse"]))?;
    assert_eq!(query("clickhouse-password", "SELECT n FROM kept")?.body, "7\n");
    stores.finish()
}

#[test]
fn clickhouse_does_not_start_on_a_broken_setting() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stores = Project::copy_of(&rig.folder().join("stores"), ".", Sharing::Shared)?;
    std::fs::write(stores.folder().join("logs.xml"), "<clickhouse><trace_log></clickhouse>")?;
    let said = refused(&stores.compose(["run", "--rm", "-T", "clickhouse"]))?;
    assert!(said.contains("logs.xml"), "{said}");
    stores.finish()
}

#[test]
fn minio_serves_only_who_signs() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stores = stores(rig, &["minio"])?;
    let address = stores.address("minio", 9000)?;
    let bucket = |name: &'static str| {
        Bucket::new(format!("http://{address}").parse()?, UrlStyle::Path, name, "us-east-1").context(name)
    };
    let send = |method: &str, url: &str, body: &str| {
        http::send(
            address,
            method,
            url.split_once(&address.to_string()).map_or("", |(_, path)| path),
            &[],
            body,
        )
    };
    let minute = Duration::from_secs(60);
    let (langfuse, right) = (bucket("langfuse")?, Credentials::new("minio", "minio-password"));
    let wrong = Credentials::new("minio", "wrong-password");

    let key = "events/otel/project/2026/probe.json";
    let put = send("PUT", langfuse.put_object(Some(&right), key).sign(minute).as_str(), "seven")?;
    assert_eq!(put.status, 200, "{put:?}");
    let get = send("GET", langfuse.get_object(Some(&right), key).sign(minute).as_str(), "")?;
    assert_eq!((get.status, get.body.as_str()), (200, "seven"));
    let listed = send("GET", langfuse.list_objects_v2(Some(&right)).sign(minute).as_str(), "")?;
    assert!(listed.body.contains(key), "{listed:?}");

    assert_eq!(send("GET", langfuse.get_object(Some(&wrong), key).sign(minute).as_str(), "")?.status, 403);
    assert_eq!(http::get(address, &format!("/langfuse/{key}"))?.status, 403);
    let unsigned = http::send(address, "PUT", "/langfuse/anonymous", &[], "no")?;
    assert_eq!(unsigned.status, 403, "{unsigned:?}");
    let elsewhere =
        send("PUT", bucket("elsewhere")?.put_object(Some(&right), key).sign(minute).as_str(), "x")?;
    assert!(elsewhere.status == 404 && elsewhere.body.contains("NoSuchBucket"), "{elsewhere:?}");
    let created = send("PUT", bucket("elsewhere")?.create_bucket(&right).sign(minute).as_str(), "")?;
    assert_eq!(created.status, 200, "{created:?}");
    let there = send("PUT", bucket("elsewhere")?.put_object(Some(&right), key).sign(minute).as_str(), "x")?;
    assert_eq!(there.status, 200, "{there:?}");

    let delete = send("DELETE", langfuse.delete_object(Some(&right), key).sign(minute).as_str(), "")?;
    assert_eq!(delete.status, 204, "{delete:?}");
    assert_eq!(send("GET", langfuse.get_object(Some(&right), key).sign(minute).as_str(), "")?.status, 404);

    assert_eq!(http::get(address, "/minio/health/live")?.status, 200);
    assert!(!arguments(&stores, "minio")?.contains("minio-password"));
    // The health command asks the server, so where there is none it fails.
    let alone =
        duct::cmd!("docker", "run", "--rm", "--entrypoint", "mc", rig.image("minio"), "ready", "local");
    assert!(refused(&alone)?.contains("does not answer"));
    stores.finish()
}

#[test]
fn langfuse_migrates_as_the_real_image_does() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stores = stores(rig, &["postgres", "clickhouse"])?;
    let sql = |database: &str, statement: &str| {
        stores.exec(
            "postgres",
            ["psql", "-X", "-q", "-A", "-t", "-U", "owner", "-d", database, "-c", statement],
        )
    };
    // With these variables changed, `true` in the service's image, behind its entry point.
    let run = |service: &'static str, variables: &[&'static str], command: &[&'static str]| {
        let mut words = vec!["run", "--rm", "-T", "--no-deps"];
        for variable in variables {
            words.extend(["-e", variable]);
        }
        words.push(service);
        words.extend(command);
        stores.compose(words)
    };
    sql("app", "CREATE ROLE langfuse LOGIN PASSWORD 'langfuse-password'")?;
    sql("app", "CREATE DATABASE langfuse OWNER langfuse")?;

    // What goes wrong in the field goes wrong here, in the same words.
    sql("app", "CREATE TABLE conversations (id INT)")?;
    for (variable, told) in [
        ("DATABASE_URL=postgresql://langfuse:wrong@postgres:5432/langfuse", "P1000"),
        ("DATABASE_URL=postgresql://langfuse:langfuse-password@postgres:5432/none", "P1003"),
        ("DATABASE_URL=postgresql://langfuse:langfuse-password@nowhere:5432/langfuse", "P1001"),
        ("DATABASE_URL=postgresql://owner:owner-password@postgres:5432/app", "P3005"),
        ("DATABASE_URL=postgresql://langfuse:langfuse-password@postgres:5432/postgres", "permission denied"),
        ("DATABASE_URL=", "database environment variables are not set"),
        ("CLICKHOUSE_URL=", "CLICKHOUSE_URL is not configured"),
        ("CLICKHOUSE_MIGRATION_URL=", "CLICKHOUSE_MIGRATION_URL is not set"),
        ("CLICKHOUSE_CLUSTER_ENABLED=", "no Zookeeper configuration"),
        ("CLICKHOUSE_PASSWORD=wrong", "AUTHENTICATION_FAILED"),
    ] {
        let said = refused(&run("migrate", &[variable], &[]))?;
        assert!(said.contains(told), "{variable}: {said}");
        assert!(!said.contains("langfuse-password"), "{said}");
    }

    // A worker before the migration goes on without the prices, and does not migrate.
    sql("app", "DROP DATABASE langfuse")?;
    sql("app", "CREATE DATABASE langfuse OWNER langfuse")?;
    let early = command::read(&run("worker", &[], &["langfuse-local", "--version"]).stderr_to_stdout())?;
    assert!(early.contains("relation \"models\" does not exist"), "{early}");
    assert_eq!(sql("langfuse", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")?, "0");

    let off = [
        "LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED=true",
        "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED=true",
    ];
    command::read(&run("migrate", &off, &["true"]))?;
    assert_eq!(sql("langfuse", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")?, "0");

    command::read(&run("migrate", &[], &["true"]))?;
    let unfinished = "SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NULL";
    assert_eq!(sql("langfuse", unfinished)?, "0");
    assert_eq!(
        sql("langfuse", "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")?,
        "langfuse"
    );
    assert_eq!(sql("langfuse", "SELECT count(*) FROM models")?, "0", "only the worker fills in the prices");
    let again = command::read(&run("migrate", &[], &["true"]))?;
    assert!(again.contains("No pending migrations to apply.") && again.contains("no change"), "{again}");

    command::read(&run("worker", &[], &["langfuse-local", "--version"]))?;
    assert_ne!(sql("langfuse", "SELECT count(*) FROM models")?, "0");
    let headers = [("X-ClickHouse-User", "clickhouse"), ("X-ClickHouse-Key", "clickhouse-password")];
    let tables = http::send(stores.address("clickhouse", 8123)?, "POST", "/", &headers, "SHOW TABLES")?;
    for table in ["events_core", "events_full", "schema_migrations", "scores"] {
        assert!(tables.body.lines().any(|line| line == table), "{tables:?}");
    }
    stores.finish()
}

#[test]
fn langfuse_serves_its_project_once_its_stores_are_there() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stores = stores(rig, &["postgres", "redis", "clickhouse", "minio"])?;
    for statement in
        ["CREATE ROLE langfuse LOGIN PASSWORD 'langfuse-password'", "CREATE DATABASE langfuse OWNER langfuse"]
    {
        stores.exec("postgres", ["psql", "-X", "-q", "-U", "owner", "-d", "app", "-c", statement])?;
    }
    command::read(&stores.compose(["run", "--rm", "-T", "--no-deps", "migrate"]))?;
    stores.up(["worker", "web"])?;
    for service in ["worker", "web"] {
        assert_eq!(stores.exec(service, ["stat", "-c", "%u", "/proc/1"])?, "1001");
        assert!(stores.exec(service, ["sh", "-c", "! command -v curl python3 psql bash redis-cli"]).is_ok());
    }
    let web = stores.address("web", 3000)?;
    let health = http::get(web, "/api/public/health")?;
    assert_eq!((health.status, health.body.contains("4.16.0")), (200, true), "{health:?}");
    // base64 of the two keys in the Compose file
    let keys = "Basic cGstbGYtNmIxYzZlMGEtNWMwZS00YTRlLTlkNDMtMGE4ZjZmMWYzYzExOnNrLWxmLTJmM2Q3ZjhlLTBhNTktNGI1My04ZDhmLTdmMGMxZDJlM2Y0MA==";
    let projects = http::send(web, "GET", "/api/public/projects", &[("Authorization", keys)], "")?;
    assert_eq!((projects.status, projects.body.contains("\"images\"")), (200, true), "{projects:?}");

    // The health commands see a lost database.
    command::read(&stores.compose(["stop", "postgres"]))?;
    assert_eq!(http::get(web, "/api/public/health?failIfDatabaseUnavailable=true")?.status, 503);
    assert_eq!(http::get(web, "/api/public/health")?.status, 200);
    stores.finish()
}
