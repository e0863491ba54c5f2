-- Schema 2. The journal lies in a file of its own, <store.path>.journal, whose records count while
-- their epoch is the database's: the largest of this column. Its first value is drawn at random, so
-- that a file of another store never counts. The table `journal` keeps what a seal left over.
ALTER TABLE chain ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
UPDATE chain SET epoch = abs(random() / 4) + 1;
