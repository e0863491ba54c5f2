-- Schema 3: what the limits need.

-- Where the windows of a chain ended, when its last batch is a thinned one; NULL: last_to_ms.
ALTER TABLE chain ADD COLUMN window_to_ms INTEGER;

-- Packed bytes of a batch: what is held and what is unsent is counted without reading it.
ALTER TABLE batch ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE batch SET bytes = (SELECT length(y.bytes) FROM batch_bytes y WHERE y.id = batch.id);

-- batch.kind is 0 for raw data, 1 for control, 2 and more for thinned data (1 + its level).
CREATE INDEX batch_thinned ON batch (from_ms) WHERE kind > 1;
