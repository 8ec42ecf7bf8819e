-- +goose Up
-- Ids are lower-case hexadecimal as in W3C Trace Context; parent_id is '' for
-- the first span of a trace. root marks the spans that were not started inside
-- another span of this process.
CREATE TABLE flagbase_spans (
    id            INTEGER PRIMARY KEY,
    trace_id      TEXT    NOT NULL,
    span_id       TEXT    NOT NULL,
    parent_id     TEXT    NOT NULL,
    root          INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    function_id   TEXT    NOT NULL,
    invocation_id TEXT    NOT NULL,
    started_at    INTEGER NOT NULL,
    duration_ns   INTEGER NOT NULL,
    error         TEXT    NOT NULL,
    attributes    TEXT    NOT NULL
) STRICT;
CREATE INDEX flagbase_spans_by_trace ON flagbase_spans (trace_id, function_id);
CREATE INDEX flagbase_spans_by_start ON flagbase_spans (started_at) WHERE root = 1;

-- +goose Down
DROP TABLE flagbase_spans;
