//! Policies as operators write them: what they say, and what is said of those that are wrong.

use std::path::{Path, PathBuf};

use ken_config::{
    Bytes, Clickhouse, Exposure, Layout, Policy, Postgres, Profile, PullPolicy, Redis, SizingMode,
    SsoProvider, Storage, load, origin_url, parse, secrets_needed,
};
use ken_secrets::{Origin, SecretName};
use proptest::prelude::*;

fn good(text: &str) -> Policy {
    parse(text, Path::new("policy.toml")).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// The findings of a policy, one a line.
fn findings(text: &str) -> String {
    match parse(text, Path::new("policy.toml")) {
        Ok(_) => String::from("none"),
        Err(error) => error.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

fn file(profile: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/policies").join(profile).with_extension("toml")
}

const PROFILES: [(&str, Profile); 3] =
    [("dev", Profile::Dev), ("staging", Profile::Staging), ("production", Profile::Production)];

#[test]
fn an_empty_file_is_the_default_for_production() {
    assert_eq!(good(""), Policy::default_for(Profile::Production));
    assert_eq!(good("# nothing\n\n[ken]\n[images]\n[redis]"), Policy::default_for(Profile::Production));
}

#[test]
fn the_files_of_this_repository_say_the_defaults() {
    for (name, profile) in PROFILES {
        assert_eq!(load(&file(name)).unwrap(), Policy::default_for(profile), "{name}");
    }
}

/// Every key that can be written stands in the files, as a value or behind `# `.
#[test]
fn the_files_of_this_repository_show_every_key() {
    // The keys, as this crate itself lists them when asked with one that it does not know.
    let sections = [
        "",
        "ken",
        "images",
        "exposure",
        "exposure.sso",
        "storage",
        "postgres",
        "clickhouse",
        "redis",
        "langfuse",
        "retention",
        "resources",
        "resources.web",
        "sizing",
        "gates",
    ];
    for (name, _) in PROFILES {
        let text = std::fs::read_to_string(file(name)).unwrap();
        for section in sections {
            let probe =
                if section.is_empty() { "zzzzzz = 1".to_owned() } else { format!("[{section}]\nzzzzzz = 1") };
            let error = parse(&probe, Path::new("probe")).unwrap_err();
            let finding = error.findings.iter().find(|f| f.key_path.ends_with("zzzzzz")).unwrap();
            for key in finding.expected.trim_start_matches("one of ").split(", ").map(|k| k.trim_matches('`'))
            {
                let shown = text.lines().map(|line| line.trim_start_matches("# ")).any(|line| {
                    line.starts_with(&format!("{key} = "))
                        || line.strip_prefix('[').is_some_and(|l| {
                            let path =
                                if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
                            l.starts_with(&format!("{path}]")) || l.starts_with(&format!("{path}."))
                        })
                });
                assert!(shown, "{name}.toml does not show {section}.{key}");
            }
        }
    }
}

/// What stands behind `# ` in the files is right too, where it is written.
#[test]
fn the_examples_in_the_files_are_valid() {
    let text = std::fs::read_to_string(file("production")).unwrap();
    let uncommented = |keys: &[&str]| -> String {
        text.lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(inner) if keys.iter().any(|key| inner.starts_with(key)) => inner,
                _ => line,
            })
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let policy = good(
        &uncommented(&[
            "registry =",
            "public_url =",
            "[exposure.sso",
            "provider =",
            "client_id =",
            "disable_pass",
            "ISSUER",
            "ALLOW_",
        ])
        .replace("mode = \"private\"", "mode = \"proxy\""),
    );
    assert!(matches!(policy.exposure, Exposure::Proxy { sso: Some(_), .. }));
    let policy = good(
        &uncommented(&[
            "endpoint =",
            "region =",
            "path_style =",
            "prefix =",
            "url =",
            "http_url",
            "native_url",
            "ssh_target",
            "traces_days",
            "media_days",
            "LANGFUSE_",
        ])
        .replace("mode = \"minio\"", "mode = \"s3\"")
        .replace("database = \"langfuse\"\nrole = \"langfuse\"\n", ""),
    );
    assert!(matches!(policy.storage, Storage::S3 { path_style: true, .. }));
    assert!(matches!(policy.postgres, Postgres::External { tls: true, .. }));
    assert!(matches!(policy.redis, Redis::External { tls: true, .. }));
    assert!(matches!(policy.clickhouse, Clickhouse::External { .. }));
}

#[test]
fn the_default_limits_fit_the_machine_that_is_asked_for() {
    for (name, profile) in PROFILES {
        let policy = Policy::default_for(profile);
        let r = &policy.resources;
        let sum: u64 = [r.web, r.worker, r.clickhouse, r.redis, r.minio].iter().map(|l| l.memory.0).sum();
        assert!(sum <= policy.sizing.memory.0, "{name}: {}", Bytes(sum));
    }
    assert_eq!(Policy::default_for(Profile::Production).resources.web.node_heap_mib(), 3072);
}

#[test]
fn every_section_is_read() {
    let policy = good(
        r#"
profile = "dev"
[ken]
compose_file = "stack.yml"
layout = "merge"
service = "app"
postgres_service = "db"
[images]
web = "langfuse/langfuse:4"
worker = "langfuse/langfuse-worker:4"
pull = "never"
[exposure]
bind = "::1"
port = 3_001
ssh_target = "me@vm"
[storage]
bucket = "traces"
[postgres]
database = "lf"
role = "lf_owner"
[clickhouse]
user = "u"
database = "d"
[langfuse]
org_id = "o"
telemetry = true
[langfuse.environment_extra]
LANGFUSE_LOG_LEVEL = "debug"
LANGFUSE_CACHE_API_KEY_TTL_SECONDS = 60
LANGFUSE_ENABLE_BLOB_STORAGE_FILE_LOG = false
[retention]
traces_days = 30
[resources]
web = { memory = "1GiB", cpus = 1 }
[resources.redis]
cpus = 0.25
[sizing]
mode = "enforce"
memory = "8GiB"
[gates]
web = "90s"
"#,
    );
    let default = Policy::default_for(Profile::Dev);
    assert_eq!(policy.ken.compose_file, Path::new("stack.yml"));
    assert_eq!((policy.ken.layout, policy.ken.service.as_str()), (Layout::Merge, "app"));
    assert_eq!(
        (policy.images.web.to_string().as_str(), policy.images.pull),
        ("langfuse/langfuse:4", PullPolicy::Never)
    );
    assert_eq!(
        policy.exposure,
        Exposure::Private { bind: "::1".parse().unwrap(), port: 3001, ssh_target: Some("me@vm".into()) }
    );
    assert_eq!(policy.postgres, Postgres::Ken { database: "lf".into(), role: "lf_owner".into() });
    assert_eq!(policy.clickhouse, Clickhouse::Container { user: "u".into(), database: "d".into() });
    assert_eq!(policy.langfuse.environment_extra["LANGFUSE_CACHE_API_KEY_TTL_SECONDS"], "60");
    assert_eq!(policy.langfuse.environment_extra["LANGFUSE_ENABLE_BLOB_STORAGE_FILE_LOG"], "false");
    assert_eq!((policy.retention.traces_days, policy.retention.media_days), (Some(30), None));
    assert_eq!((policy.resources.web.memory, policy.resources.web.cpus), (Bytes::from_gib(1), 1.0));
    assert_eq!(policy.resources.redis.memory, default.resources.redis.memory);
    assert_eq!((policy.sizing.mode, policy.sizing.cpus), (SizingMode::Enforce, 4));
    assert_eq!(policy.gates.web.as_secs(), 90);
    assert_eq!(policy.gates.worker, default.gates.worker);
    assert_eq!(origin_url(&policy), "http://localhost:3001");
}

#[test]
fn external_stores_and_a_proxy() {
    let policy = good(
        r#"
[exposure]
mode = "proxy"
bind = "0.0.0.0"
public_url = "https://Langfuse.example.com:8443/"
[exposure.sso]
provider = "azure-ad"
client_id = "abc"
settings = { TENANT_ID = "t", ALLOW_ACCOUNT_LINKING = true }
disable_password_login = true
[storage]
mode = "s3"
bucket = "b-1"
region = "eu-central-1"
[postgres]
url = "postgres://app@[fd00::1]/lf?sslmode=disable"
[clickhouse]
http_url = "http://ch:8123"
native_url = "clickhouse://ch:9000"
[redis]
url = "redis://ken@cache.internal/0"
"#,
    );
    assert_eq!(origin_url(&policy), "https://langfuse.example.com:8443");
    let Exposure::Proxy { sso: Some(sso), .. } = &policy.exposure else { panic!("{:?}", policy.exposure) };
    assert_eq!(sso.provider, SsoProvider::AzureAd);
    assert!(sso.env().contains(&("AUTH_AZURE_AD_ALLOW_ACCOUNT_LINKING".into(), "true".into())));
    assert_eq!(
        policy.storage,
        Storage::S3 {
            bucket: "b-1".into(),
            endpoint: None,
            region: "eu-central-1".into(),
            path_style: false,
            prefix: String::new()
        }
    );
    assert_eq!(
        policy.postgres,
        Postgres::External {
            host: "[fd00::1]".into(),
            port: 5432,
            database: "lf".into(),
            role: "app".into(),
            tls: false
        }
    );
    assert_eq!(
        policy.redis,
        Redis::External {
            host: "cache.internal".into(),
            port: 6379,
            tls: false,
            username: Some("ken".into())
        }
    );
    let needs = secrets_needed(&policy);
    let origin = |name| needs.iter().find(|need| need.name == name).map(|need| need.origin);
    for name in [
        SecretName::PostgresPassword,
        SecretName::ClickhousePassword,
        SecretName::RedisPassword,
        SecretName::S3AccessKeyId,
        SecretName::S3SecretAccessKey,
        SecretName::SsoClientSecret,
    ] {
        assert_eq!(origin(name), Some(Origin::Provided), "{name}");
    }
    assert_eq!(origin(SecretName::MinioPassword), None);
    assert_eq!(origin(SecretName::EncryptionKey), Some(Origin::Generated));
    let own = secrets_needed(&Policy::default_for(Profile::Production));
    assert_eq!(own.len(), 10);
    assert!(own.iter().all(|need| need.origin == Origin::Generated));
}

#[test]
fn a_mirror_replaces_the_registry_of_the_images_that_are_not_given() {
    let policy =
        good("[images]\nregistry = \"mirror.example:5000/hub\"\nredis = \"docker.io/valkey/valkey:8.1.3\"");
    assert_eq!(policy.images.web.to_string(), "mirror.example:5000/hub/langfuse/langfuse:4.16.0");
    assert_eq!(
        policy.images.minio.to_string(),
        "mirror.example:5000/hub/minio/minio:RELEASE.2025-09-07T16-13-09Z"
    );
    assert_eq!(policy.images.redis.to_string(), "docker.io/valkey/valkey:8.1.3");
}

#[test]
fn findings_come_all_at_once_with_their_places() {
    insta::assert_snapshot!(findings(r#"
profil = "dev"
colour = "red"
[ken]
layout = "inclde"
service = "a b"
postgres_service = 5
compose_file = "docker/"
[exposure]
port = 0
bind = "localhost"
[gates]
web = "5 minutes"
verify = "3h"
[resources.clickhouse]
memory = "512MiB"
cpus = "two"
[sizing]
memory = "16GB"
"#), @r#"
2:1: profil is not known (did you mean `profile`?); expected one of `clickhouse`, `engine`, `exposure`, `gates`, `images`, `ken`, `langfuse`, `postgres`, `profile`, `redis`, `resources`, `retention`, `sizing`, `storage`
3:1: colour is not known; expected one of `clickhouse`, `engine`, `exposure`, `gates`, `images`, `ken`, `langfuse`, `postgres`, `profile`, `redis`, `resources`, `retention`, `sizing`, `storage`
5:10: ken.layout (`inclde`) is not known (did you mean `include`?); expected one of `include`, `merge`, `separate`
6:11: ken.service (`a b`) is not valid; expected a service of the Compose file: letters, digits, `.`, `_` and `-`
7:20: ken.postgres_service (`5`) is an integer; expected a service of the Compose file: letters, digits, `.`, `_` and `-`
8:16: ken.compose_file (`docker/`) does not name a file; expected the path of Ken's Compose file
10:8: exposure.port (`0`) is out of range; expected a whole number from 1 to 65535
11:8: exposure.bind (`localhost`) is not an IP address; expected an IP address of this machine
13:7: gates.web (`5 minutes`) is not a time; expected a time such as "90s" or "5m", from 1s to 2h
14:10: gates.verify (`3h`) is out of range; expected a time such as "90s" or "5m", from 1s to 2h
16:10: resources.clickhouse.memory (`512MiB`) is out of range; expected a size such as 512MiB or 4GiB, at least 1GiB
17:8: resources.clickhouse.cpus (`two`) is a string; expected a number from 0.1 to 512
19:10: sizing.memory (`16GB`) is not a size such as 512MiB or 4GiB; expected a size such as 512MiB or 4GiB, at least 1GiB
"#);
}

#[test]
fn sections_of_the_wrong_type_and_texts_that_are_not_toml() {
    insta::assert_snapshot!(findings("ken = 1\nimages = []\n[[gates]]\n[resources]\nweb = \"4GiB\""), @r"
1:7: ken (`1`) is an integer; expected a table
2:10: images is an array; expected a table
3:1: gates is an array; expected a table
5:7: resources.web (`4GiB`) is a string; expected a table
");
    insta::assert_snapshot!(findings("[ken\nlayout = include\n"), @r"1:5: the text is not TOML: unclosed table, expected `]`; expected `key = value` lines under `[section]` headings");
    insta::assert_snapshot!(findings("a = 1\na = 2\n"), @r"2:1: the text is not TOML: duplicate key; expected `key = value` lines under `[section]` headings");
}

#[test]
fn images() {
    insta::assert_snapshot!(findings(r#"
[images]
web = "langfuse/langfuse:4"
worker = "langfuse/langfuse-worker:4.15.9"
clickhouse = "clickhouse/clickhouse-server:25.8.1.1"
redis = "redis"
minio = "MinIO:1"
registry = "https://mirror.example"
"#), @r#"
3:7: images.web (`langfuse/langfuse:4`) floats: tomorrow the same tag may be another image, and databases do not migrate back; expected an exact version (x.y.z) or a digest (@sha256:…); only profile = "dev" may float
3:7: images.web (`langfuse/langfuse:4`) does not fit the other: web has tag 4 and worker has tag 4.15.9; expected the same version for images.web and images.worker
4:10: images.worker (`langfuse/langfuse-worker:4.15.9`) is Langfuse 4.15.9, which this project does not deploy; expected 4.16.0 or a later 4.x
5:14: images.clickhouse (`clickhouse/clickhouse-server:25.8.1.1`) is version 25.8.1, which cannot run Langfuse's migrations; expected ClickHouse 25.12 or later
6:9: images.redis (`redis`) floats: tomorrow the same tag may be another image, and databases do not migrate back; expected an exact version (x.y.z) or a digest (@sha256:…); only profile = "dev" may float
7:9: images.minio (`MinIO:1`) is not an image reference: the repository is not lower-case words with `/` between them; expected an image such as registry.example.com/langfuse/langfuse:4.16.0
8:12: images.registry (`https://mirror.example`) is not the address of a registry; expected a host name, with a port and folders if need be: mirror.example.com:5000/hub
"#);
    insta::assert_snapshot!(findings(&format!(
        "[images]\nweb = \"a/web:4@sha256:{0}\"\nworker = \"a/worker:5.0.0@sha256:{0}\"",
        "a".repeat(64)
    )), @r"
2:7: images.web (`a/web:4@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`) does not say its version; expected a tag x.y.z, before the digest if there is one
2:7: images.web (`a/web:4@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`) does not fit the other: web has tag 4 and worker has tag 5.0.0; expected the same version for images.web and images.worker
3:10: images.worker (`a/worker:5.0.0@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`) is Langfuse 5.0.0, which this project does not deploy; expected 4.16.0 or a later 4.x
");
    insta::assert_snapshot!(findings("profile = \"dev\"\n[images]\nweb = \"a/web:4.17.0\""), @r"3:7: images.web (`a/web:4.17.0`) does not fit the other: web has tag 4.17.0 and worker has tag 4.16.0; expected the same version for images.web and images.worker");
    insta::assert_snapshot!(
        findings("profile = \"dev\"\n[images]\nweb = \"a/web:latest\"\nworker = \"a/worker:latest\""), @r"none");
}

#[test]
fn exposure() {
    insta::assert_snapshot!(findings(r#"
[exposure]
bind = "0.0.0.0"
public_url = "https://x.example"
ssh_target = "-oProxyCommand=x"
[exposure.sso]
provider = "google"
client_id = "x"
"#), @r#"
2:1: exposure.sso has no effect when exposure.mode is `private`: providers send people back to a public URL; expected exposure.mode = "proxy", or no [exposure.sso]
3:8: exposure.bind (`0.0.0.0`) is reachable by others, without TLS: passwords and traces would cross the network in the clear; expected 127.0.0.1 (others come by the SSH tunnel), or exposure.mode = "proxy" behind TLS
4:14: exposure.public_url (`https://x.example`) has no effect when exposure.mode is `private`; expected exposure.mode = "proxy", or no public_url
5:14: exposure.ssh_target (`-oProxyCommand=x`) is not valid; expected user@host, as for ssh
"#);
    insta::assert_snapshot!(findings("[exposure]\nmode = \"proxy\"\nssh_target = \"me@vm\""), @r#"
1:1: exposure.public_url is missing; expected https://host under which the proxy is reached
3:14: exposure.ssh_target (`me@vm`) has no effect when exposure.mode is `proxy`; expected exposure.mode = "private", or no ssh_target
"#);
    insta::assert_snapshot!(findings("[exposure]\nmode = \"proxy\"\npublic_url = \"http://x.example\""), @r"3:14: exposure.public_url (`http://x.example`) is not https: sign-in would send passwords in the clear; expected https://host, without a path");
    insta::assert_snapshot!(findings("[exposure]\nmode = \"proxy\"\npublic_url = \"https://x.example/langfuse\""), @r"3:14: exposure.public_url (`https://x.example/langfuse`) has a path or a query; Langfuse's image serves at the root only; expected https://host, without a path");
    insta::assert_snapshot!(findings("[exposure]\nmode = \"tunnel\"\npublic_url = \"https://x.example\""), @r"2:8: exposure.mode (`tunnel`) is not known; expected one of `private`, `proxy`");
}

#[test]
fn single_sign_on() {
    let proxy = "[exposure]\nmode = \"proxy\"\npublic_url = \"https://x.example\"\n";
    insta::assert_snapshot!(findings(&format!("{proxy}[exposure.sso]\n")), @r"
4:1: exposure.sso.provider is missing; expected one of `google`, `github`, `github-enterprise`, `gitlab`, `azure-ad`, `okta`, `auth0`, `cognito`, `onelogin`, `authentik`, `keycloak`, `jumpcloud`, `workos`, `wordpress`, `custom`
4:1: exposure.sso.client_id is missing; expected the OAuth client's id
");
    insta::assert_snapshot!(findings(&format!(
        "{proxy}[exposure.sso]\nprovider = \"keycloak\"\nclient_id = \"x\"\ndisable_password_login = true\n[exposure.sso.settings]\n\
         issuer = \"https://idp\"\nCHECKS = \"pkce, state\"\nCLIENT_SECRET = \"hunter2\"\n"
    )), @r"
7:26: exposure.sso.disable_password_login (`true`) would lock everybody out: the first user has a password only, and sign-up is closed to new ones; expected langfuse.sign_up = true, or exposure.sso.settings.ALLOW_ACCOUNT_LINKING = true so that the first user can sign in by the same e-mail address
8:1: exposure.sso.settings.ISSUER is missing, and provider `keycloak` needs it; expected an https URL without credentials
9:10: exposure.sso.settings.issuer is no setting of provider `keycloak` (did you mean `ISSUER`?); expected one of `ISSUER`, `SCOPE`, `ID_TOKEN`, `NAME`, `ALLOW_ACCOUNT_LINKING`, `CLIENT_AUTH_METHOD`, `CHECKS`, `ID_TOKEN_SIGNED_RESPONSE_ALG`
10:10: exposure.sso.settings.CHECKS (`pkce, state`) is not valid; expected one or more of nonce, none, pkce, state, with `,` and no space between
11:17: exposure.sso.settings.CLIENT_SECRET is a secret, and a policy holds none; expected the line SSO_CLIENT_SECRET=… in secrets.env
");
    insta::assert_snapshot!(findings(&format!(
        "{proxy}[exposure.sso]\nprovider = \"workos\"\nclient_id = \"x\"\nclient_secret = \"hunter2\"\nsettings = {{ ORGANIZATION_ID = \"a\", CONNECTION_ID = \"b\" }}"
    )), @r"
7:1: exposure.sso.client_secret looks like a secret, and a policy holds none; expected secrets in secrets.env, made or checked by `cargo xtask secrets init`
8:12: exposure.sso.settings.CONNECTION_ID excludes ORGANIZATION_ID; expected one of the two
");
}

#[test]
fn stores() {
    insta::assert_snapshot!(findings("[storage]\nbucket = \"My_Bucket\"\nregion = \"eu\"\nprefix = \"x\""), @r#"
2:10: storage.bucket (`My_Bucket`) is not valid; expected 3 to 63 lower-case letters, digits, `.` and `-`, with a letter or digit at both ends
3:10: storage.region (`eu`) has no effect when storage.mode is `minio`; expected storage.mode = "s3", or no such key
4:10: storage.prefix (`x`) is not valid; expected folders of letters, digits, `.`, `_` and `-`, with a `/` at the end: team/langfuse/
"#);
    insta::assert_snapshot!(findings("[storage]\nmode = \"s3\""), @r"
1:1: storage.bucket is missing; expected the name of the bucket, which must exist
1:1: storage.region is missing; expected the bucket's region, or an endpoint
");
    insta::assert_snapshot!(findings("[postgres]\ndatabase = \"postgres\"\nrole = \"Langfuse\""), @r"
2:12: postgres.database (`postgres`) belongs to Postgres itself or to Ken's server; expected a lower-case name of our own, such as langfuse
3:8: postgres.role (`Langfuse`) is not of the form [a-z_][a-z0-9_]{0,62}; expected a lower-case name of our own, such as langfuse
");
    insta::assert_snapshot!(findings("[postgres]\nrole = \"x\"\nurl = \"postgresql://u:hunter2@db/lf\""), @r"
2:8: postgres.role (`x`) has no effect beside postgres.url, which says it; expected either postgres.url or this key
3:7: postgres.url (`postgresql://…`) holds a password, and a policy holds none: it belongs into secrets.env as POSTGRES_PASSWORD=…; expected postgresql://role@host:5432/database?sslmode=require
");
    insta::assert_snapshot!(findings("[postgres]\nurl = \"postgresql://db/lf?sslmode=verify-full\""), @r"2:7: postgres.url (`postgresql://…`) has an sslmode that Langfuse's driver does not know: `require` or `disable`; expected postgresql://role@host:5432/database?sslmode=require");
    insta::assert_snapshot!(findings("[postgres]\nurl = \"mysql://u@db/lf\""), @r"2:7: postgres.url (`mysql://…`) does not begin with postgresql://; expected postgresql://role@host:5432/database?sslmode=require");
    insta::assert_snapshot!(findings("[clickhouse]\nhttp_url = \"http://u:hunter2@ch:8123\"\ndatabase = \"system\""), @r"
1:1: clickhouse.native_url is missing; expected both addresses: Langfuse queries over HTTP and migrates over the native protocol
2:12: clickhouse.http_url (`http://…`) holds a password, and a policy holds none: it belongs into secrets.env as CLICKHOUSE_PASSWORD=…; expected http(s)://host:8123
3:12: clickhouse.database (`system`) belongs to ClickHouse itself; expected letters, digits and `_`, with a letter at the beginning
");
    insta::assert_snapshot!(findings("[redis]\nurl = \"redis://:hunter2@r:6379/3\""), @r"2:7: redis.url (`redis://…`) holds a password, and a policy holds none: it belongs into secrets.env as REDIS_PASSWORD=…; expected redis://host:6379, or rediss:// with TLS");
    insta::assert_snapshot!(findings("[redis]\nurl = \"redis://r:6379/3\"\npassword = \"hunter2\""), @r"
2:7: redis.url (`redis://r:6379/3`) chooses a database, which Langfuse cannot: it uses number 0; expected redis://host:6379, or rediss:// with TLS
3:1: redis.password looks like a secret, and a policy holds none; expected secrets in secrets.env, made or checked by `cargo xtask secrets init`
");
}

#[test]
fn langfuse_itself() {
    insta::assert_snapshot!(findings(r#"
[langfuse]
org_id = "a/b"
user_email = "root@localhost"
user_name = ""
telemetry = "no"
[langfuse.environment_extra]
LANGFUSE_INIT_ORG_ID = "x"
LANGFUSE_EE_LICENSE_KEY = "hunter2"
langfuse_log_level = "debug"
DATABASE_URL = "postgresql://u:hunter2@h/d"
LANGFUSE_INGESTION_MASKING_CALLBACK_URL = "https://u:hunter2@h/d"
LANGFUSE_S3_CONCURRENT_WRITES = [1]
[retention]
traces_days = 2
media_days = "90"
"#), @r"
3:10: langfuse.org_id (`a/b`) is not valid; expected 1 to 64 letters, digits, `_` and `-`
4:14: langfuse.user_email (`root@localhost`) is not valid; expected an e-mail address such as you@example.com
5:13: langfuse.user_name (``) is not valid; expected 1 to 100 characters on one line, without spaces at the ends
6:13: langfuse.telemetry (`no`) is a string; expected true or false
8:24: langfuse.environment_extra.LANGFUSE_INIT_ORG_ID (`x`) is set by this project; expected no such line; it follows from langfuse.org_id, project_id, user_email and the like
9:27: langfuse.environment_extra.LANGFUSE_EE_LICENSE_KEY looks like a secret, and a policy holds none; expected no such line: this project passes on the secrets of secrets.env only
10:22: langfuse.environment_extra.langfuse_log_level (`debug`) is not a variable of Langfuse's own; expected LANGFUSE_ and capital letters, digits and `_`
11:16: langfuse.environment_extra.DATABASE_URL (`postgresql://…`) is not a variable of Langfuse's own; expected LANGFUSE_ and capital letters, digits and `_`
12:43: langfuse.environment_extra.LANGFUSE_INGESTION_MASKING_CALLBACK_URL (`https://…`) holds a URL with what may be credentials; expected a URL without user, password and query
13:33: langfuse.environment_extra.LANGFUSE_S3_CONCURRENT_WRITES is an array; expected text, true, false or a whole number
15:15: retention.traces_days (`2`) is out of range; expected a whole number from 3 to 3650
16:14: retention.media_days (`90`) is a string; expected a whole number from 3 to 3650
");
}

#[test]
fn services_must_differ() {
    insta::assert_snapshot!(findings("[ken]\nservice = \"postgres\""), @r"2:11: ken.service (`postgres`) names Ken and its Postgres as one service; expected two different services");
}

const URL_KEYS: [&str; 12] = [
    "postgres.url",
    "redis.url",
    "clickhouse.http_url",
    "clickhouse.native_url",
    "storage.endpoint",
    "exposure.public_url",
    "exposure.ssh_target",
    "images.web",
    "ken.compose_file",
    "langfuse.user_email",
    "langfuse.environment_extra.LANGFUSE_X",
    "postgres.ulr",
];

proptest! {
    #[test]
    fn any_text_gives_a_policy_or_findings(text in any::<String>()) {
        let _ = parse(&text, Path::new("p"));
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let _ = load(file.path());
    }

    #[test]
    fn anything_like_a_policy_gives_an_answer(
        lines in proptest::collection::vec(
            ("(profile|web|url|memory|port|mode|\\[images\\]|\\[postgres\\]|\\[exposure.sso.settings\\]|\\[resources.web\\])", "( = )?", "([0-9]{1,20}|\"[ -~]{0,12}\"|true|\\[1\\]|1979-05-27|0x1f|1e400|-nan|\\{a=1\\})?"),
            0..12,
        )
    ) {
        let text: String = lines.iter().map(|(a, b, c)| format!("{a}{b}{c}\n")).collect();
        if let Err(error) = parse(&text, Path::new("p")) {
            prop_assert!(!error.findings.is_empty());
        }
    }

    #[test]
    fn no_finding_holds_a_password_from_a_url(
        key in proptest::sample::select(URL_KEYS.as_slice()),
        scheme in proptest::sample::select(["postgresql", "postgres", "redis", "rediss", "http", "https", "clickhouse", "ftp", "x y"].as_slice()),
        user in "[a-z]{0,6}",
        before in "[!#-&(-\\[\\]-~]{0,4}",
        after in "[!#-&(-\\[\\]-~]{0,4}",
        tail in "(:5432)?(/[a-z]{0,4})?([?#][a-z=]{0,6})?",
        unclosed in any::<bool>(),
    ) {
        let planted = "Zq7xPlanted";
        let url = format!("{scheme}://{user}:{before}{planted}{after}@h{tail}");
        let (section, name) = key.rsplit_once('.').unwrap();
        let close = if unclosed { "" } else { "\"" };
        for text in [
            format!("[{section}]\n{name} = \"{url}{close}\n"),
            format!("[{section}]\n\"{url}\" = 1\n"),
            format!("[{section}]\n{name} = [\"{url}\"]\n"),
            format!("[\"{url}\"]\n{name} = 1\n"),
            format!("[{section}]\n{name} = {url}\n"),
            format!("{name} = \"\"\"x\n{url}\"\"\"\n"),
        ] {
            if let Err(error) = parse(&text, Path::new("p")) {
                let said = format!("{error} {error:?}");
                prop_assert!(!said.contains(planted), "{}", said);
            }
        }
    }
}
