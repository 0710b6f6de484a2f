//! Kens of other shapes: their owners' names, line ends, networks and override files are respected.

use anyhow::Context as _;
use ken_tests::{ContainerState, KenStack, Sharing, Xtask, command, rig_or_skip};
use serde_json::Value;

use crate::stack::Stack;

/// What Compose, called as Ken's people call it, makes of these services.
fn model(ken: &KenStack, services: &[&str]) -> anyhow::Result<Vec<Value>> {
    let text = command::read(&ken.compose(["config", "--format", "json"]))?;
    let model: Value = serde_json::from_str(&text)?;
    Ok(services.iter().map(|service| model["services"][service].clone()).collect())
}

#[test]
fn a_ken_with_a_redis_carriage_returns_and_no_last_newline_is_given_back() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::prepare(rig, Sharing::Shared)?;
    let redis = format!(
        "  # Ken's own cache, not to be taken for another.\n  redis:\n    image: {}\n    \
         command: ['--save', '', '--appendonly', 'no']\n    restart: unless-stopped\n\nvolumes:",
        rig.image("redis")
    );
    let text = std::fs::read_to_string(ken.compose_file())?
        .replace("volumes:\n  ken-data", &format!("{redis}\n  ken-data"));
    assert!(text.contains("  redis:"));
    let original = text.trim_end().replace('\n', "\r\n").into_bytes();
    std::fs::write(ken.compose_file(), &original)?;
    ken.up(["ken", "postgres", "redis"])?;
    let stack = Stack::of(ken)?;
    let xtask = stack.xtask()?;
    let services = ["ken", "postgres", "redis"];
    let (before, redis) = (model(&stack, &services)?, engine_state(&stack, "redis")?);
    command::read(&stack.compose(["exec", "-T", "redis", "redis-cli", "set", "mine", "kept"]))?;

    for layout in ["include", "merge"] {
        stack.set_policy("ken.layout", layout)?;
        xtask.deploy(&[])?.exits(0)?;
        let edited = std::fs::read_to_string(stack.compose_file())?;
        assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count(), "one kind of line end");
        assert_eq!(model(&stack, &services)?, before, "Compose sees Ken's services unchanged");
        assert_eq!(engine_state(&stack, "redis")?, redis);
        stack.untouched()?;
        xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    }
    assert_eq!(command::read(&stack.compose(["exec", "-T", "redis", "redis-cli", "get", "mine"]))?, "kept");
    xtask.rollback(&[])?.exits(0)?;
    assert_eq!(std::fs::read(stack.compose_file())?, original, "byte for byte");
    stack.as_before()?;
    assert_eq!(engine_state(&stack, "redis")?, redis);
    stack.finish()
}

/// Id, start and state of a container that may have no health check.
fn engine_state(stack: &Stack, service: &str) -> anyhow::Result<String> {
    let id = command::read(&stack.compose(["ps", "-aq", service]))?;
    command::docker([
        "container",
        "inspect",
        "--format",
        "{{.Id}} {{.State.StartedAt}} {{.State.Status}}",
        &id,
    ])
}

/// A Compose file as others write theirs.
const OTHER: &str = r#"name: PROJECT
services:
  ken:
    image: ken-rig/ken:1.0.0
    depends_on: { postgres: { condition: service_healthy } }
    environment: { PGHOST: db.internal, PGUSER: boss, PGDATABASE: ken, PGPASSWORD: "${BOSS_PASSWORD}" }
    networks: [front, back]
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/healthz"]
      interval: 2s
      retries: 15
  postgres:
    image: ken-rig/postgres:15.18.0
    environment: { POSTGRES_USER: boss, POSTGRES_DB: ken, POSTGRES_PASSWORD_FILE: /run/secrets/boss }
    secrets: [boss]
    networks: { back: { aliases: [db.internal] } }
    volumes: ["ken-data:/var/lib/postgresql/data", "./conversations.sql:/docker-entrypoint-initdb.d/10.sql:ro"]
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -q -h 127.0.0.1 -U boss -d ken"]
      interval: 2s
      retries: 15
networks:
  front:
  back: { name: PROJECT-private, internal: true }
secrets:
  boss: { file: ./boss-password }
volumes:
  ken-data:
"#;

/// Only with this file, which Compose takes by itself, is Ken published.
const OVERRIDE: &str = r#"services:
  ken:
    ports: ["127.0.0.1:${KEN_PORT}:8080"]
    labels: { made.by: "its own people" }
"#;

#[test]
fn a_ken_with_other_names_networks_and_an_override_file_is_served_as_well() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::prepare(rig, Sharing::Shared)?;
    let folder = ken.compose_file().parent().context("Ken's folder")?.to_owned();
    let original = OTHER.replace("PROJECT", ken.name());
    std::fs::write(ken.compose_file(), &original)?;
    std::fs::write(folder.join("docker-compose.override.yml"), OVERRIDE)?;
    std::fs::write(folder.join("boss-password"), "P@ss word/with:all\n")?;
    let env = format!("KEN_PORT={}\nBOSS_PASSWORD='P@ss word/with:all'\n", ken.ken_address().port());
    std::fs::write(ken.env_file(), env)?;
    ken.up_ken()?;
    let lives =
        || -> anyhow::Result<[ContainerState; 2]> { Ok([ken.container("ken")?, ken.container("postgres")?]) };
    let dump = || -> anyhow::Result<String> {
        let all = ken.exec("postgres", ["pg_dump", "-U", "boss", "-d", "ken"])?;
        // A random word guards each dump.
        Ok(all.lines().filter(|line| !line.starts_with('\\')).flat_map(|line| [line, "\n"]).collect())
    };
    let services = ["ken", "postgres"];
    let before = (lives()?, dump()?, model(&ken, &services)?);
    assert_eq!(ken.conversations()?, 42);

    let xtask = Xtask::beside(&ken)?;
    xtask.deploy(&[])?.exits(0)?;
    xtask.validate(&[])?.exits(0)?;
    xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    assert_eq!((lives()?, dump()?, model(&ken, &services)?), before);
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'langfuse'";
    assert_eq!(ken.exec("postgres", ["psql", "-XqAt", "-U", "boss", "-d", "ken", "-c", owner])?, "langfuse");
    // Its own people find nothing to change either.
    command::read(&ken.compose(["up", "-d", "--wait", "ken", "postgres"]))?;
    assert_eq!(lives()?, before.0);

    xtask.rollback(&[])?.exits(0)?;
    assert_eq!(std::fs::read_to_string(ken.compose_file())?, original, "byte for byte");
    assert_eq!((lives()?, dump()?, model(&ken, &services)?), before);
    assert_eq!(ken.conversations()?, 42);
    xtask.purge()?.exits(0)?;
    let databases = ken.exec(
        "postgres",
        ["psql", "-XqAt", "-U", "boss", "-d", "ken", "-c", "SELECT datname FROM pg_database"],
    )?;
    assert!(!databases.contains("langfuse"), "{databases}");
    assert!(!folder.join("langfuse").exists());
    ken.finish()
}
