-- +goose Up
-- Compute time of an invocation in microseconds; NULL while it runs, and for those recorded before
-- it was measured.
ALTER TABLE flagbase_invocations ADD COLUMN cpu_us INTEGER;

-- +goose Down
ALTER TABLE flagbase_invocations DROP COLUMN cpu_us;
