//! Looks at a gate and gives a verdict.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use ken_config::Policy;
use ken_secrets::{SecretName, SecretSet};

use super::{Closed, Gate, Verdict};
use crate::clock::Clock;
use crate::database::{self, DatabaseSeen};
use crate::engine::{Activity, Container, Engine, Health, HttpRequest, ImageState, SqlTarget};
use crate::inventory::{Inventory, database_seen};
use crate::ken::{differences, owners_part};
use crate::object_store::ObjectStore;
use crate::report::{Check, Finding};
use crate::stack::{STACK_LABEL, Stack};
use crate::validate;

/// How long a container may stay unhealthy before its gate closes: it has failed many probes in a row by then.
const UNHEALTHY_PATIENCE: Duration = Duration::from_secs(20);
/// How long Langfuse remembers that a key was unknown. Each further try prolongs it.
const NEGATIVE_KEY_CACHE: Duration = Duration::from_secs(305);
const LOG_LINES: u32 = 12;

/// Everything that a look needs.
#[derive(Debug)]
pub struct Judge<'a, E, C> {
    /// The world.
    pub engine: &'a E,
    /// The time.
    pub clock: &'a C,
    /// What is wanted.
    pub policy: &'a Policy,
    /// What was seen before anything changed.
    pub before: &'a Inventory,
    /// What the plan leads to.
    pub stack: Option<&'a Stack>,
    /// The secrets.
    pub secrets: &'a SecretSet,
    /// Checks made on the way, to be shown.
    pub checks: RefCell<Vec<Check>>,
    /// Since when a service has been seen unhealthy.
    pub unhealthy_since: Cell<Option<Duration>>,
}

fn pending(reason: impl Into<String>) -> Verdict {
    Verdict::Pending { not_before: None, reason: reason.into() }
}

fn open(evidence: impl Into<String>) -> Verdict {
    Verdict::Open { evidence: evidence.into() }
}

fn closed(reason: impl Into<String>, next: impl Into<String>) -> Verdict {
    Verdict::Closed(Closed { reason: reason.into(), culprit: None, logs: Vec::new(), next: next.into() })
}

const RESUME: &str = "mend it, then: cargo xtask deploy";

/// Looks once.
pub async fn judge<E: Engine, C: Clock>(judge: &Judge<'_, E, C>, gate: &Gate) -> Verdict {
    match gate {
        Gate::Open => open("done"),
        // Passed before the run was allowed to begin.
        Gate::Preflight => open("no impact so far"),
        Gate::KenUnchanged => judge.ken_unchanged().await,
        Gate::ImagesPresent { references } => judge.images(references).await,
        Gate::Healthy { services } => judge.healthy(services).await,
        Gate::DatabaseReady => judge.database().await,
        Gate::BucketProven => judge.bucket().await,
        Gate::Completed { service } => judge.completed(service).await,
        Gate::WebAnswers { url, version } => judge.web(url, version).await,
        Gate::ProjectReached { url, project } => judge.project(url, project).await,
        Gate::Verified => judge.verified().await,
        Gate::Gone => judge.gone().await,
        Gate::KenServes => judge.ken_serves().await,
    }
}

impl<E: Engine, C: Clock> Judge<'_, E, C> {
    async fn ken_unchanged(&self) -> Verdict {
        let resolved = match self.engine.resolve(&self.before.ken_project, None).await {
            Ok(resolved) => resolved,
            Err(error) => return closed(error.to_string(), "cargo xtask rollback"),
        };
        let changed = differences(&self.before.ken_model, &owners_part(&resolved));
        if changed.is_empty() {
            open("Compose sees Ken's services unchanged")
        } else {
            closed(
                format!("Compose now sees Ken otherwise at {}", changed.join(", ")),
                "cargo xtask rollback",
            )
        }
    }

    async fn images(&self, references: &[String]) -> Verdict {
        for reference in references {
            match self.engine.image(reference, false).await {
                Ok(ImageState::Present { .. }) => {}
                Ok(_) => return closed(format!("image {reference} is not on this machine"), RESUME),
                Err(error) => return closed(error.to_string(), RESUME),
            }
        }
        open(format!("{} images on this machine", references.len()))
    }

    async fn ours(&self, service: &str) -> Result<Option<Container>, Verdict> {
        let project = self.stack.map(|s| s.project.as_str());
        let all = self.engine.containers().await.map_err(|error| pending(error.to_string()))?;
        Ok(all.into_iter().find(|c| c.project() == project && c.service() == Some(service)))
    }

    async fn blame(&self, container: &Container, reason: String) -> Verdict {
        let service = container.service().unwrap_or(&container.name).to_owned();
        let logs = self.engine.logs(&container.id, LOG_LINES).await.unwrap_or_default();
        Verdict::Closed(Closed {
            reason,
            logs,
            next: format!("docker logs --tail 100 {}; mend it, then: cargo xtask deploy", container.name),
            culprit: Some(service),
        })
    }

    async fn healthy(&self, services: &[String]) -> Verdict {
        let mut waiting = Vec::new();
        let mut unhealthy = None;
        for service in services {
            let container = match self.ours(service).await {
                Ok(Some(container)) => container,
                Ok(None) => {
                    waiting.push(format!("{service} is not there"));
                    continue;
                }
                Err(verdict) => return verdict,
            };
            match (container.activity, container.health) {
                (Activity::Running, Health::Healthy | Health::Unchecked) => {}
                (Activity::Running, Health::Starting) => waiting.push(format!("{service} is starting")),
                (Activity::Running, Health::Unhealthy) => {
                    waiting.push(format!("{service} is unhealthy"));
                    unhealthy = Some(container);
                }
                (Activity::Exited(code), _) => {
                    let reason = format!("{service} ended with status {code}");
                    return self.blame(&container, reason).await;
                }
                (Activity::Restarting, _) => waiting.push(format!("{service} keeps restarting")),
                (activity, _) => waiting.push(format!("{service} is {activity:?}").to_lowercase()),
            }
        }
        match unhealthy {
            Some(container) => {
                let since = self.unhealthy_since.get().unwrap_or_else(|| self.clock.elapsed());
                self.unhealthy_since.set(Some(since));
                if self.clock.elapsed().saturating_sub(since) >= UNHEALTHY_PATIENCE {
                    let reason = format!("{} is unhealthy", container.service().unwrap_or_default());
                    return self.blame(&container, reason).await;
                }
            }
            None => self.unhealthy_since.set(None),
        }
        if waiting.is_empty() {
            open(format!("{} healthy", services.join(", ")))
        } else {
            pending(waiting.join(", "))
        }
    }

    /// The verdict when the time is up: the same as before, now with the culprit's words.
    pub async fn expired(&self, gate: &Gate, reason: &str, limit: Duration) -> Closed {
        let culprit = match gate {
            Gate::Healthy { services } => services.iter().find(|s| reason.contains(s.as_str())).cloned(),
            Gate::Completed { service } => Some(service.clone()),
            Gate::WebAnswers { .. } | Gate::ProjectReached { .. } => {
                self.stack.and_then(|s| s.service(crate::stack::Role::Web)).map(|s| s.name.clone())
            }
            _ => None,
        };
        let reason = format!("{reason}, after {} s", limit.as_secs());
        if let Some(service) = culprit
            && let Ok(Some(container)) = self.ours(&service).await
            && let Verdict::Closed(closed) = self.blame(&container, reason.clone()).await
        {
            return closed;
        }
        Closed { reason, culprit: None, logs: Vec::new(), next: RESUME.to_owned() }
    }

    async fn completed(&self, service: &str) -> Verdict {
        match self.ours(service).await {
            Ok(Some(container)) => match container.activity {
                Activity::Exited(0) => open(format!("{service} migrated and ended")),
                Activity::Exited(code) => {
                    let reason = format!("{service} ended with status {code}");
                    self.blame(&container, reason).await
                }
                _ => pending(format!("{service} is migrating")),
            },
            Ok(None) => pending(format!("{service} is not there")),
            Err(verdict) => verdict,
        }
    }

    async fn database(&self) -> Verdict {
        let Some(stack) = self.stack else { return open("no database") };
        let password = self.secrets.get(SecretName::PostgresPassword);
        let Some(target) = &stack.database else {
            return self.external_database(password).await;
        };
        let container = self.before.postgres_container.as_ref();
        match database_seen(self.engine, stack, container, self.secrets).await {
            DatabaseSeen::Server(facts) => {
                let found = database::differences(target, &facts);
                if !found.is_empty() {
                    return closed(found.join("; "), RESUME);
                }
                let version = format!("PostgreSQL {}.{}", facts.version / 10_000, facts.version % 10_000);
                // The server's own socket trusts everybody; what Langfuse uses is the network, with the password.
                if let (Some(container), Some(password)) = (container, password)
                    && let Some(address) = container.addresses.values().next()
                {
                    let who = SqlTarget::Remote {
                        container: container.id.clone(),
                        host: address.clone(),
                        port: 5432,
                        role: target.role.clone(),
                        database: target.database.clone(),
                        password: password.clone(),
                        tls: false,
                    };
                    return match self
                        .engine
                        .sql(&who, &ken_secrets::Secret::new("SHOW timezone;".to_owned()))
                        .await
                    {
                        Ok(zone) if zone.trim() == "UTC" => {
                            open(format!("{version}, {} logs in and owns {}", target.role, target.database))
                        }
                        Ok(zone) => {
                            closed(format!("sessions of {} are in {}", target.role, zone.trim()), RESUME)
                        }
                        Err(error) => closed(
                            format!("{} cannot log in over the network: {error}", target.role),
                            "look at pg_hba.conf of Ken's Postgres, then: cargo xtask deploy",
                        ),
                    };
                }
                open(format!("{version}, {} owns {}", target.role, target.database))
            }
            DatabaseSeen::Unknown { why } => pending(why),
            DatabaseSeen::External => open("external"),
        }
    }

    async fn external_database(&self, password: Option<&ken_secrets::Secret>) -> Verdict {
        let ken_config::Postgres::External { host, port, database, role, tls } = &self.policy.postgres else {
            return open("no database");
        };
        let (Some(container), Some(password)) = (&self.before.postgres_container, password) else {
            return open("external Postgres, not asked: no client is at hand");
        };
        let who = SqlTarget::Remote {
            container: container.id.clone(),
            host: host.clone(),
            port: *port,
            role: role.clone(),
            database: database.clone(),
            password: password.clone(),
            tls: *tls,
        };
        let script = ken_secrets::Secret::new("SHOW server_version_num;".to_owned());
        match self.engine.sql(&who, &script).await {
            Ok(text) => match text.trim().parse::<u32>() {
                Ok(version) if version >= database::OLDEST_SERVER => {
                    open(format!("external PostgreSQL {}, {role} logs in", version / 10_000))
                }
                _ => closed(format!("external PostgreSQL is {}, older than 15", text.trim()), RESUME),
            },
            Err(error) => closed(format!("external Postgres: {error}"), RESUME),
        }
    }

    async fn bucket(&self) -> Verdict {
        let Some(stack) = self.stack else { return open("no bucket") };
        let containers = match self.engine.containers().await {
            Ok(all) => of_stack(all, stack),
            Err(error) => return pending(error.to_string()),
        };
        let Some(bucket) = &stack.bucket else { return open("no bucket") };
        let proof = match ObjectStore::open(self.engine, bucket, &containers, self.secrets) {
            Ok(store) => store.prove(&bucket.event_prefix).await,
            Err(error) => Err(error),
        };
        match proof {
            Ok(()) => open(format!("bucket {}: put, get and delete work", bucket.name)),
            Err(error) => closed(
                error.to_string(),
                "check storage.* in the policy and the keys (cargo xtask secrets check), then: cargo xtask deploy",
            ),
        }
    }

    async fn web(&self, url: &str, version: &str) -> Verdict {
        if let Some(stack) = self.stack {
            let names = stack.names(|role| role == crate::stack::Role::Web);
            match self.healthy(&names).await {
                Verdict::Open { .. } => {}
                other => return other,
            }
        }
        let request = HttpRequest::get(format!("{url}/api/public/health?failIfDatabaseUnavailable=true"));
        match self.engine.http(request).await {
            Ok(answer) if answer.status == 200 => {
                let reported = answer.json()["version"].as_str().unwrap_or("no version").to_owned();
                if version.is_empty() || reported == version {
                    open(format!("{url} answers, Langfuse {reported}"))
                } else {
                    closed(
                        format!("{url} reports Langfuse {reported}, the plan says {version}"),
                        "see who listens there (cargo xtask status), then: cargo xtask deploy",
                    )
                }
            }
            Ok(answer) => pending(format!("{url} answers {}", answer.status)),
            Err(error) => pending(error.to_string()),
        }
    }

    async fn project(&self, url: &str, project: &str) -> Verdict {
        let check = validate::project(self.engine, url, project, self.secrets).await;
        match check.finding {
            Finding::Ok => open(check.measured),
            _ if check.measured.contains("401") => Verdict::Pending {
                reason: "the key is refused; Langfuse remembers for 5 minutes that it was unknown".to_owned(),
                not_before: Some(NEGATIVE_KEY_CACHE),
            },
            _ => closed(check.measured, check.mend),
        }
    }

    async fn verified(&self) -> Verdict {
        let Some(stack) = self.stack else { return open("nothing to verify") };
        let input = validate::Input {
            engine: self.engine,
            clock: self.clock,
            stack,
            secrets: self.secrets,
            lives: &self.before.lives,
            canary_limit: self.policy.gates.verify,
        };
        let checks = validate::validate(&input).await;
        let verdict = summary(&checks, "all checks pass");
        *self.checks.borrow_mut() = checks;
        verdict
    }

    async fn gone(&self) -> Verdict {
        match self.engine.containers().await {
            Ok(all) => {
                let project = &self.before.ken.project;
                let left: Vec<String> = all
                    .into_iter()
                    .filter(|c| c.labels.get(STACK_LABEL) == Some(project))
                    .map(|c| c.name)
                    .collect();
                if left.is_empty() {
                    open("no container of ours is left")
                } else {
                    closed(format!("still there: {}", left.join(", ")), "cargo xtask rollback")
                }
            }
            Err(error) => pending(error.to_string()),
        }
    }

    async fn ken_serves(&self) -> Verdict {
        let check = validate::ken_untouched(self.engine, &self.before.lives).await;
        let verdict = match check.finding {
            Finding::Failed => closed(check.measured.clone(), check.mend.clone()),
            _ => open(check.measured.clone()),
        };
        self.checks.borrow_mut().push(check);
        verdict
    }
}

/// Our containers among all.
pub(crate) fn of_stack(all: Vec<Container>, stack: &Stack) -> Vec<Container> {
    all.into_iter()
        .filter(|c| c.project() == Some(&stack.project) && c.labels.contains_key(STACK_LABEL))
        .collect()
}

fn summary(checks: &[Check], good: &str) -> Verdict {
    let failed: Vec<&Check> = checks.iter().filter(|c| c.finding == Finding::Failed).collect();
    let Some(first) = failed.first() else { return open(good) };
    let ids: Vec<&str> = failed.iter().map(|c| c.id).collect();
    closed(
        format!("{} of {} checks failed: {}", failed.len(), checks.len(), ids.join(", ")),
        first.mend.clone(),
    )
}
