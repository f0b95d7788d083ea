-- +goose Up

-- Whose personal texts were erased. The log says so, too. A subject in this table gets no key any
-- more, and its keys are destroyed again if an old table of keys is put back.
CREATE TABLE commands.erased (
    subject    text COLLATE "C" PRIMARY KEY,  -- as in data_keys
    erased_by  text COLLATE "C" NOT NULL,     -- the subject whose erasure names this one; itself, or a customer
    noted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleaned_at timestamptz,                   -- when copies outside the log were removed for the first time
    done_at    timestamptz                    -- when nothing was left to do
);
CREATE INDEX erased_not_done ON commands.erased (noted_at) WHERE done_at IS NULL;

-- +goose Down
DROP TABLE commands.erased;
