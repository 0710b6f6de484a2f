//! The validation list: named claims about a running stack, each with what was measured.

use std::time::Duration;

use ken_secrets::{SecretName, SecretSet};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::engine::{Container, Engine, Health, HttpRequest};
use crate::gate::of_stack;
use crate::journal::KenLives;
use crate::object_store::ObjectStore;
use crate::report::{Check, Finding};
use crate::stack::services::CLICKHOUSE_HTTP_PORT;
use crate::stack::{Role, Stack};

/// Oldest ClickHouse that Langfuse v4's migrations run on.
const OLDEST_CLICKHOUSE: (u32, u32) = (25, 12);
/// Between two looks for the canary: there is no event to wait for inside Langfuse.
const CANARY_PACE: Duration = Duration::from_millis(150);

/// What validation looks at.
#[derive(Debug)]
pub struct Input<'a, E, C> {
    /// The world.
    pub engine: &'a E,
    /// The time.
    pub clock: &'a C,
    /// What should run.
    pub stack: &'a Stack,
    /// The secrets.
    pub secrets: &'a SecretSet,
    /// Ken's lives when the run began.
    pub lives: &'a KenLives,
    /// How long the canary may take.
    pub canary_limit: Duration,
}

/// Address of web from this machine.
#[must_use]
pub fn web_url(stack: &Stack) -> String {
    crate::plan::local_url(stack)
}

/// All checks, in order. A canary that fails names the first hop that it did not pass.
pub async fn validate<E: Engine, C: Clock>(input: &Input<'_, E, C>) -> Vec<Check> {
    let stack = input.stack;
    let url = web_url(stack);
    let containers = match input.engine.containers().await {
        Ok(all) => of_stack(all, stack),
        Err(error) => {
            return vec![Check {
                finding: Finding::Failed,
                mend: "start the Docker engine, then run this again".to_owned(),
                ..Check::ok("engine", "the engine answers", error.to_string(), "answers")
            }];
        }
    };
    let mut checks = vec![ui(input.engine, &url).await];
    let parts: &[Role] = if stack.is_whole() {
        &[Role::Web, Role::Worker, Role::Clickhouse, Role::Redis, Role::Minio]
    } else {
        &[Role::Web]
    };
    checks.extend(parts.iter().map(|role| healthy(*role, stack, &containers)));
    if stack.is_whole() {
        checks.push(clickhouse(input, &containers).await);
    }
    checks.push(project(input.engine, &url, &stack.project_id, input.secrets).await);
    checks.extend(canary(input, &url, &containers).await);
    checks.push(exposure(stack, &containers));
    if stack.is_whole() {
        checks.push(ken_untouched(input.engine, input.lives).await);
    }
    checks
}

async fn ui<E: Engine>(engine: &E, url: &str) -> Check {
    let (id, title, limit) = ("ui-reachable", "the UI answers", "200 or a redirect to the sign-in page");
    match engine.http(HttpRequest::get(format!("{url}/"))).await {
        Ok(answer) => Check::that(
            matches!(answer.status, 200 | 301 | 302 | 303 | 307 | 308),
            id,
            title,
            format!("{url}/ answers {}", answer.status),
            limit,
            "docker logs the web container",
        ),
        Err(error) => Check {
            finding: Finding::Failed,
            mend: "cargo xtask status".to_owned(),
            ..Check::ok(id, title, error.to_string(), limit)
        },
    }
}

fn healthy(role: Role, stack: &Stack, containers: &[Container]) -> Check {
    let (id, title) = match role {
        Role::Web => ("web-healthy", "web is healthy"),
        Role::Worker => ("worker-healthy", "the worker is healthy"),
        Role::Clickhouse => ("clickhouse-healthy", "ClickHouse is healthy"),
        Role::Redis => ("redis-healthy", "Redis is healthy"),
        _ => ("minio-healthy", "MinIO is healthy"),
    };
    let Some(service) = stack.service(role) else {
        return Check::skipped(id, title, "an external one is used");
    };
    let found = containers.iter().find(|c| c.service() == Some(&service.name));
    let measured = found.map_or_else(
        || format!("{} is not there", service.name),
        |c| format!("{}: {:?}, {:?}", service.name, c.activity, c.health).to_lowercase(),
    );
    Check::that(
        found.is_some_and(|c| c.is_well() && c.health == Health::Healthy),
        id,
        title,
        measured,
        "running, healthy",
        found.map_or_else(
            || "cargo xtask deploy".to_owned(),
            |c| format!("docker logs --tail 100 {}", c.name),
        ),
    )
}

/// Version and time zone: ClickHouse in another zone gives empty results without a word.
async fn clickhouse<E: Engine, C: Clock>(input: &Input<'_, E, C>, containers: &[Container]) -> Check {
    let (id, title) = ("clickhouse-settings", "ClickHouse is recent enough and in UTC");
    let Some(service) = input.stack.service(Role::Clickhouse) else {
        return Check::skipped(id, title, "an external one is used");
    };
    let limit = format!("at least {}.{}, UTC", OLDEST_CLICKHOUSE.0, OLDEST_CLICKHOUSE.1);
    let failed = |why: String| Check {
        finding: Finding::Failed,
        mend: format!("docker logs the container of {}", service.name),
        ..Check::ok(id, title, why, limit.clone())
    };
    let address = containers
        .iter()
        .find(|c| c.service() == Some(&service.name))
        .and_then(|c| c.addresses.values().next());
    let (Some(address), Some(password)) = (address, input.secrets.get(SecretName::ClickhousePassword)) else {
        return failed("it has no address".to_owned());
    };
    let user = match service.environment.get("CLICKHOUSE_USER") {
        Some(crate::stack::EnvValue::Plain(user)) => user.clone(),
        _ => "default".to_owned(),
    };
    let request = HttpRequest {
        method: "POST",
        basic: Some((ken_secrets::Secret::new(user), password.clone())),
        body: b"SELECT version(), timezone() FORMAT TabSeparated".to_vec(),
        ..HttpRequest::get(format!("http://{address}:{CLICKHOUSE_HTTP_PORT}/"))
    };
    match input.engine.http(request).await {
        Ok(answer) if answer.status == 200 => {
            let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
            let (version, zone) = text.split_once('\t').unwrap_or((&text, ""));
            Check::that(
                crate::engine::major_minor(version).is_some_and(|v| v >= OLDEST_CLICKHOUSE) && zone == "UTC",
                id,
                title,
                format!("{version}, {zone}"),
                limit.clone(),
                "set images.clickhouse in the policy to a version that Langfuse v4 supports",
            )
        }
        Ok(answer) => failed(format!("it answers {}", answer.status)),
        Err(error) => failed(error.to_string()),
    }
}

/// Whether the generated key reaches its own project.
pub async fn project<E: Engine>(engine: &E, url: &str, project: &str, secrets: &SecretSet) -> Check {
    let (id, title) = ("project-key", "the API key reaches its own project");
    let limit = format!("project {project}");
    let failed = |why: String, mend: &str| Check {
        finding: Finding::Failed,
        mend: mend.to_owned(),
        ..Check::ok(id, title, why, limit.clone())
    };
    let Some(basic) = keys(secrets) else {
        return failed("the key is not there".to_owned(), "cargo xtask secrets init");
    };
    let request =
        HttpRequest { basic: Some(basic), ..HttpRequest::get(format!("{url}/api/public/projects")) };
    match engine.http(request).await {
        Ok(answer) if answer.status == 200 => {
            let body = answer.json();
            let found = body["data"][0]["id"].as_str().unwrap_or("none").to_owned();
            Check::that(
                found == project,
                id,
                title,
                format!("the key reaches project {found}"),
                limit.clone(),
                "the first start made another project: keep langfuse.project_id as it was then",
            )
        }
        Ok(answer) => failed(
            format!("the answer is {}", answer.status),
            "a key that was tried before it existed is refused for 5 minutes; then: cargo xtask validate",
        ),
        Err(error) => failed(error.to_string(), "cargo xtask status"),
    }
}

fn keys(secrets: &SecretSet) -> Option<(ken_secrets::Secret, ken_secrets::Secret)> {
    Some((
        secrets.get(SecretName::ProjectPublicKey)?.clone(),
        secrets.get(SecretName::ProjectSecretKey)?.clone(),
    ))
}

/// One span, followed hop by hop: accepted by OTLP, stored as an object, readable by the API.
async fn canary<E: Engine, C: Clock>(
    input: &Input<'_, E, C>,
    url: &str,
    containers: &[Container],
) -> Vec<Check> {
    const ACCEPTED: (&str, &str) = ("canary-accepted", "OTLP accepts a span");
    const STORED: (&str, &str) = ("canary-stored", "its raw event is in the object store");
    const READABLE: (&str, &str) = ("canary-readable", "the API reads it back");
    let began = input.clock.elapsed();
    let since = || input.clock.elapsed().saturating_sub(began).as_millis();
    let failed = |(id, title): (&'static str, &'static str), why: String, limit: &str, mend: &str| Check {
        finding: Finding::Failed,
        mend: mend.to_owned(),
        ..Check::ok(id, title, why, limit)
    };
    let unreached =
        |(id, title): (&'static str, &'static str)| Check::skipped(id, title, "an earlier hop failed");
    let trace_id = uuid::Uuid::new_v4().simple().to_string();
    let Some(basic) = keys(input.secrets) else {
        return vec![failed(ACCEPTED, "the key is not there".to_owned(), "200", "cargo xtask secrets init")];
    };
    let request = HttpRequest {
        method: "POST",
        basic: Some(basic.clone()),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("x-langfuse-ingestion-version", "4".to_owned()),
            ("x-langfuse-sdk-name", "ken-langfuse".to_owned()),
            ("x-langfuse-sdk-version", env!("CARGO_PKG_VERSION").to_owned()),
        ],
        body: canary_span(&trace_id, input.clock).to_string().into_bytes(),
        timeout: Duration::from_secs(15),
        ..HttpRequest::get(format!("{url}/api/public/otel/v1/traces"))
    };
    let mut checks = Vec::new();
    let answer = match input.engine.http(request).await {
        Ok(answer) if answer.status == 200 => answer.json(),
        other => {
            let why = other.map_or_else(|e| e.to_string(), |a| format!("the answer is {}", a.status));
            let mend = "docker logs the web container: Redis and the object store must take what it accepts";
            return vec![failed(ACCEPTED, why, "200", mend), unreached(STORED), unreached(READABLE)];
        }
    };
    checks.push(Check::ok(ACCEPTED.0, ACCEPTED.1, format!("200 after {} ms", since()), "200"));
    let key = answer["data"]["payload"]["data"]["fileKey"].as_str().unwrap_or_default();
    let stored = match &input.stack.bucket {
        None => Ok(None),
        Some(_) if key.is_empty() => Err("the answer names no object".to_owned()),
        Some(bucket) => match ObjectStore::open(input.engine, bucket, containers, input.secrets) {
            Ok(store) => store.has(key).await.map(Some).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        },
    };
    match stored {
        // Nothing keeps raw events.
        Ok(None) => {}
        Ok(Some(true)) => {
            checks.push(Check::ok(STORED.0, STORED.1, format!("found after {} ms", since()), "found"));
        }
        Ok(Some(false)) | Err(_) => {
            let why = stored.err().unwrap_or_else(|| "the object is not there".to_owned());
            checks.push(failed(
                STORED,
                why,
                "found",
                "check storage.* in the policy and docker logs the web container",
            ));
            checks.push(unreached(READABLE));
            return checks;
        }
    }
    let limit = format!("within {} s", input.canary_limit.as_secs());
    loop {
        let read = HttpRequest {
            basic: Some(basic.clone()),
            ..HttpRequest::get(format!("{url}/api/public/v2/observations?traceId={trace_id}&limit=1"))
        };
        let seen = match input.engine.http(read).await {
            Ok(answer) if answer.status == 200 => {
                answer.json()["data"].as_array().is_some_and(|rows| !rows.is_empty())
            }
            _ => false,
        };
        if seen {
            checks.push(Check::ok(READABLE.0, READABLE.1, format!("read after {} ms", since()), limit));
            break;
        }
        if input.clock.elapsed().saturating_sub(began) >= input.canary_limit {
            let mend = "the worker does not take it out of the queue: docker logs the worker container";
            checks.push(failed(READABLE, "not there".to_owned(), &limit, mend));
            break;
        }
        input.clock.sleep(CANARY_PACE).await;
    }
    if input.stack.keeps_canary {
        return checks;
    }
    // Deleted later by Langfuse itself; a canary that stays is harmless.
    let delete = HttpRequest {
        method: "DELETE",
        basic: Some(basic),
        ..HttpRequest::get(format!("{url}/api/public/traces/{trace_id}"))
    };
    let _ = input.engine.http(delete).await;
    checks
}

fn canary_span<C: Clock>(trace_id: &str, clock: &C) -> Value {
    let nanoseconds = clock.now().as_nanosecond().to_string();
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", "ken-langfuse")] },
        "scopeSpans": [{
            "scope": { "name": "ken-langfuse" },
            "spans": [{
                "traceId": trace_id,
                "spanId": &trace_id[..16],
                "name": "canary",
                "kind": 1,
                "startTimeUnixNano": nanoseconds,
                "endTimeUnixNano": nanoseconds,
                "attributes": [
                    attribute("langfuse.trace.name", "canary"),
                    attribute("langfuse.environment", "canary"),
                    attribute("langfuse.observation.type", "event"),
                ],
            }],
        }],
    }] })
}

/// Only web is published, and only where the policy says.
fn exposure(stack: &Stack, containers: &[Container]) -> Check {
    let web = stack.service(Role::Web).map(|s| s.name.as_str());
    let mut wrong = Vec::new();
    let mut shown = Vec::new();
    for container in containers {
        for (address, host, target) in &container.published {
            let service = container.service().unwrap_or(&container.name);
            let text = format!("{service} at {address}:{host}");
            // Every address of IPv4 comes with every address of IPv6.
            let agreed = *address == stack.web_address || (stack.web_address == "0.0.0.0" && address == "::");
            if Some(service) == web && agreed && *host == stack.web_port {
                shown.push(text);
            } else {
                wrong.push(format!("{text} (container port {target})"));
            }
        }
    }
    let measured = if wrong.is_empty() { shown.join(", ") } else { wrong.join(", ") };
    Check::that(
        wrong.is_empty() && !shown.is_empty(),
        "exposure",
        "only web is published, where the policy says",
        if measured.is_empty() { "nothing is published".to_owned() } else { measured },
        format!("web at {}:{} alone", stack.web_address, stack.web_port),
        "cargo xtask deploy",
    )
}

/// Whether Ken and its Postgres are in the lives they had; what changed otherwise.
///
/// # Errors
/// What changed, for people.
pub async fn ken_lives<E: Engine>(engine: &E, lives: &KenLives) -> Result<(), String> {
    let mut changed = Vec::new();
    for (name, life) in [("ken", &lives.ken), ("postgres", &lives.postgres)] {
        let Some(before) = life else { continue };
        match engine.life(&before.id).await {
            Ok(Some(now)) if now == *before => {}
            Ok(Some(_)) => changed.push(format!("{name} was restarted")),
            Ok(None) => changed.push(format!("{name} is gone or was recreated")),
            Err(error) => changed.push(format!("{name} cannot be seen: {error}")),
        }
    }
    if changed.is_empty() { Ok(()) } else { Err(changed.join(", ")) }
}

/// Whether Ken and its Postgres are in the lives they had, and well.
pub async fn ken_untouched<E: Engine>(engine: &E, lives: &KenLives) -> Check {
    let (id, title) =
        ("ken-untouched", "Ken and its Postgres were neither recreated nor restarted, and are healthy");
    let containers = engine.containers().await.unwrap_or_default();
    let mut changed: Vec<String> = ken_lives(engine, lives).await.err().into_iter().collect();
    let mut stopped = Vec::new();
    for (name, life) in [("ken", &lives.ken), ("postgres", &lives.postgres)] {
        match life {
            // It did not run before either; preflight of a deployment refuses that.
            None => stopped.push(name),
            Some(life) if !containers.iter().any(|c| c.id == life.id && c.is_well()) => {
                changed.push(format!("{name} is not healthy"));
            }
            Some(_) => {}
        }
    }
    if changed.is_empty() && !stopped.is_empty() {
        return Check::skipped(id, title, format!("{} did not run before either", stopped.join(", ")));
    }
    Check::that(
        changed.is_empty(),
        id,
        title,
        if changed.is_empty() {
            "same containers, same start times, healthy".to_owned()
        } else {
            changed.join(", ")
        },
        "same containers, same start times, healthy",
        "see who did it: docker events --since 1h; nothing of ours touches them",
    )
}
