CREATE TABLE background_migrations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    script TEXT NOT NULL,
    finished_at TIMESTAMPTZ,
    failed_at TIMESTAMPTZ,
    failed_reason TEXT
);
