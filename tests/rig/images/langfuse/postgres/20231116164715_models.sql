-- Filled by the worker at its start, and only then.
CREATE TABLE models (
    id TEXT PRIMARY KEY,
    model_name TEXT NOT NULL,
    match_pattern TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE prices (
    id TEXT PRIMARY KEY,
    model_id TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    usage_type TEXT NOT NULL,
    price NUMERIC NOT NULL
);
CREATE INDEX models_model_name_idx ON models (model_name);
