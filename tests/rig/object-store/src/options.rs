//! The part of `minio server`'s command line that a Compose file uses.

use std::path::PathBuf;

/// What `minio server` was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Where S3 is served.
    pub(crate) address: String,
    /// Where the real server has its console; here the port only accepts health requests.
    pub(crate) console: Option<String>,
    /// The folder whose folders are the buckets.
    pub(crate) data: PathBuf,
}

/// Reads the words after `server`.
pub(crate) fn parse(words: &[&str]) -> Result<Options, String> {
    let mut address = bind_address(":9000")?;
    let (mut console, mut data) = (None, None);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let (flag, joined) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
            _ => (word, None),
        };
        let mut value = || joined.or_else(|| words.next()).ok_or_else(|| format!("`{flag}` needs a value"));
        match flag {
            "--address" => address = bind_address(value()?)?,
            "--console-address" => console = Some(bind_address(value()?)?),
            "--quiet" | "--anonymous" | "--json" => {}
            _ if flag.starts_with('-') => return Err(format!("flag provided but not defined: {flag}")),
            _ if data.is_some() => return Err("more than one folder is not known here".into()),
            _ => data = Some(PathBuf::from(word)),
        }
    }
    Ok(Options { address, console, data: data.ok_or("a folder is missing")? })
}

/// `:9000` means every interface, as in Go.
fn bind_address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` is not HOST:PORT"))?;
    let port: u16 = port.parse().map_err(|_| format!("`{text}` has no port"))?;
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_line_of_the_compose_file() {
        let options = parse(&["--address", ":9000", "--console-address=:9001", "/data"]).unwrap();
        assert_eq!(
            options,
            Options {
                address: "0.0.0.0:9000".into(),
                console: Some("0.0.0.0:9001".into()),
                data: "/data".into()
            }
        );
    }

    #[test]
    fn refuses_what_minio_would_refuse() {
        for (words, told) in [
            (&["/data", "--addres", ":9000"][..], "--addres"),
            (&["--address"][..], "needs a value"),
            (&["--address", "9000", "/data"][..], "HOST:PORT"),
            (&["--address", ":http", "/data"][..], "no port"),
            (&[][..], "folder is missing"),
        ] {
            let problem = parse(words).unwrap_err();
            assert!(problem.contains(told), "{words:?} gave {problem:?}");
        }
    }
}
