-- +goose Up

-- When a build had applied every event of the log for the first time. Until then, old events may be
-- missing from its rows. An older program does not note this time, and it may still write to its
-- builds while this program is started beside it. So such builds count as if they had been there.
ALTER TABLE projections.builds ADD COLUMN reached_head_at timestamptz;
UPDATE projections.builds SET reached_head_at = coalesce(activated_at, clock_timestamp()) WHERE state <> 'building';

-- +goose Down
ALTER TABLE projections.builds DROP COLUMN reached_head_at;
