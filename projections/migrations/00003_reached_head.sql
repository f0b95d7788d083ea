-- +goose Up

-- When a build had posted everything there was for the first time; until then what
-- is older than the log's head may be missing from it. Builds of an older program
-- are taken to have been there, because it did not note it and may be the one that
-- posts to them while this one is started beside it.
ALTER TABLE projections.builds ADD COLUMN reached_head_at timestamptz;
UPDATE projections.builds SET reached_head_at = coalesce(activated_at, clock_timestamp()) WHERE state <> 'building';

-- +goose Down
ALTER TABLE projections.builds DROP COLUMN reached_head_at;
