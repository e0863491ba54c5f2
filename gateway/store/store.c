#include "gateway/base/drop.h"
#include "gateway/store/damage.h"
#include "gateway/store/rollup_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const struct cfg_field fields[] = {
    {.key = "path",
     .kind = CFG_STRING,
     .offset = offsetof(struct store_cfg, path),
     .required = true,
     .help = "the SQLite file that holds readings, batches and events"},
    {.key = "max_size",
     .kind = CFG_SIZE,
     .offset = offsetof(struct store_cfg, max_size_bytes),
     .dflt = "2GiB",
     .min = 16.0 * 1024 * 1024,
     .max = 1024.0 * 1024 * 1024 * 1024,
     .help = "what database, WAL and journal may take together"},
    {.key = "keep",
     .kind = CFG_TIME,
     .offset = offsetof(struct store_cfg, keep_ms),
     .dflt = "60d",
     .min = 3600e3,
     .max = 3650.0 * 86400e3,
     .help = "how long acknowledged batches stay as local history"},
    {.key = "keep_rollups",
     .kind = CFG_TIME,
     .offset = offsetof(struct store_cfg, keep_rollups_ms),
     .dflt = "3650d",
     .min = 86400e3,
     .max = 36500.0 * 86400e3,
     .help = "how long 15 min and 1 day rollups stay for charts"},
    {.key = "journal_every",
     .kind = CFG_TIME,
     .offset = offsetof(struct store_cfg, journal_every_ms),
     .dflt = "10s",
     .min = 100,
     .max = 3600e3,
     .help = "what a power cut may cost at most"},
    {.key = NULL}};
const struct cfg_table store_cfg_table = {sizeof(struct store_cfg), fields};

const char *const store_cause_text[STORE_CAUSES] = {
    [STORE_OFF] = "off",         [STORE_BUS] = "bus",         [STORE_DEVICE] = "device",
    [STORE_OVERRUN] = "overrun", [STORE_QUEUE] = "queue",     [STORE_PAUSED] = "paused",
    [STORE_STORAGE] = "storage", [STORE_THINNED] = "thinned",
};

/* Address space that costs memory only where it is touched. */
static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void unreserve(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

static enum st allocate(struct store *s, struct err *e)
{
    s->in = reserve(STORE_QUEUE_BYTES);
    s->out = reserve(STORE_QUEUE_BYTES);
    s->frames = reserve(STORE_FRAMES * sizeof *s->frames);
    s->senml = (struct buf){reserve(STORE_SENML_BYTES + STORE_SENML_MORE), 0, STORE_SENML_BYTES,
                            STORE_SENML_BYTES};
    s->index = reserve(STORE_INDICES * sizeof *s->index);
    if (!s->in || !s->out || !s->frames || !s->senml.p || !s->index)
        return err_set(e, ST_MEMORY, "store %s: no memory", s->path);
    return ST_OK;
}

/* What needs no file: store_close takes it, however far it got. */
static enum st begin(struct store **out, const char *path, const char *gateway,
                     const struct clk *clk, struct err *e)
{
    struct store *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return err_set(e, ST_MEMORY, "store %s: no memory", path);
    s->clk = clk;
    s->db.lock = -1;
    s->jfile.fd = -1;
    pthread_mutex_init(&s->board_lock, NULL);
    pthread_mutex_init(&s->lock, NULL);
    int bad = thr_cond_init(&s->work);
    bad |= thr_cond_init(&s->room);
    bad |= thr_cond_init(&s->called);
    bad |= thr_cond_init(&s->sealed);
    s->path = strdup(path);
    s->gateway = strdup(gateway);
    return bad || !s->path || !s->gateway ? err_set(e, ST_MEMORY, "store %s: no memory", path)
                                          : ST_OK;
}

enum st store_open_declared(struct store **out, const char *gateway, struct err *e)
{
    struct store *s = NULL;
    enum st st = begin(&s, "", gateway, NULL, e);
    if (st != ST_OK) {
        store_close(s);
        s = NULL;
    }
    *out = s;
    return st;
}

enum st store_open(struct store **out, const struct store_cfg *cfg, const char *gateway,
                   const struct clk *clk, struct err *e)
{
    struct store *s = NULL;
    enum st st = begin(&s, cfg->path, gateway, clk, e);
    if (st == ST_OK) {
        s->cfg = *cfg;
        s->cfg.path = s->path;
        if (asprintf(&s->reserve_path, "%s.reserve", cfg->path) < 0) {
            s->reserve_path = NULL;
            st = err_set(e, ST_MEMORY, "store %s: no memory", cfg->path);
        }
    }
    if (st == ST_OK)
        st = allocate(s, e);
    if (st == ST_OK)
        st = wire_random(s->boot, sizeof s->boot, e);
    if (st == ST_OK)
        st = store_whole_open(s, e);
    if (st == ST_OK)
        st = store_jfile_open(&s->jfile, s->path, false, e);
    if (st == ST_OK && cfg->max_size_bytes / 100 * STORE_JFILE_PERCENT < s->jfile.max)
        s->jfile.max = cfg->max_size_bytes / 100 * STORE_JFILE_PERCENT;
    if (st == ST_OK)
        st = store_reserve_open(s, e);
    if (st != ST_OK) {
        store_close(s);
        return st;
    }
    s->db.suspect = &s->suspect;
    *out = s;
    return ST_OK;
}

static void device_done(struct store_dev *d)
{
    for (uint32_t i = 0; i < d->d.nwas; i++) {
        free((char *)(uintptr_t)d->d.was[i].stream);
        free((char *)(uintptr_t)d->d.was[i].role);
        free((char *)(uintptr_t)d->d.was[i].place);
    }
    free((void *)(uintptr_t)d->d.was);
    const char *texts[] = {d->d.id,     d->d.name,   d->d.place,   d->d.stream, d->d.role,
                           d->d.serial, d->d.source, d->d.address, d->d.model,  d->base};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free((char *)(uintptr_t)texts[i]);
    free(d->findings);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    store_rollup_close(s);
    store_rescue_close(s);
    store_db_close(&s->db);
    store_jfile_close(&s->jfile);
    for (uint32_t i = 0; i < s->nparked; i++)
        free(s->parked[i].receipt);
    for (uint32_t i = 0; i < s->ndev; i++)
        device_done(&s->dev[i]);
    for (struct store_point *p = s->points; p; p = s->points) {
        s->points = p->next;
        free(p);
    }
    for (uint32_t i = 0; i < s->nup; i++)
        free(s->up[i].id);
    for (uint32_t i = 0; i < s->nser; i++)
        free((void *)(uintptr_t)s->ser[i].s.manual);
    free(s->dev);
    free(s->ser);
    free(s->lost);
    free(s->lost_out);
    unreserve(s->in, STORE_QUEUE_BYTES);
    unreserve(s->out, STORE_QUEUE_BYTES);
    unreserve(s->frames, STORE_FRAMES * sizeof *s->frames);
    unreserve(s->senml.p, STORE_SENML_BYTES + STORE_SENML_MORE);
    unreserve(s->index, STORE_INDICES * sizeof *s->index);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->room);
    pthread_cond_destroy(&s->called);
    pthread_cond_destroy(&s->sealed);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->board_lock);
    free(s->path);
    free(s->reserve_path);
    free(s->gateway);
    free(s);
}

/* Room for one more item in an array that doubles. */
static void *grow(void *items, uint32_t n, size_t size)
{
    if (n && (n & (n - 1)))
        return items; /* room is left */
    return realloc(items, (n ? 2 * (size_t)n : 1) * size);
}

static bool copy_text(const char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static bool was_copy(struct store_dev *to, const struct store_device *d)
{
    struct store_was *w = d->nwas ? calloc(d->nwas, sizeof *w) : NULL;
    bool ok = w || d->nwas == 0;
    to->d.was = w;
    to->d.nwas = w ? d->nwas : 0;
    for (uint32_t i = 0; i < to->d.nwas; i++) {
        w[i] = (struct store_was){.until_day = d->was[i].until_day, .capacity = d->was[i].capacity};
        ok = copy_text(&w[i].stream, d->was[i].stream) && ok;
        ok = copy_text(&w[i].role, d->was[i].role) && ok;
        ok = copy_text(&w[i].place, d->was[i].place) && ok;
    }
    return ok;
}

static bool device_copy(struct store_dev *to, const struct store_device *d, const char *gateway)
{
    memset(to, 0, sizeof *to);
    to->d.period_ms = d->period_ms;
    to->d.legal = d->legal;
    to->d.learned = d->learned;
    bool ok = copy_text(&to->d.id, d->id);
    ok = copy_text(&to->d.name, d->name) && ok;
    ok = copy_text(&to->d.place, d->place) && ok;
    ok = copy_text(&to->d.stream, d->stream) && ok;
    ok = copy_text(&to->d.role, d->role) && ok;
    ok = copy_text(&to->d.serial, d->serial) && ok;
    ok = copy_text(&to->d.source, d->source) && ok;
    ok = copy_text(&to->d.address, d->address) && ok;
    ok = copy_text(&to->d.model, d->model) && ok;
    to->d.capacity = d->capacity;
    ok = was_copy(to, d) && ok;
    return asprintf(&to->base, "%s/%s/", gateway, d->id) > 0 && ok;
}

enum st store_add_device(struct store *s, const struct store_device *d, uint32_t *index,
                         struct err *e)
{
    for (uint32_t i = 0; i < s->ndev; i++)
        if (strcmp(s->dev[i].d.id, d->id) == 0)
            return err_set(e, ST_CONFLICT, "device %s: the id is used twice", d->id);
    void *p = grow(s->dev, s->ndev, sizeof *s->dev);
    if (!p)
        return err_set(e, ST_MEMORY, "device %s: no memory", d->id);
    s->dev = p;
    struct store_dev *to = &s->dev[s->ndev];
    if (!device_copy(to, d, s->gateway)) {
        device_done(to);
        return err_set(e, ST_MEMORY, "device %s: no memory", d->id);
    }
    to->first = s->nser;
    *index = s->ndev++;
    return ST_OK;
}

static bool same_unit(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The point of this name and unit, made when there is none yet. */
static enum st point_of(struct store *s, const char *name, const char *unit,
                        const struct store_point **out, struct err *e)
{
    for (*out = s->points; *out; *out = (*out)->next)
        if (strcmp((*out)->name, name) == 0 && same_unit((*out)->unit, unit))
            return ST_OK;
    size_t n = strlen(name) + 1;
    struct store_point *p = calloc(1, sizeof *p + n);
    if (!p)
        return err_set(e, ST_MEMORY, "series %s: no memory", name);
    enum st st = wire_point_init(&p->wire, name, unit, e);
    if (st != ST_OK) {
        free(p);
        return st;
    }
    memcpy(p->name, name, n);
    p->unit = unit;
    p->next = s->points;
    *out = s->points = p;
    return ST_OK;
}

enum st store_add_series(struct store *s, const struct store_series *d, uint32_t *index,
                         struct err *e)
{
    if (s->ndev == 0 || d->device != s->ndev - 1)
        return err_set(e, ST_BAD, "series %s: added after another device's", d->point);
    struct store_dev *dev = &s->dev[d->device];
    for (uint32_t i = dev->first; i < s->nser; i++)
        if (strcmp(s->ser[i].s.point, d->point) == 0)
            return err_set(e, ST_CONFLICT, "device %s: two points are called %s", dev->d.id,
                           d->point);
    void *p = grow(s->ser, s->nser, sizeof *s->ser);
    if (!p)
        return err_set(e, ST_MEMORY, "series %s: no memory", d->point);
    s->ser = p;
    struct store_ser *to = &s->ser[s->nser];
    memset(to, 0, sizeof *to);
    enum st st = point_of(s, d->point, d->quantity->unit, &to->point, e);
    if (st != ST_OK)
        return st;
    struct store_limits *manual = d->manual ? malloc(sizeof *manual) : NULL;
    if (d->manual && !manual)
        return err_set(e, ST_MEMORY, "series %s: no memory", d->point);
    if (manual)
        *manual = *d->manual;
    to->s = *d;
    to->s.point = to->point->name;
    to->s.manual = manual;
    dev->n++;
    *index = s->nser++;
    return ST_OK;
}

const char *store_gateway(const struct store *s)
{
    return s->gateway;
}

enum st store_add_uplink(struct store *s, const char *id, bool required, uint32_t *index,
                         struct err *e)
{
    if (s->nup == STORE_UPLINKS)
        return err_set(e, ST_FULL, "uplink %s: at most %d uplinks", id, STORE_UPLINKS);
    s->up[s->nup].id = strdup(id);
    if (!s->up[s->nup].id)
        return err_set(e, ST_MEMORY, "uplink %s: no memory", id);
    s->up[s->nup].required = required;
    *index = s->nup++;
    return ST_OK;
}

enum st store_start(struct store *s, struct err *e)
{
    s->lost = calloc(s->ndev ? s->ndev : 1, sizeof *s->lost);
    s->lost_out = calloc(s->ndev ? s->ndev : 1, sizeof *s->lost_out);
    if (!s->lost || !s->lost_out)
        return err_set(e, ST_MEMORY, "store %s: no memory", s->path);
    s->journal_due.ms = INT64_MAX;
    s->events_due.ms = clk_mono(s->clk).ms + s->cfg.journal_every_ms;
    drop_clean_at(s->path, STORE_REQUESTS);
    drop_clean_at(s->path, STORE_TOLD);
    ERR_TRY(store_epoch_get(s, e));
    ERR_TRY(store_rescue_open(s, e));
    ERR_TRY(store_journal_read(s, e));
    if (s->storage_lost)
        store_event(s, STORE_ERROR, "journal.lost", s->path,
                    "%s was gone; what had not been sealed is lost", s->jfile.path);
    s->storage_lost = s->storage_lost || s->jfile.damaged;
    if (s->jfile.damaged)
        store_event(s, STORE_ERROR, "journal.damaged", s->path,
                    "%lld bytes in the middle of %s could not be read; what stands behind them was",
                    (long long)s->jfile.damaged, s->jfile.path);
    ERR_TRY(store_count(s, e));
    ERR_TRY(store_follows_take(s, e));
    ERR_TRY(store_beside_take(s, e));
    ERR_TRY(store_figures_start(s, e));
    ERR_TRY(store_rollup_open(s, e));
    ERR_TRY(store_calibrate(s, e));
    store_stats_refresh(s);
    sqlite3_busy_timeout(s->db.h, STORE_BUSY_MS);
    return ST_OK;
}

uint32_t store_device_count(const struct store *s)
{
    return s->ndev;
}

uint32_t store_series_count(const struct store *s)
{
    return s->nser;
}

const struct store_device *store_device_at(const struct store *s, uint32_t i)
{
    return &s->dev[i].d;
}

const struct store_series *store_series_at(const struct store *s, uint32_t i)
{
    return &s->ser[i].s;
}

const char *store_path(const struct store *s)
{
    return s->path;
}

const uint8_t *store_boot(const struct store *s)
{
    return s->boot;
}

void store_board(struct store *s, uint32_t first, uint32_t n, struct store_now *out)
{
    pthread_mutex_lock(&s->board_lock);
    for (uint32_t i = 0; i < n; i++)
        out[i] = s->ser[first + i].now;
    pthread_mutex_unlock(&s->board_lock);
}

void store_health_set(struct store *s, uint32_t device, const struct store_health *h)
{
    pthread_mutex_lock(&s->board_lock);
    s->dev[device].health = *h;
    pthread_mutex_unlock(&s->board_lock);
}

void store_health_get(struct store *s, uint32_t device, struct store_health *out)
{
    pthread_mutex_lock(&s->board_lock);
    *out = s->dev[device].health;
    pthread_mutex_unlock(&s->board_lock);
}

int64_t store_file_bytes(const char *path, const char *suffix)
{
    char name[4096];
    struct stat sb;
    if (snprintf(name, sizeof name, "%s%s", path, suffix) >= (int)sizeof name ||
        stat(name, &sb) != 0)
        return 0;
    return sb.st_size;
}

void store_stats(struct store *s, struct store_stats *out)
{
    pthread_mutex_lock(&s->lock);
    int64_t polls = s->polls_queued, dropped = (int64_t)s->polls_dropped;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&s->board_lock);
    *out = s->stats;
    pthread_mutex_unlock(&s->board_lock);
    out->queue_polls = polls;
    out->queue_dropped = dropped;
    out->db_bytes = store_file_bytes(s->path, "") + store_file_bytes(s->path, "-wal") +
                    store_file_bytes(s->path, ".journal") + store_file_bytes(s->path, ".reserve");
    store_aside_sum(s->path, &out->aside_sets, &out->aside_bytes);
}
