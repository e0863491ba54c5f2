/* The journal: polls that wait to be sealed, as frames in RAM and as blobs in a file beside the
 * database (jfile.c). What was journalled and outlives a seal moves into the database, in the table
 * `journal`, with that seal. */
#include "gateway/store/damage.h"
#include "gateway/store/rollup_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESCUE_MS 10     /* between two parts of a rescue: the rest has its turn */
#define RETRY_MS 1000    /* after a failed commit */
#define PARKED_MS 600000 /* an acknowledgement waits that long for a commit to ride with */

/* ---- queue to frames ---- */

bool store_frame_room(const struct store *s, uint32_t n)
{
    /* A record takes less than point + value + time + flags. */
    size_t senml = (size_t)n * (WIRE_POINT_MAX + 32) + 256;
    return s->nframes < STORE_FRAMES && s->nindex + n <= STORE_INDICES &&
           s->senml.n + senml <= s->senml.max;
}

static uint32_t grade_flags(enum clk_grade g)
{
    return g == CLK_UNKNOWN ? WIRE_Q_TIME_UNKNOWN : g == CLK_CORRECTED ? WIRE_Q_TIME_CORRECTED : 0;
}

static void wait_for_commit(struct store *s, struct mono since)
{
    s->journal_due.ms = since.ms + s->cfg.journal_every_ms;
}

enum st store_frame_add(struct store *s, const struct store_poll *p, const struct store_value *v)
{
    struct store_frame *f = &s->frames[s->nframes];
    if (s->njournalled == s->nframes) /* the first that waits for a commit sets its time */
        wait_for_commit(s, s->out_since);
    *f = (struct store_frame){.device = p->device,
                              .due_ms = p->due_ms,
                              .t_ms = p->t_ms,
                              .grade = p->grade,
                              .cause = p->cause,
                              .got = s->index + s->nindex,
                              .since = s->out_since};
    memcpy(f->boot, s->boot, sizeof f->boot);
    uint32_t *index = s->index + s->nindex;
    for (uint32_t i = 0; i < p->n; i++) {
        if (v[i].v.kind == NUM_NONE)
            continue;
        const struct store_ser *x = &s->ser[v[i].series];
        uint32_t calibrating = p->t_ms >= x->calibrating_ms ? WIRE_Q_CALIBRATING : 0;
        s->record[f->ngot] = (struct wire_record){&x->point->wire, v[i].v,
                                                  v[i].q | calibrating | grade_flags(p->grade)};
        index[f->ngot++] = v[i].series;
    }
    f->missed = index + f->ngot;
    for (uint32_t i = 0; i < p->n; i++)
        if (v[i].v.kind == NUM_NONE)
            index[f->ngot + f->nmissed++] = v[i].series;
    f->n = f->ngot;
    size_t at = s->senml.n;
    if (f->n) {
        enum st st = wire_senml_poll(&s->senml, s->dev[p->device].base, p->t_ms, s->record, f->n);
        if (st != ST_OK)
            return st;
    }
    f->senml = s->senml.p + at;
    f->senml_n = s->senml.n - at;
    s->nindex += p->n;
    s->waiting += f->n;
    s->nframes++;
    return ST_OK;
}

/* Turns a device's lost polls into one frame that misses all its series from the first due time. */
static enum st frame_lost(struct store *s, uint32_t device, const struct store_lost *l)
{
    struct store_dev *d = &s->dev[device];
    struct store_poll p = {.device = device,
                           .due_ms = l->due_ms,
                           .t_ms = l->t_ms,
                           .grade = l->grade,
                           .cause = l->cause,
                           .n = d->n};
    struct store_value *v = calloc(d->n, sizeof *v);
    if (!v)
        return ST_MEMORY;
    for (uint32_t i = 0; i < d->n; i++)
        v[i].series = d->first + i;
    enum st st = store_frame_add(s, &p, v);
    free(v);
    return st;
}

/* Losses are told behind the polls that were queued before them, as soon as there is room. */
static enum st drain_lost(struct store *s)
{
    enum st st = ST_OK;
    s->any_lost_out = false;
    for (uint32_t i = 0; i < s->ndev && st == ST_OK; i++) {
        struct store_lost *l = &s->lost_out[i];
        if (l->is && store_frame_room(s, s->dev[i].n)) {
            st = frame_lost(s, i, l);
            l->is = false;
        }
        s->any_lost_out = s->any_lost_out || l->is;
    }
    return st;
}

/* The writer takes the filled buffer, and with it what did not fit into it. */
static void swap_queue(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    uint8_t *full = s->in;
    s->in = s->out;
    s->out = full;
    s->out_n = s->in_n;
    s->out_at = 0;
    s->out_since = s->in_since;
    s->in_n = 0;
    s->polls_queued = 0;
    if (s->any_lost) {
        struct store_lost *lost = s->lost;
        s->lost = s->lost_out;
        s->lost_out = lost;
        s->any_lost_out = true;
        s->any_lost = false;
    }
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->lock);
}

/* Takes queued polls into frames while there is room. What does not fit stays queued. */
static enum st drain(struct store *s, struct err *e)
{
    bool all = s->out_at == s->out_n && !s->any_lost_out;
    s->behind = true;
    if (all)
        swap_queue(s);
    while (s->out_at < s->out_n) {
        struct store_poll p;
        memcpy(&p, s->out + s->out_at, sizeof p);
        if (!store_frame_room(s, p.n))
            break;
        const struct store_value *v =
            (const struct store_value *)(const void *)(s->out + s->out_at + sizeof p);
        enum st st = store_frame_add(s, &p, v);
        if (st != ST_OK)
            return err_set(e, st, "store %s: a poll of %s could not be encoded", s->path,
                           s->dev[p.device].d.id);
        s->out_at += sizeof p + p.n * sizeof *v;
    }
    enum st st = s->any_lost_out && s->out_at == s->out_n ? drain_lost(s) : ST_OK;
    s->behind = !all || s->out_at < s->out_n || s->any_lost_out;
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: a gap could not be noted", s->path);
}

bool store_behind(const struct store *s)
{
    return s->behind;
}

bool store_crowded(const struct store *s)
{
    return s->nframes > STORE_FRAMES / 4 * 3 || s->nindex > STORE_INDICES / 4 * 3 ||
           s->senml.n > s->senml.max / 4 * 3 || s->jfile.end > s->jfile.max / 4 * 3;
}

size_t store_frames(struct store *s, const struct store_frame **frames)
{
    *frames = s->frames;
    return s->nframes;
}

void store_frames_drop(struct store *s, const bool *use)
{
    size_t kept = 0, senml = 0, index = 0, journalled = 0;
    s->waiting = 0;
    for (size_t i = 0; i < s->nframes; i++) {
        if (use[i])
            continue;
        struct store_frame f = s->frames[i];
        if (i < s->njournalled)
            journalled++;
        else if (kept == journalled) /* what waited longer is sealed */
            wait_for_commit(s, f.since);
        memmove(s->senml.p + senml, f.senml, f.senml_n);
        memmove(s->index + index, f.got, (f.ngot + (size_t)f.nmissed) * sizeof *s->index);
        f.senml = s->senml.p + senml;
        f.got = s->index + index;
        f.missed = f.got + f.ngot;
        senml += f.senml_n;
        index += f.ngot + (size_t)f.nmissed;
        s->waiting += f.n;
        s->frames[kept++] = f;
    }
    if (journalled == kept) /* nothing is left that waits for a commit */
        s->journal_due.ms = INT64_MAX;
    s->nframes = kept;
    s->njournalled = journalled;
    s->senml.n = senml;
    s->nindex = index;
    s->epoch++;
    s->jfile.end = 0;
}

/* ---- in the file, and back ---- */

static enum st append(struct store *s, struct err *e)
{
    struct buf blob;
    size_t n = 0;
    buf_init(&blob, STORE_BLOB_MAX);
    enum st st = store_blob_make(s, s->njournalled, s->nframes, NULL, &blob, &n, e);
    if (st == ST_OK && n)
        st = store_jfile_append(&s->jfile, s->epoch, (struct wire_span){blob.p, blob.n}, e);
    buf_done(&blob);
    return st;
}

static enum st write_left(struct store *s, const struct buf *blob, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_JOURNAL_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob64(q, 1, blob->p, blob->n, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

enum st store_epoch_get(struct store *s, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_EPOCH, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    s->epoch = (uint64_t)sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    if (s->epoch)
        return ST_OK;
    ERR_TRY(wire_random(&s->epoch, sizeof s->epoch, e));
    s->epoch = s->epoch >> 2 | 1;              /* fits SQLite's integer, and counts on for ever */
    q = store_db_use(&s->db, SQL_META_SET, e); /* until the first chain takes it over */
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, "epoch", -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, (int64_t)s->epoch);
    return store_db_run(&s->db, q, e);
}

enum st store_journal_fold(struct store *s, const bool *use, struct err *e)
{
    struct buf left;
    size_t n = 0;
    sqlite3_stmt *q = store_db_use(&s->db, SQL_JOURNAL_CLEAR, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_run(&s->db, q, e));
    buf_init(&left, STORE_BLOB_MAX);
    enum st st = store_blob_make(s, 0, s->njournalled, use, &left, &n, e);
    if (st == ST_OK && n)
        st = write_left(s, &left, e);
    buf_done(&left);
    if (st != ST_OK)
        return st;
    q = store_db_use(&s->db, SQL_EPOCH_SET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, (int64_t)(s->epoch + 1));
    return store_db_run(&s->db, q, e);
}

enum st store_journal_read(struct store *s, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_JOURNAL_ALL, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&s->db, q, e)) == ST_OK) {
        struct wire_span packed = {sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0)};
        st = store_blob_restore(s, packed, e);
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(q);
    if (st == ST_NOT_FOUND)
        st = store_jfile_each(&s->jfile, s->epoch, store_blob_restore, s, e);
    s->njournalled = s->nframes;
    return st;
}

/* ---- the writer's step ---- */

static void run_calls(struct store *s)
{
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct store_call_node *c = s->calls;
        if (c)
            s->calls = c->next;
        pthread_mutex_unlock(&s->lock);
        if (!c)
            return;
        enum st st = c->fn(s, c->arg, &c->e);
        pthread_mutex_lock(&s->lock);
        c->st = st;
        c->done = true; /* from here the caller's stack may be gone */
        pthread_cond_broadcast(&s->called);
        pthread_mutex_unlock(&s->lock);
    }
}

enum st store_riders_write(struct store *s, struct store_riders *r, struct err *e)
{
    bool room = false;
    *r = (struct store_riders){0};
    ERR_TRY(store_parked_write(s, STORE_PARKED, &r->parked, e));
    ERR_TRY(store_event_room(s, &room, e));
    if (room)
        return store_events_write(s, &r->events, e);
    s->events_due.ms = clk_mono(s->clk).ms + RETRY_MS;
    return ST_OK;
}

void store_riders_written(struct store *s, const struct store_riders *r)
{
    store_parked_written(s, r->parked);
    store_events_written(s, r->events);
}

/* Events wait as long as readings do, acknowledgements longer: a lost one costs a second sending,
 * which the city answers with the same receipt. */
static bool riders_due(struct store *s, bool flush)
{
    pthread_mutex_lock(&s->lock);
    bool events = s->nevents > 0;
    uint32_t parked = s->nparked;
    pthread_mutex_unlock(&s->lock);
    int64_t now = clk_mono(s->clk).ms;
    if (!events)
        s->events_due.ms = now + s->cfg.journal_every_ms;
    return (events && (flush || now >= s->events_due.ms)) ||
           (parked && (flush || now >= s->parked_since.ms + PARKED_MS || parked == STORE_PARKED));
}

static enum st riders_try(struct store *s, struct err *e)
{
    struct store_riders r;
    ERR_TRY(store_begin(s, 0, e));
    ERR_TRY(store_db_end(&s->db, store_riders_write(s, &r, e), e));
    store_riders_written(s, &r);
    return ST_OK;
}

/* Acknowledgements alone, at most so many. */
static enum st parked_try(struct store *s, uint32_t most, struct err *e)
{
    uint32_t n = 0;
    ERR_TRY(store_begin(s, 0, e));
    ERR_TRY(store_db_end(&s->db, store_parked_write(s, most, &n, e), e));
    store_parked_written(s, n);
    return ST_OK;
}

/* Receipts take room before what they acknowledge gives any back: then that goes now, a part after
 * the other, and where all of them do not fit the first goes alone. */
enum st store_riders_commit(struct store *s, struct err *e)
{
    enum st st = riders_try(s, e);
    for (uint32_t i = 0; st == ST_FULL && i <= STORE_PARKED; i++) {
        ERR_TRY(store_retention(s, e));
        if (s->nparked == 0)
            return i == 0 ? riders_try(s, e) : ST_OK; /* events come again */
        st = parked_try(s, STORE_PARKED, e);
        if (st == ST_FULL)
            st = parked_try(s, 1, e);
        if (st == ST_OK && s->nparked > 0)
            st = ST_FULL; /* the others, where this one gave room */
    }
    return st;
}

static enum st commit_journal(struct store *s, struct err *e)
{
    if (!atomic_load(&s->suspect)) /* a damaged database cannot say */
        ERR_TRY(store_room(s, 0, e));
    ERR_TRY(append(s, e));
    s->njournalled = s->nframes;
    s->journal_due.ms = INT64_MAX;
    return ST_OK;
}

/* One part of a rescue, or of the look at what is held. */
static enum st beside(struct store *s, struct err *e)
{
    int64_t now = clk_mono(s->clk).ms;
    if (!s->rescue)
        return store_scrub(s, e);
    if (now < s->rescue_due.ms)
        return ST_OK;
    enum st st = store_rescue_step(s, e);
    s->rescue_due.ms = st == ST_OK ? now : now + RETRY_MS;
    return st;
}

enum st store_step(struct store *s, bool flush, struct err *e)
{
    store_reserve_step(s);
    run_calls(s);
    store_urge_see(s);
    struct err why = {0};
    enum st st = drain(s, &why);
    int64_t now = clk_mono(s->clk).ms;
    bool wanted = false;
    if (st == ST_OK && s->njournalled < s->nframes && (flush || now >= s->journal_due.ms)) {
        st = commit_journal(s, &why);
        wanted = true;
    }
    if (st == ST_OK && !atomic_load(&s->suspect) && riders_due(s, flush)) {
        st = store_riders_commit(s, &why);
        wanted = true;
    }
    if (st == ST_OK && !atomic_load(&s->suspect))
        st = store_told_step(s, &why);
    if (st == ST_OK && !atomic_load(&s->suspect))
        st = beside(s, &why);
    if (atomic_load(&s->suspect))
        st = store_suspect(s, &why);
    if (st != ST_OK) {
        store_fault(s, STORE_JOURNALLING, why.text);
        s->journal_due.ms = s->events_due.ms = now + RETRY_MS;
    } else if (wanted) {
        store_fault(s, STORE_JOURNALLING, "");
        store_stats_refresh(s);
    }
    pthread_mutex_lock(&s->board_lock);
    s->stats.readings_waiting = (int64_t)s->waiting;
    s->stats.rescuing = s->rescue != NULL;
    pthread_mutex_unlock(&s->board_lock);
    if (!s->rescue && !atomic_load(&s->suspect)) /* rescued batches come in no order */
        store_rollup_step(s);
    if (st != ST_OK && e)
        *e = why;
    return st;
}

/* What other threads queued meanwhile goes along. */
static enum st commit_now(struct store *s, void *arg, struct err *e)
{
    (void)arg;
    for (int i = 0; i < 3 && (i == 0 || s->behind);
         i++) /* the rest of one buffer, then the other */
        ERR_TRY(drain(s, e));
    if (s->behind)
        return err_set(e, ST_FULL, "store %s: too much waits to be sealed", s->path);
    if (atomic_load(&s->suspect))
        return err_set(e, ST_CORRUPT, "store %s: it is damaged", s->path);
    return s->njournalled < s->nframes ? commit_journal(s, e) : ST_OK;
}

enum st store_commit(struct store *s, struct err *e)
{
    return store_call(s, commit_now, NULL, e);
}

struct mono store_due(const struct store *s)
{
    struct mono due = s->journal_due.ms < s->events_due.ms ? s->journal_due : s->events_due;
    int64_t rest = clk_mono(s->clk).ms + RESCUE_MS;
    struct mono beside = !s->rescue                ? s->scrub_due
                         : s->rescue_due.ms > rest ? s->rescue_due
                                                   : (struct mono){rest};
    return due.ms < beside.ms ? due : beside;
}
