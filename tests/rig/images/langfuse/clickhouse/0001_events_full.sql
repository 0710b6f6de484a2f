CREATE TABLE events_full (
    project_id String,
    trace_id String,
    span_id String,
    parent_span_id String,
    name String,
    start_time DateTime64(6, 'UTC'),
    end_time Nullable(DateTime64(6, 'UTC')),
    input String CODEC(ZSTD(3)),
    output String CODEC(ZSTD(3)),
    metadata Map(LowCardinality(String), String),
    event_ts DateTime64(3, 'UTC'),
    is_deleted UInt8
) ENGINE = ReplacingMergeTree(event_ts, is_deleted)
PARTITION BY toYYYYMM(start_time)
ORDER BY (project_id, toUnixTimestamp(start_time), trace_id, span_id);
