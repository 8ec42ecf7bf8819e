-- +goose Up
-- The history is written far more often than it is read: stored by id, without a row number, and with
-- one index less deep, a row costs about a third less to write. cpu_us is the compute time in
-- microseconds; NULL while it runs, and for what was recorded before it was measured.
CREATE TABLE flagbase_invocations_6 (
    id                TEXT PRIMARY KEY, -- ids sort by time
    function_id       TEXT NOT NULL,
    version           INTEGER NOT NULL,
    started_at        INTEGER NOT NULL,
    completed_at      INTEGER, -- NULL while it runs
    success           INTEGER NOT NULL,
    code              TEXT NOT NULL,
    output            TEXT NOT NULL, -- its first 64 KiB
    error             TEXT NOT NULL,
    execution_ms      INTEGER,
    cpu_us            INTEGER,
    peak_memory_bytes INTEGER NOT NULL,
    host_calls        INTEGER NOT NULL,
    output_size_bytes INTEGER NOT NULL,
    trace_id          TEXT NOT NULL,
    log               BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO flagbase_invocations_6
SELECT id, function_id, version, started_at, completed_at, success, code, output, error, execution_ms, NULL,
       peak_memory_bytes, host_calls, output_size_bytes, trace_id, log
FROM flagbase_invocations;

DROP TABLE flagbase_invocations;
ALTER TABLE flagbase_invocations_6 RENAME TO flagbase_invocations;

CREATE INDEX flagbase_invocations_newest ON flagbase_invocations (function_id); -- and the id, as every index
CREATE INDEX flagbase_invocations_running ON flagbase_invocations (id) WHERE completed_at IS NULL;
