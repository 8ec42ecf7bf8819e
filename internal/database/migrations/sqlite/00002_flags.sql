-- +goose Up
-- definition is the flag's JSON, the times apart.
CREATE TABLE flagbase_flags (
    key        TEXT    NOT NULL PRIMARY KEY,
    definition TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE flagbase_flags;
