//! Carries out one plan. All truth about progress is in the journal; events only tell of it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::join_all;
use ken_config::Policy;
use ken_secrets::{Redactor, SecretSet};

use super::apply::{ApplyError, Hands};
use crate::clock::Clock;
use crate::engine::{Engine, PullProgress};
use crate::gate::{Closed, Gate, Judge, Verdict, judge};
use crate::inventory::Inventory;
use crate::journal::{Entry, FORMAT, Journal, JournalError, Kind, Outcome, State};
use crate::plan::{Action, Impact, Plan, Stage, StageName};
use crate::report::{Event, Sink};
use crate::site::Site;
use crate::stack::{Database, STACK_LABEL};
use crate::validate;

/// Between two looks where no event announces a change.
const PACE: Duration = Duration::from_millis(1000);
/// Patience with stages that have no limit of their own in the policy.
const SHORT: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All stages.
    Done,
    /// After the stage that was asked for.
    Stopped(StageName),
    /// A stage failed.
    Failed(StageName, Closed),
}

/// Why a run could not even say how it ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal. Nothing is ever done that could not be journalled first.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// One run.
pub struct Runner<'a, E, C, S> {
    /// The world.
    pub engine: &'a E,
    /// The time.
    pub clock: &'a C,
    /// Where things lie.
    pub site: &'a Site,
    /// What is wanted.
    pub policy: &'a Policy,
    /// What was seen before.
    pub before: &'a Inventory,
    /// What was remembered before.
    pub state: &'a State,
    /// The database of the policy, for a rollback too.
    pub database: Option<Database>,
    /// Id of this run.
    pub run: String,
    /// The journal.
    pub journal: Journal,
    /// The secrets, which the run itself may make.
    pub secrets: SecretSet,
    /// Masks them in everything that leaves.
    pub redactor: Redactor,
    /// Who is told.
    pub sink: RefCell<&'a mut S>,
}

impl<E, C, S> std::fmt::Debug for Runner<'_, E, C, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("run", &self.run).finish_non_exhaustive()
    }
}

impl<E: Engine, C: Clock, S: Sink> Runner<'_, E, C, S> {
    fn emit(&self, event: &Event) {
        self.sink.borrow_mut().emit(event, &self.redactor);
    }

    fn write(&mut self, kind: Kind) -> Result<(), JournalError> {
        let entry = Entry {
            v: FORMAT,
            seq: self.journal.next_seq(),
            at: self.clock.now(),
            run: self.run.clone(),
            entry: kind,
        };
        self.journal.append(entry)
    }

    /// Follows the plan, up to and including `until`.
    ///
    /// # Errors
    /// [`RunError`] when the journal cannot be written. A stage that fails is an [`Ended`].
    pub async fn run(&mut self, plan: &Plan, until: Option<StageName>) -> Result<Ended, RunError> {
        self.begin(plan)?;
        let of = plan.stages.len();
        let mut impact_said = false;
        for (index, stage) in plan.stages.iter().enumerate() {
            if !impact_said
                && stage.actions.iter().any(|a| a.impact() > Impact::OurFiles)
                && plan.command == "deploy"
            {
                impact_said = true;
                self.emit(&Event::Impact { undo: "cargo xtask rollback".to_owned() });
            }
            self.emit(&Event::StageBegan { stage: stage.name, number: index + 1, of });
            let began = self.clock.elapsed();
            // Preflight was passed before anything, the journal included, was written.
            let evidence = if stage.gate == Gate::Preflight {
                Ok("no impact so far".to_owned())
            } else {
                self.write(Kind::StageBegan { stage: stage.name })?;
                self.stage(plan, stage, began).await?
            };
            let elapsed_ms = milliseconds(self.clock.elapsed().saturating_sub(began));
            match evidence {
                Ok(evidence) => {
                    if stage.gate != Gate::Preflight {
                        self.write(Kind::GateOpened { stage: stage.name, evidence: evidence.clone() })?;
                    }
                    self.emit(&Event::StageDone {
                        stage: stage.name,
                        evidence,
                        elapsed_ms,
                        unchanged: stage.actions.is_empty() && has_work(stage.name),
                    });
                }
                Err(closed) => {
                    let reason = self.redactor.mask(&closed.reason).into_owned();
                    self.write(Kind::StageFailed { stage: stage.name, reason })?;
                    self.write(Kind::RunEnded { outcome: Outcome::Failed })?;
                    let in_place = self.in_place().await;
                    self.emit(&Event::StageFailed {
                        stage: stage.name,
                        closed: closed.clone(),
                        elapsed_ms,
                        in_place,
                    });
                    return Ok(Ended::Failed(stage.name, closed));
                }
            }
            if until == Some(stage.name) && index + 1 < of {
                self.write(Kind::RunEnded { outcome: Outcome::Stopped })?;
                return Ok(Ended::Stopped(stage.name));
            }
        }
        self.write(Kind::RunEnded { outcome: Outcome::Done })?;
        Ok(Ended::Done)
    }

    fn begin(&mut self, plan: &Plan) -> Result<(), JournalError> {
        let langfuse = plan.stack.as_ref().map_or_else(String::new, |s| s.version.clone());
        self.write(Kind::RunBegan {
            command: plan.command.to_owned(),
            plan: plan.id.clone(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            langfuse,
            ken: self.before.lives.clone(),
        })?;
        if plan.stack.is_none() {
            return Ok(());
        }
        if self.state.names.as_ref() != Some(&self.before.names) {
            self.write(Kind::NamesChosen { names: self.before.names.clone() })?;
        }
        let known = self.before.images.iter().filter_map(|(reference, seen)| match seen {
            crate::engine::ImageState::Present { digest: Some(digest) }
            | crate::engine::ImageState::Resolvable { digest: Some(digest) }
                if !self.state.digests.contains_key(reference) =>
            {
                Some((reference.clone(), digest.clone()))
            }
            _ => None,
        });
        let digests: std::collections::BTreeMap<_, _> = known.collect();
        if !digests.is_empty() {
            self.write(Kind::ImagesPinned { digests })?;
        }
        Ok(())
    }

    /// Does a stage's actions, waits at its gate, and looks after Ken.
    async fn stage(
        &mut self,
        plan: &Plan,
        stage: &Stage,
        began: Duration,
    ) -> Result<Result<String, Closed>, RunError> {
        let (pulls, others): (Vec<&Action>, Vec<&Action>) =
            stage.actions.iter().partition(|a| matches!(a, Action::Pull { .. }));
        if let Err(error) = self.pull_all(plan, stage.name, &pulls).await? {
            return Ok(Err(failure(&error)));
        }
        for action in others {
            self.emit(&Event::ActionBegan { stage: stage.name, text: action.describe(self.site) });
            self.write(Kind::ActionBegan { stage: stage.name, action: action.clone() })?;
            let mut secrets = std::mem::take(&mut self.secrets);
            let done = self.hands(plan).apply(action, &mut secrets, &mut |_, _| {}).await;
            if matches!(action, Action::InitSecrets { .. }) {
                self.redactor = Redactor::new(&secrets);
            }
            self.secrets = secrets;
            if let Err(error) = done {
                return Ok(Err(failure(&error)));
            }
            self.write(Kind::ActionDone { stage: stage.name, action: action.clone() })?;
        }
        let verdict = self.wait(plan, stage, began).await;
        if verdict.is_ok() {
            let ken = validate::ken_lives(self.engine, &self.before.lives).await;
            if let Err(reason) = ken {
                return Ok(Err(Closed {
                    reason,
                    culprit: None,
                    logs: Vec::new(),
                    next: "see who did it: docker events --since 1h; then: cargo xtask deploy".to_owned(),
                }));
            }
        }
        Ok(verdict)
    }

    fn hands<'h>(&'h self, plan: &'h Plan) -> Hands<'h, E> {
        Hands {
            engine: self.engine,
            site: self.site,
            policy: self.policy,
            stack: plan.stack.as_ref(),
            before: self.before,
            state: self.state,
            database: self.database.as_ref(),
        }
    }

    /// All pulls side by side.
    async fn pull_all(
        &mut self,
        plan: &Plan,
        stage: StageName,
        pulls: &[&Action],
    ) -> Result<Result<(), ApplyError>, RunError> {
        for action in pulls {
            self.emit(&Event::ActionBegan { stage, text: action.describe(self.site) });
            self.write(Kind::ActionBegan { stage, action: (*action).clone() })?;
        }
        let hands = self.hands(plan);
        let each = pulls.iter().map(async |action| {
            let mut progress = |reference: &str, p: PullProgress| {
                self.emit(&Event::Pulling {
                    reference: reference.to_owned(),
                    current: p.current,
                    total: p.total,
                });
            };
            let done = hands.apply(action, &mut SecretSet::default(), &mut progress).await;
            if let (Ok(()), Action::Pull { reference }) = (&done, action) {
                self.emit(&Event::Pulled { reference: reference.clone() });
            }
            done
        });
        let results = join_all(each).await;
        let mut first = Ok(());
        for (action, result) in pulls.iter().zip(results) {
            match result {
                Ok(()) => self.write(Kind::ActionDone { stage, action: (*action).clone() })?,
                Err(error) if first.is_ok() => first = Err(error),
                Err(_) => {}
            }
        }
        Ok(first)
    }

    async fn wait(&self, plan: &Plan, stage: &Stage, began: Duration) -> Result<String, Closed> {
        let eye = Judge {
            engine: self.engine,
            clock: self.clock,
            policy: self.policy,
            before: self.before,
            stack: plan.stack.as_ref(),
            secrets: &self.secrets,
            checks: RefCell::default(),
            unhealthy_since: Cell::default(),
        };
        let limit = self.limit(stage.name);
        let project = plan.stack.as_ref().map_or(plan.ken_project.as_str(), |s| s.project.as_str());
        loop {
            let verdict = judge(&eye, &stage.gate).await;
            for check in eye.checks.take() {
                self.emit(&Event::Checked { check });
            }
            match verdict {
                Verdict::Open { evidence } => return Ok(evidence),
                Verdict::Closed(closed) => return Err(closed),
                Verdict::Pending { reason, not_before } => {
                    let elapsed = self.clock.elapsed().saturating_sub(began);
                    if elapsed >= limit {
                        return Err(eye.expired(&stage.gate, &reason, limit).await);
                    }
                    self.emit(&Event::Waiting {
                        stage: stage.name,
                        reason: reason.clone(),
                        elapsed_ms: milliseconds(elapsed),
                        limit_ms: milliseconds(limit),
                    });
                    let left = limit.saturating_sub(elapsed);
                    match not_before {
                        Some(pause) => self.clock.sleep(pause.min(left)).await,
                        None => {
                            if self.engine.changed(project, PACE.min(left)).await.is_err() {
                                self.clock.sleep(PACE.min(left)).await;
                            }
                        }
                    }
                }
            }
        }
    }

    fn limit(&self, stage: StageName) -> Duration {
        let gates = &self.policy.gates;
        match stage {
            StageName::Images => gates.images,
            StageName::Stores => gates.stores,
            StageName::Database => gates.database,
            StageName::Buckets => gates.buckets,
            StageName::Migrate => gates.migrate,
            StageName::Worker => gates.worker,
            StageName::Web => gates.web,
            StageName::Project => gates.project,
            StageName::Verify => gates.verify,
            _ => SHORT,
        }
    }

    /// What of ours is there now, in a few words.
    async fn in_place(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (path, what) in [(self.site.compose(), "our files"), (self.site.secrets(), "secrets")] {
            if path.exists() {
                found.push(what.to_owned());
            }
        }
        let containers = self.engine.containers().await.unwrap_or_default();
        for container in
            containers.iter().filter(|c| c.labels.get(STACK_LABEL) == Some(&self.before.ken.project))
        {
            found.push(format!(
                "{} ({})",
                container.name,
                format!("{:?}", container.activity).to_lowercase()
            ));
        }
        found
    }
}

/// Stages whose being without an action means that they were done before.
fn has_work(stage: StageName) -> bool {
    !matches!(
        stage,
        StageName::Preflight | StageName::Project | StageName::Verify | StageName::Ken | StageName::Purge
    )
}

fn failure(error: &ApplyError) -> Closed {
    let next = match error {
        ApplyError::ChangedMeanwhile { .. } => "cargo xtask plan",
        ApplyError::WouldChangeKen { .. } => {
            "choose another layout in the policy (ken.layout), then: cargo xtask deploy"
        }
        ApplyError::File { .. } | ApplyError::WritePrivate(_) => {
            "make room and rights, then: cargo xtask deploy"
        }
        _ => "mend it, then: cargo xtask deploy",
    };
    Closed { reason: error.to_string(), culprit: None, logs: Vec::new(), next: next.to_owned() }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
