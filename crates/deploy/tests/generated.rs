//! The generated files in the repository are what the code renders now.

use std::fs;
use std::path::Path;

#[test]
fn the_checked_in_compose_files_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/generated/compose");
    let wanted = ken_deploy::generated::standard();
    for (name, text) in &wanted {
        let there = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(there == *text, "{name} is stale: run `cargo xtask compose generate`");
    }
    let files = fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, wanted.len(), "a file that nobody generates lies in {}", folder.display());
}

#[test]
fn what_langfuse_needs_stands_in_every_one_of_them() {
    for (name, text) in ken_deploy::generated::standard() {
        for wanted in [
            "CLICKHOUSE_CLUSTER_ENABLED: \"false\"",
            "AUTH_DISABLE_SIGNUP: \"true\"",
            "TELEMETRY_ENABLED: \"false\"",
            "LANGFUSE_S3_EVENT_UPLOAD_FORCE_PATH_STYLE: \"true\"",
            "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED: \"true\"",
            "HOSTNAME: \"0.0.0.0\"",
            "condition: service_completed_successfully",
            "failIfDatabaseUnavailable=true",
            "maxmemory-policy noeviction",
            "appendonly yes",
            "<trace_log remove=\"1\"/>",
            "max-size: 20m",
            "stop_grace_period: 120s",
            "--max-old-space-size=",
        ] {
            assert!(text.contains(wanted), "{name} lacks {wanted}");
        }
        assert_eq!(text.matches("127.0.0.1:3000:3000").count(), 1, "{name} publishes web, on loopback");
        assert_eq!(text.matches("ports:").count(), 1, "{name} publishes nothing else");
        assert!(!text.contains("- http://localhost"), "{name} never probes localhost");
        let images = text.matches("image: ").count();
        assert_eq!(text.matches("mem_limit: ").count(), images, "{name} limits every service");
        assert_eq!(text.matches("max-size: ").count(), images, "{name} rotates every log");
    }
}
