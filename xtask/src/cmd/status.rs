//! `cargo xtask status`

use ken_deploy::clock::SystemClock;
use ken_secrets::Redactor;

use super::target::Target;
use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;
use crate::printer::{json, out};

pub(crate) async fn run(args: TargetArgs) -> Result<Exit, Failure> {
    let (target, engine) = Target::open(&args).await?;
    let clock = SystemClock::default();
    let session = target.session(&engine, &clock);
    let alone = session.site.ken_file().is_none();
    let status = session.status().await?;
    if args.json {
        json(&status, &Redactor::default());
        return Ok(Exit::Done);
    }
    out(&format!("project   {}", status.project));
    if !alone {
        out(&format!("ken       {}", status.ken));
    }
    let width = status.services.iter().map(|s| s.name.len()).max().unwrap_or(0);
    for service in &status.services {
        let published = if service.published.is_empty() {
            String::new()
        } else {
            format!("  at {}", service.published.join(", "))
        };
        out(&format!(
            "          {:<width$}  {:<20} {}{published}",
            service.name, service.state, service.image
        ));
    }
    out(&format!("UI        {}", status.url));
    out(&format!("last run  {}", status.last_run.as_deref().unwrap_or("none")));
    out(&format!("lock      {}", status.lock.as_deref().unwrap_or("free")));
    out(&format!(
        "policy    {}",
        if status.drift == 0 { "reached: nothing to do".to_owned() } else { status.summary.clone() }
    ));
    Ok(Exit::Done)
}
