-- +goose Up
CREATE TABLE flagbase_objects (
    bucket       TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    hash         TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX flagbase_objects_by_hash ON flagbase_objects (hash);

-- The one directory whose files these objects are: at most one row.
CREATE TABLE flagbase_object_directory (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL
) STRICT;

-- +goose Down
DROP TABLE flagbase_object_directory;
DROP TABLE flagbase_objects;
