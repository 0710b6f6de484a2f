//! A plan for people: one line per thing, with a symbol, what it is, and why.

use super::{Action, Plan};
use crate::site::Site;

impl Action {
    /// `+` made, `~` changed, `-` removed, `!` destroyed, `.` waited for.
    #[must_use]
    pub fn symbol(&self) -> char {
        match self {
            Self::InitSecrets { .. }
            | Self::WriteEnvironment { .. }
            | Self::WriteFile { .. }
            | Self::Pull { .. }
            | Self::Up { .. }
            | Self::CreateDatabase { .. }
            | Self::CreateBucket { .. } => '+',
            Self::EditKenFile { .. } | Self::RestoreKenFile { .. } => '~',
            Self::Await { .. } => '.',
            Self::RemoveContainer { .. } | Self::RemoveFile { .. } | Self::RemoveNetwork { .. } => '-',
            Self::RemoveVolume { .. } | Self::DropDatabase { .. } | Self::RemoveFolder => '!',
        }
    }

    /// What is done, in one line without its symbol.
    #[must_use]
    pub fn describe(&self, site: &Site) -> String {
        match self {
            Self::InitSecrets { keys } => {
                format!("secrets     {} new in {}", keys.len(), site.shown(&site.secrets()))
            }
            Self::WriteEnvironment { path, .. } => format!("file        {} (0600)", site.shown(path)),
            Self::WriteFile { path, .. } => format!("file        {}", site.shown(path)),
            Self::EditKenFile { path, changes, .. } => {
                format!("Ken's file  {} ({})", site.shown(path), count(changes.len(), "line"))
            }
            Self::Pull { reference } => format!("image       {reference}"),
            Self::Up { services, reasons, .. } => services
                .iter()
                .zip(reasons)
                .map(|(service, reason)| format!("service     {service} ({reason})"))
                .collect::<Vec<_>>()
                .join("\n"),
            Self::RemoveContainer { name, .. } => format!("container   {name}"),
            Self::CreateDatabase { database, role, .. } => {
                format!(
                    "database    {database}, owned by role {role}, in Ken's Postgres; Ken's own database is not touched"
                )
            }
            Self::CreateBucket { bucket } => format!("bucket      {bucket}"),
            Self::Await { services } => format!("wait        until {} well", are(services)),
            Self::RestoreKenFile { path, exact, changes, .. } => format!(
                "Ken's file  {} ({}; {})",
                site.shown(path),
                count(changes.len(), "line"),
                if *exact {
                    "byte for byte as before the first deploy"
                } else {
                    "only our lines go: it was edited since the first deploy"
                }
            ),
            Self::RemoveFile { path } => format!("file        {}", site.shown(path)),
            Self::RemoveNetwork { name } => format!("network     {name}"),
            Self::RemoveVolume { name } => format!("volume      {name} with all its data"),
            Self::DropDatabase { database, role } => {
                format!("database    {database} with all its data, and role {role}")
            }
            Self::RemoveFolder => format!("folder      {} with the secrets", site.shown(&site.folder())),
        }
    }
}

fn are(services: &[String]) -> String {
    format!("{} {}", services.join(", "), if services.len() == 1 { "is" } else { "are" })
}

fn count(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

impl Plan {
    /// The whole plan as lines, ready to print.
    #[must_use]
    pub fn lines(&self, site: &Site) -> Vec<String> {
        let mut lines = Vec::new();
        for stage in self.stages.iter().filter(|stage| !stage.actions.is_empty()) {
            lines.push(format!("  {}", stage.name));
            for action in &stage.actions {
                for text in action.describe(site).lines() {
                    lines.push(format!("    {} {text}", action.symbol()));
                }
                if let Action::EditKenFile { changes, .. } | Action::RestoreKenFile { changes, .. } = action {
                    lines.extend(changes.iter().map(|change| {
                        let sign = if change.added { '+' } else { '-' };
                        format!("          {sign} {:>4} | {}", change.line, change.text.trim_end())
                    }));
                }
            }
        }
        for note in &self.notes {
            lines.push(format!("    = {:<11} {}", note.subject, note.text));
        }
        lines
    }

    /// `7 to add, 1 to change, 0 to remove`.
    #[must_use]
    pub fn summary(&self) -> String {
        let (mut add, mut change, mut remove) = (0, 0, 0);
        for (_, action) in self.actions() {
            let n = if let Action::Up { services, .. } = action { services.len() } else { 1 };
            match action.symbol() {
                '+' => add += n,
                '~' => change += n,
                '-' | '!' => remove += n,
                _ => {}
            }
        }
        format!("{add} to add, {change} to change, {remove} to remove")
    }
}
