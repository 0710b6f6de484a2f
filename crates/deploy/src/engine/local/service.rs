//! From a Compose file to the definition of a service. Pure but for reading environment files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::engine::{ComposeProject, EngineError};

use super::Program;
use super::record::Definition;

/// Adds a file to the model; what comes later wins.
pub(super) fn merge(model: &mut Value, text: &[u8]) -> Result<(), EngineError> {
    let invalid = |why: String| EngineError::Compose { command: "config".to_owned(), status: 1, stderr: why };
    let text = std::str::from_utf8(text).map_err(|error| invalid(error.to_string()))?;
    let file: Value = serde_saphyr::from_str(text).map_err(|error| invalid(error.to_string()))?;
    if let Some(name) = file["name"].as_str() {
        model["name"] = Value::from(name);
    }
    for key in ["services", "volumes"] {
        let Some(entries) = file[key].as_object() else { continue };
        for (name, entry) in entries {
            model[key][name] = entry.clone();
        }
    }
    Ok(())
}

/// Compose writes a `$` twice.
fn plain(text: &str) -> String {
    text.replace("$$", "$")
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The definition of one service of the model.
pub(super) fn definition(
    model: &Value,
    name: &str,
    project: &ComposeProject,
    volumes: &Path,
    program: &Program,
) -> Result<Definition, EngineError> {
    let service = &model["services"][name];
    let wrong = |why: String| EngineError::Compose { command: format!("up {name}"), status: 1, stderr: why };
    if !service.is_object() {
        return Err(wrong(format!("no such service: {name}")));
    }
    let image = scalar(&service["image"]);
    if image != crate::stack::LOCAL_IMAGE {
        return Err(wrong(format!("service {name}: this engine runs {} only", crate::stack::LOCAL_IMAGE)));
    }
    let mut labels: BTreeMap<String, String> =
        entries(&service["labels"]).map(|(key, value)| (key.clone(), scalar(value))).collect();
    let project_name = scalar(&model["name"]);
    let files: Vec<String> = project.files.iter().map(|file| file.display().to_string()).collect();
    for (key, value) in [
        ("project", project_name.as_str()),
        ("service", name),
        ("project.config_files", &files.join(",")),
        ("project.working_dir", &project.directory.display().to_string()),
    ] {
        labels.insert(format!("com.docker.compose.{key}"), value.to_owned());
    }
    let mounts = mounts(service, model, &project_name, volumes);
    let mut environment: BTreeMap<String, String> = entries(&service["environment"])
        .map(|(key, value)| {
            let value = scalar(value);
            let mounted = mounts.iter().find(|(target, _)| *target == value);
            let folder = mounted.map(|(_, folder)| folder.display().to_string());
            (key.clone(), folder.unwrap_or(value))
        })
        .collect();
    // An entry point is looked for where ours was.
    if let (None, Ok(path)) = (environment.get("PATH"), std::env::var("PATH")) {
        environment.insert("PATH".to_owned(), path);
    }
    let mut entrypoint = service["entrypoint"].as_array().into_iter().flatten().map(scalar);
    let (path, arguments) = match entrypoint.next() {
        Some(path) => (path.into(), entrypoint.collect()),
        None => (program.path.clone(), program.serve.clone()),
    };
    let published = ports(&service["ports"]).map_err(wrong)?;
    let env_files: Vec<PathBuf> = env_files(&service["env_file"], &project.directory);
    let mut digest = Sha256::new();
    for file in &env_files {
        digest.update(std::fs::read(file).unwrap_or_default());
    }
    let env_digest = hex::encode(digest.finalize());
    let health = published.first().map(|(address, port, _)| {
        let host = match address.as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            address if address.contains(':') => format!("[{address}]"),
            address => address.to_owned(),
        };
        format!("http://{host}:{port}/api/public/health?failIfDatabaseUnavailable=true")
    });
    let grace = scalar(&service["stop_grace_period"]);
    Ok(Definition {
        id: uuid::Uuid::new_v4().simple().to_string(),
        name: name.to_owned(),
        image,
        labels,
        published,
        health,
        program: path,
        arguments,
        environment,
        env_files,
        env_digest,
        volumes: mounts.into_iter().map(|(_, folder)| folder).collect(),
        stop_grace: grace.trim_end_matches('s').parse().unwrap_or(10),
    })
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Target in the service, and folder of this machine.
fn mounts(service: &Value, model: &Value, project: &str, root: &Path) -> Vec<(String, PathBuf)> {
    let items = service["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    items
        .filter_map(|item| {
            let (key, target) = item.split_once(':')?;
            let volume = &model["volumes"][key];
            let name = volume["name"].as_str().map_or_else(|| format!("{project}_{key}"), str::to_owned);
            let label = volume["labels"][crate::stack::STACK_LABEL].as_str().unwrap_or(project);
            Some((target.to_owned(), root.join(label).join(name)))
        })
        .collect()
}

/// `address:host:container`, the short form with an address, which is all that is generated.
fn ports(value: &Value) -> Result<Vec<(String, u16, u16)>, String> {
    let items = value.as_array().into_iter().flatten();
    items
        .map(|item| {
            let text = scalar(item);
            let parts = || {
                let (rest, target) = text.rsplit_once(':')?;
                let (address, published) = rest.rsplit_once(':')?;
                let address = address.trim_start_matches('[').trim_end_matches(']');
                Some((address.to_owned(), published.parse().ok()?, target.parse().ok()?))
            };
            parts().ok_or_else(|| format!("invalid published port: {text}"))
        })
        .collect()
}

fn env_files(value: &Value, directory: &Path) -> Vec<PathBuf> {
    let one = |value: &Value| {
        let path = value.as_str().or(value["path"].as_str())?;
        Some(directory.join(plain(path)))
    };
    match value {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

/// The variables of an environment file: `NAME='value'` lines as [`crate::render::environment_file`] writes them.
pub(super) fn read_env_file(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            let quoted = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            let value = quoted.map_or_else(|| value.to_owned(), |inner| inner.replace("\\'", "'"));
            Some((name.trim().to_owned(), value))
        })
        .collect()
}
