-- +goose Up
CREATE TABLE flagbase_tables (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE flagbase_records (
    table_id   INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    data       TEXT    NOT NULL,
    flag_tag   TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX flagbase_records_by_id ON flagbase_records (table_id, id);
CREATE INDEX flagbase_records_by_created ON flagbase_records (table_id, created_at, id);

-- +goose Down
DROP TABLE flagbase_records;
DROP TABLE flagbase_tables;
