-- +goose Up
-- Invocations that ended are written many to a row: those of one function that were written together,
-- in the format of function/history_block.go. flagbase_invocations keeps those that run, and what was
-- recorded before.
CREATE TABLE flagbase_invocation_blocks (
    newest      INTEGER PRIMARY KEY, -- the time in the id of the newest, the first 60 bits without the UUID's version
    function_id TEXT    NOT NULL,
    invocations INTEGER NOT NULL,    -- how many
    records     BLOB    NOT NULL
) STRICT;

CREATE INDEX flagbase_invocation_blocks_by_function ON flagbase_invocation_blocks (function_id); -- and newest, as every index

-- +goose Down
DROP TABLE flagbase_invocation_blocks;
