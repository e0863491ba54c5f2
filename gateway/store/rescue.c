/* Brings what is readable of a damaged store into the new one.
 *
 * At the start, in one transaction: the small tables by SQL, from both ends, and the journals. Then
 * beside the work, a bounded part a turn: every page of the file and of its WAL is looked at by
 * itself, so that no damage above a batch can hide it. A batch is taken when its bytes have the
 * hash of its row, or the gateway's own signature. Polls of the journal that stand in such a batch
 * were sealed and leave the journal; nothing is sealed before that is known. */
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/store/rescue_int.h"

#define PART_PAGES 1024  /* a turn of the writer looks at so many pages, */
#define PART_BATCHES 16  /* or takes so many batches, */
#define PART_BYTES 65536 /* or so much, and one batch more */
#define SETS_KEPT 4
#define CITY_MS 30000 /* for the city to say where a chain stands that is lost here */

/* ---- open, close ---- */

static void rescue_free(struct store_rescue *r)
{
    if (!r)
        return;
    store_pages_close(r->pages);
    if (r->readable)
        store_db_close(&r->src);
    buf_done(&r->raw);
    free(r->sealed);
    free(r->path);
    free(r);
}

static enum st open_set(struct store *s, const char *stamp, struct err *e)
{
    struct store_rescue *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ST_MEMORY, "rescue: no memory");
    r->s = s;
    buf_init(&r->raw, WIRE_BATCH_MAX);
    (void)snprintf(r->stamp, sizeof r->stamp, "%s", stamp);
    r->path = store_aside_name(s->path, stamp, "");
    enum st st = r->path ? ST_OK : err_set(e, ST_MEMORY, "rescue: no memory");
    if (st == ST_OK) {
        r->readable = store_db_open(&r->src, r->path, true, NULL) == ST_OK;
        st = store_pages_open(&r->pages, r->path, e);
    }
    if (st == ST_OK)
        r->count = store_pages_count(r->pages);
    if (st == ST_OK)
        st = store_rescue_begin(r, e);
    if (st != ST_OK) {
        rescue_free(r);
        return st;
    }
    s->rescue = r;
    return ST_OK;
}

void store_rescue_close(struct store *s)
{
    rescue_free(s->rescue);
    s->rescue = NULL;
}

enum st store_rescue_open(struct store *s, struct err *e)
{
    char stamp[STORE_STAMP_BYTES] = "", after[STORE_STAMP_BYTES] = "";
    enum st st;
    /* All journals first: they are read once, at the start. Then one set after the other. */
    while ((st = store_aside_next(s->path, after, stamp, e)) == ST_OK) {
        store_rescue_close(s);
        ERR_TRY(open_set(s, stamp, e));
        memcpy(after, stamp, sizeof after);
    }
    store_rescue_close(s);
    if (st == ST_NOT_FOUND)
        st = store_aside_next(s->path, "", stamp, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    atomic_store(&s->rescued, true);
    return open_set(s, stamp, e);
}

/* ---- a part, and the end ---- */

static enum st scan_part(struct store_rescue *r, int64_t *at, struct err *e)
{
    int64_t end = *at + PART_PAGES;
    while (*at < r->count && *at < end && r->part.batches < PART_BATCHES &&
           r->part.bytes < PART_BYTES)
        ERR_TRY(store_pages_rows(r->pages, (*at)++, store_rescue_row, r, e));
    return ST_OK;
}

/* The journal without what rescued batches have: as if their seal had folded it. */
static enum st drop_sealed(struct store_rescue *r, struct err *e)
{
    struct store *s = r->s;
    size_t n = 0;
    for (size_t i = 0; i < r->nold; i++)
        n += r->sealed[i];
    if (n == 0 || s->epoch != r->epoch)
        return ST_OK;
    bool *use = calloc(s->nframes, sizeof *use);
    if (!use)
        return err_set(e, ST_MEMORY, "rescue: no memory");
    memcpy(use, r->sealed, r->nold * sizeof *use);
    enum st st = store_begin(s, 0, e);
    if (st == ST_OK)
        st = store_db_end(&s->db, store_journal_fold(s, use, e), e);
    if (st == ST_OK)
        store_frames_drop(s, use);
    free(use);
    return st;
}

static enum st write_end(struct store_rescue *r, int64_t *holes, struct err *e)
{
    struct store *s = r->s;
    char key[64];
    store_rescue_key(r, key, sizeof key);
    int64_t since_ms = store_aside_birth(s->path, r->stamp);
    int64_t keep_ms = clk_now(s->clk).utc_ms - s->cfg.keep_ms; /* what is older has mostly gone */
    if (since_ms && since_ms < keep_ms)
        since_ms = keep_ms;
    ERR_TRY(store_holes_find(s, r->readable ? &r->src : NULL, since_ms, holes, e));
    return store_meta_drop(s, key, e);
}

static void tell_end(struct store_rescue *r, int64_t holes)
{
    struct store *s = r->s;
    int64_t gone = 0;
    bool over = false;
    store_event(s, holes || r->sum.unreadable ? STORE_ERROR : STORE_WARNING, "rescue.end", r->path,
                "%lld batches with %lld readings are rescued; %lld could not be read, %lld of "
                "the city's were left for want of room; %lld times are lost and told as gaps",
                (long long)r->sum.batches, (long long)r->sum.readings, (long long)r->sum.unreadable,
                (long long)r->sum.skipped, (long long)holes);
    log_warn("%s: %lld batches with %lld readings are rescued, %lld could not be read", r->path,
             (long long)r->sum.batches, (long long)r->sum.readings, (long long)r->sum.unreadable);
    store_aside_trim(s->path, SETS_KEPT, s->cfg.max_size_bytes, &gone, &over);
    if (gone)
        store_event(s, STORE_WARNING, "rescue.trim", s->path,
                    "%lld older rescued sets of dated files were removed", (long long)gone);
    if (over)
        store_event(s, STORE_ERROR, "rescue.room", s->path,
                    "the dated files take much room: copy them away and remove them");
}

/* Whether any chain is known now. When none is, the city may know one. */
static enum st look_for_chain(struct store *s, struct err *e)
{
    struct store_chain c;
    enum st st = store_chain_last(s, &c, e);
    if (st != ST_NOT_FOUND)
        return st;
    s->blank = s->nup > 0;
    s->blank_until.ms = clk_mono(s->clk).ms + CITY_MS;
    return ST_OK;
}

static enum st finish(struct store_rescue *r, struct err *e)
{
    struct store *s = r->s;
    char stamp[STORE_STAMP_BYTES];
    int64_t holes = 0;
    ERR_TRY(drop_sealed(r, e));
    ERR_TRY(store_db_begin(&s->db, e));
    ERR_TRY(store_db_end(&s->db, write_end(r, &holes, e), e));
    ERR_TRY(store_aside_rescued(s->path, r->stamp, e));
    tell_end(r, holes);
    store_rescue_close(s);
    enum st st = store_aside_next(s->path, "", stamp, e);
    if (st == ST_OK)
        return open_set(s, stamp, e);
    return st == ST_NOT_FOUND ? look_for_chain(s, e) : st;
}

static void part_done(struct store_rescue *r)
{
    struct store *s = r->s;
    r->sum.batches += r->part.batches;
    r->sum.readings += r->part.readings;
    r->sum.unreadable += r->part.unreadable;
    r->sum.skipped += r->part.skipped;
    s->held.n += r->part.batches;
    s->held.bytes += r->part.bytes;
    for (uint32_t i = 0; i < s->nup; i++) {
        s->up[i].unsent.n += r->part_unsent[i].n;
        s->up[i].unsent.bytes += r->part_unsent[i].bytes;
    }
    store_stats_refresh(s);
    pthread_mutex_lock(&s->lock);
    s->seals += r->part.batches > 0;
    pthread_cond_broadcast(&s->sealed);
    pthread_mutex_unlock(&s->lock);
}

/* The frames as the start has read them: those of earlier runs stand first. */
static enum st note_frames(struct store_rescue *r, struct err *e)
{
    struct store *s = r->s;
    r->epoch = s->epoch;
    while (r->nold < s->nframes && memcmp(s->frames[r->nold].boot, s->boot, sizeof s->boot) != 0)
        r->nold++;
    r->sealed = calloc(r->nold + 1, sizeof *r->sealed);
    return r->sealed ? ST_OK : err_set(e, ST_MEMORY, "rescue: no memory");
}

enum st store_rescue_step(struct store *s, struct err *e)
{
    struct store_rescue *r = s->rescue;
    if (!r->sealed)
        ERR_TRY(note_frames(r, e));
    if (r->at >= r->count)
        return finish(r, e);
    int64_t at = r->at;
    r->part = (struct store_tally){0};
    memset(r->part_unsent, 0, sizeof r->part_unsent);
    ERR_TRY(store_begin(s, PART_BYTES, e));
    ERR_TRY(store_db_end(&s->db, scan_part(r, &at, e), e));
    r->at = at;
    part_done(r);
    return ST_OK;
}

/* ---- for seal ---- */

void store_key(struct store *s, const struct wire_pub *pub)
{
    s->pub = pub;
}

bool store_unsettled(struct store *s)
{
    s->blank = s->blank && clk_mono(s->clk).ms < s->blank_until.ms;
    return (s->rescue || s->blank) && !store_crowded(s);
}
