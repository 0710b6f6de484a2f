-- Runs once, when the volume is new.
CREATE TABLE conversations (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at TIMESTAMPTZ NOT NULL,
    question TEXT NOT NULL,
    answer TEXT
);

INSERT INTO conversations (started_at, question, answer)
SELECT TIMESTAMPTZ '2026-01-05 08:00:00+00' + n * INTERVAL '7 minutes',
    'question ' || n,
    CASE WHEN n % 5 <> 0 THEN 'answer ' || n END
FROM generate_series(1, 42) AS n;
