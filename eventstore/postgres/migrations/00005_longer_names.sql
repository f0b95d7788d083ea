-- +goose Up

-- Names of streams and types have up to 512 bytes, and that of a stream of metadata
-- the two more of its prefix. The rows that are there are within the shorter limits
-- of before, so none need be read: NOT VALID spares a look at the whole log.
ALTER TABLE eventstore.streams DROP CONSTRAINT streams_stream_check;
ALTER TABLE eventstore.streams ADD CONSTRAINT streams_stream_check CHECK (octet_length(stream) BETWEEN 1 AND 514) NOT VALID;
ALTER TABLE eventstore.events DROP CONSTRAINT events_type_check;
ALTER TABLE eventstore.events ADD CONSTRAINT events_type_check CHECK (octet_length(type) BETWEEN 1 AND 512) NOT VALID;
