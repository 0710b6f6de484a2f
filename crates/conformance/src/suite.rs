//! The run: all recordings in their order against one server.

use std::time::{Duration, Instant};

use url::Url;

use crate::client::ApiClient;
use crate::compare::{compare, shortened};
use crate::keys::Keys;
use crate::names::{Identity, Names};
use crate::openapi::OpenApi;
use crate::recording::{Answer, Recording};
use crate::report::{Exchanged, Outcome, Report};
use crate::rules::RULES;
use crate::waits::{OBSERVATIONS, SCORES, WAITS, Wait, row_ids};

const POLL: Duration = Duration::from_millis(250);

/// What a project must not hold, where it is read, and what may be there from an earlier run.
const FOREIGN: [(&str, &str, Option<Wait>); 4] = [
    ("observations that this suite did not send", OBSERVATIONS.read, Some(OBSERVATIONS)),
    ("scores that this suite did not send", SCORES.read, Some(SCORES)),
    ("dashboard widgets", "/api/public/unstable/dashboard-widgets?limit=1", None),
    ("dashboards", "/api/public/unstable/dashboards?limit=1", None),
];

/// Why nothing was asked. Nothing was sent into the project.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No client could be made.
    #[error("no HTTP client could be made on this machine")]
    Client(#[source] reqwest::Error),
    /// Not an address to ask at.
    #[error("{base} is not an http or https address of a server")]
    Address {
        /// The address.
        base: String,
    },
    /// Nobody answered.
    #[error("{base} does not answer: {reason}")]
    Unreachable {
        /// The address.
        base: String,
        /// Why.
        reason: String,
    },
    /// The keys are not those of a project there.
    #[error("{base} does not take the keys (status {status})")]
    Refused {
        /// The address.
        base: String,
        /// What it answered.
        status: u16,
    },
    /// What answered is no Langfuse.
    #[error("{base} does not answer as Langfuse does: /api/public/projects says {answer} (status {status})")]
    NotLangfuse {
        /// The address.
        base: String,
        /// The status.
        status: u16,
        /// The answer, shortened.
        answer: String,
    },
    /// What is there would change the answers, and the suite's data would be among it.
    #[error("the project {project} is in use: it holds {what}")]
    InUse {
        /// The project's name.
        project: String,
        /// What it holds.
        what: &'static str,
    },
}

/// The recordings, and how they are asked.
#[derive(Clone, Debug)]
pub struct Suite {
    /// What is asked.
    pub recordings: Vec<Recording>,
    /// How long what was sent may take until it can be read.
    pub patience: Duration,
}

impl Default for Suite {
    fn default() -> Self {
        Self { recordings: Recording::bundled(), patience: Duration::from_secs(60) }
    }
}

impl Suite {
    /// Asks everything of the server at `base`, telling `on_exchange` of each as it comes.
    ///
    /// It writes traces, a score, a widget and a dashboard into the project of the keys, which must hold
    /// nothing but what an earlier run left.
    ///
    /// # Errors
    /// [`RunError`], before anything is written. What fails later is in the report.
    pub async fn run(
        &self,
        base: &Url,
        keys: Keys,
        mut on_exchange: impl FnMut(&Exchanged),
    ) -> Result<Report, RunError> {
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() || base.query().is_some() {
            return Err(RunError::Address { base: shown(base) });
        }
        let client = ApiClient::new(base.clone(), keys).map_err(RunError::Client)?;
        let identity = self.identity(&client, base).await?;
        self.refuse_foreign_data(&client, &identity).await?;
        let mut names = Names::of(identity);
        let mut report = Report::default();
        for recording in &self.recordings {
            for wait in WAITS.iter().filter(|wait| wait.before == recording.number) {
                report.late.extend(self.wait(&client, wait).await);
            }
            let outcome = match client.send(&recording.request, &names).await {
                Err(reason) => Outcome::NotSupported { reason },
                Ok(found) => outcome(recording, &found, &mut names),
            };
            let exchanged = Exchanged { number: recording.number, name: recording.name.clone(), outcome };
            on_exchange(&exchanged);
            report.exchanges.push(exchanged);
        }
        Ok(report)
    }

    /// Who the keys are of.
    async fn identity(&self, client: &ApiClient, base: &Url) -> Result<Identity, RunError> {
        let answer = client
            .get("/api/public/projects")
            .await
            .map_err(|reason| RunError::Unreachable { base: shown(base), reason })?;
        if matches!(answer.status, 401 | 403) {
            return Err(RunError::Refused { base: shown(base), status: answer.status });
        }
        let text = |pointer: &str| answer.body.pointer(pointer)?.as_str().map(str::to_owned);
        let identity = || {
            Some(Identity {
                public_key: client.public_key().to_owned(),
                project: text("/data/0/id")?,
                project_name: text("/data/0/name")?,
                organization: text("/data/0/organization/id")?,
                organization_name: text("/data/0/organization/name")?,
            })
        };
        identity().ok_or_else(|| RunError::NotLangfuse {
            base: shown(base),
            status: answer.status,
            answer: shortened(&answer.body.to_string()),
        })
    }

    /// A project with other data would get answers other than the recorded ones, and keep what the suite sends.
    async fn refuse_foreign_data(&self, client: &ApiClient, identity: &Identity) -> Result<(), RunError> {
        let recordings = Recording::bundled();
        for (what, path, ours) in FOREIGN {
            let ours = ours.map(|wait| wait.sent(&recordings)).unwrap_or_default();
            // A server that cannot be read from will be told so, exchange by exchange.
            if let Ok(Answer { status: 200, body, .. }) = client.get(path).await
                && !row_ids(&body).is_subset(&ours)
            {
                return Err(RunError::InUse { project: identity.project_name.clone(), what });
            }
        }
        Ok(())
    }

    /// Waits until everything sent can be read; says what could not.
    async fn wait(&self, client: &ApiClient, wait: &Wait) -> Option<String> {
        let sent = wait.sent(&self.recordings);
        let began = Instant::now();
        loop {
            let n_missing = match client.get(wait.read).await {
                Ok(Answer { status: 200, body, .. }) => sent.difference(&row_ids(&body)).count(),
                // Where it cannot be read at all, waiting makes nothing better.
                _ => return None,
            };
            if n_missing == 0 {
                return None;
            }
            if began.elapsed() >= self.patience {
                let (what, n_sent) = (wait.what, sent.len());
                let seconds = self.patience.as_secs();
                return Some(format!("{n_missing} of {n_sent} {what} could not be read after {seconds} s"));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn outcome(recording: &Recording, found: &Answer, names: &mut Names) -> Outcome {
    let recorded = &recording.answer;
    let is_page = |answer: &Answer| answer.content_type().starts_with("text/html");
    let unknown_route = found.status == 404 && is_page(found) && !is_page(recorded);
    let unknown_method = found.status == 405 && recorded.status != 405;
    if found.status == 501 || unknown_route || unknown_method {
        let (method, route, status) = (&recording.request.method, recording.route(), found.status);
        return Outcome::NotSupported { reason: format!("{method} {route} answers {status}") };
    }
    let mut differences = compare(recording.number, recorded, found, RULES, names);
    differences.extend(OpenApi::bundled().differences(recording, found));
    Outcome::of(differences)
}

/// An address without what may be a password in it.
fn shown(base: &Url) -> String {
    let mut base = base.clone();
    // Both fail for addresses that cannot have them.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    base.set_query(None);
    base.to_string()
}
