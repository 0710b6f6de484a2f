CREATE TABLE events_core (
    project_id String,
    trace_id String,
    span_id String,
    name String,
    start_time DateTime64(6, 'UTC'),
    input String,
    output String,
    event_ts DateTime64(3, 'UTC'),
    is_deleted UInt8
) ENGINE = ReplacingMergeTree(event_ts, is_deleted)
PARTITION BY toYYYYMM(start_time)
ORDER BY (project_id, toUnixTimestamp(start_time), trace_id, span_id);
CREATE MATERIALIZED VIEW events_core_mv TO events_core AS
SELECT project_id, trace_id, span_id, name, start_time, leftUTF8(input, 200) AS input, leftUTF8(output, 200) AS output,
    event_ts, is_deleted
FROM events_full;
