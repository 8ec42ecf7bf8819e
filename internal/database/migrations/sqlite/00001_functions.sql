-- +goose Up
-- Functions, their versions and the history of their invocations. Times are Unix
-- microseconds, UTC. Artifacts are in the bucket, by the SHA-256 of their bytes.
CREATE TABLE flagbase_functions (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    description    TEXT NOT NULL,
    language       TEXT NOT NULL,
    status         TEXT NOT NULL CHECK (status IN ('ready', 'error', 'compiling')),
    error          TEXT NOT NULL,
    source         TEXT NOT NULL,
    runtime        TEXT NOT NULL,
    active_version INTEGER NOT NULL, -- 0 while no version was ever ready
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE flagbase_versions (
    id          TEXT PRIMARY KEY,
    function_id TEXT NOT NULL REFERENCES flagbase_functions (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    language    TEXT NOT NULL,
    runtime     TEXT NOT NULL,
    source      TEXT NOT NULL, -- empty for WebAssembly
    artifact    TEXT NOT NULL, -- empty for JavaScript
    created_at  INTEGER NOT NULL,
    UNIQUE (function_id, version)
) STRICT;

CREATE INDEX flagbase_versions_artifact ON flagbase_versions (artifact);

CREATE TABLE flagbase_invocations (
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
    peak_memory_bytes INTEGER NOT NULL,
    host_calls        INTEGER NOT NULL,
    output_size_bytes INTEGER NOT NULL,
    trace_id          TEXT NOT NULL,
    log               BLOB NOT NULL
) STRICT;

CREATE INDEX flagbase_invocations_newest ON flagbase_invocations (function_id, id DESC);
CREATE INDEX flagbase_invocations_running ON flagbase_invocations (id) WHERE completed_at IS NULL;

CREATE TABLE flagbase_metrics (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    value         REAL NOT NULL,
    tags          TEXT NOT NULL,
    function_id   TEXT NOT NULL,
    invocation_id TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX flagbase_metrics_name ON flagbase_metrics (name, created_at);
