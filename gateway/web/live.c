/* GET /api/v1/live: what changes, as server-sent events (WHATWG HTML, 9.2).
 *
 * One thread looks at the board once a second while anybody watches, and sleeps without a time-out
 * while nobody does. What a viewer is to be sent waits in a buffer of its own with a ceiling; who
 * lets it fill up is hung up on. All of this is under one lock; the server's thread takes it for a
 * copy, the other threads of the gateway never. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/thr.h"
#include "gateway/web/web_int.h"

#define VIEWERS_MAX 8
#define TICK_MS 1000
#define BEAT_MS 5000
#define QUEUE_MAX (512 * 1024)
#define STATES_MAX (256 * 1024)
#define BOARD_STEP 32
#define DEVICE_BYTES 65

struct viewer {
    struct http_stream stream;
    struct web_live *live;
    bool used, fresh, all, none, asleep, dropped;
    char device[DEVICE_BYTES];
    struct buf queue;
    size_t sent;
    struct mono last;     /* when something was put */
    struct web_pass pass; /* the server's thread alone */
};
struct seen {
    uint32_t count;
    uint8_t missing; /* 1 + cause; 0: it is there */
    bool changed;
};
struct web_live {
    struct web *web;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    size_t watching;
    struct thr thread;
    struct viewer viewer[VIEWERS_MAX];
    struct seen *seen; /* of each series; only while anybody watches */
    uint64_t *device;  /* what was said of each, as a hash */
    uint64_t uplink[WEB_UPLINKS_MAX], store;
};

/* ---- events --------------------------------------------------------------------------------- */

static void drop(struct viewer *v)
{
    v->dropped = true;
    buf_done(&v->queue);
    v->sent = 0;
}

/* body: JSON without line breaks. */
static void put(struct viewer *v, const char *event, const struct buf *body, struct mono now)
{
    if (v->dropped)
        return;
    enum st st = buf_printf(&v->queue, "event: %s\ndata: ", event);
    if (st == ST_OK)
        st = buf_put(&v->queue, body->p, body->n);
    if (st == ST_OK)
        st = buf_put(&v->queue, "\n\n", 2);
    if (st != ST_OK)
        drop(v);
    v->last = now;
}

static void wake(struct viewer *v)
{
    if (v->asleep && (v->dropped || v->queue.n > v->sent)) {
        v->asleep = false;
        http_stream_wake(&v->stream);
    }
}

static void begin(struct web_json *j, struct buf *b, const struct web *w)
{
    b->n = 0;
    web_json_begin(j, b);
    web_json_open(j, NULL, '{');
    web_json_int(j, "now_ms", clk_now(w->clk).utc_ms);
}

static bool end(struct web_json *j)
{
    web_json_close(j, '}');
    return web_json_end(j) == ST_OK;
}

static void hello(struct viewer *v, struct buf *b, struct mono now)
{
    const struct web *w = v->live->web;
    struct web_json j;
    char boot[WIRE_ID_TEXT];
    wire_hex(store_boot(w->store), WIRE_ID_BYTES, boot);
    begin(&j, b, w);
    web_json_text(&j, "version", w->site.version);
    web_json_text(&j, "boot", boot);
    web_json_int(&j, "beat_ms", BEAT_MS);
    if (end(&j))
        put(v, "hello", b, now);
}

static void beat(struct viewer *v, struct buf *b, struct mono now)
{
    const struct web *w = v->live->web;
    struct web_json j;
    begin(&j, b, w);
    web_json_text(&j, "clock", web_grade_text[clk_now(w->clk).grade]);
    if (end(&j))
        put(v, "beat", b, now);
}

/* ---- readings ------------------------------------------------------------------------------- */

static void look_at_board(struct web_live *l)
{
    struct store *s = l->web->store;
    struct store_now board[BOARD_STEP];
    uint32_t count = store_series_count(s);
    for (uint32_t first = 0; first < count; first += BOARD_STEP) {
        uint32_t n = count - first < BOARD_STEP ? count - first : BOARD_STEP;
        store_board(s, first, n, board);
        for (uint32_t i = 0; i < n; i++) {
            struct seen *x = &l->seen[first + i];
            uint8_t missing = board[i].missing ? (uint8_t)(1 + board[i].cause) : 0;
            x->changed = x->count != (uint32_t)board[i].count || x->missing != missing;
            x->count = (uint32_t)board[i].count;
            x->missing = missing;
        }
    }
}

static void put_value(struct web_json *j, const char *point, const struct store_now *n,
                      struct mono now)
{
    bool read = n->count > 0;
    const struct num none = {.kind = NUM_NONE};
    web_json_open(j, NULL, '[');
    web_json_text(j, NULL, point);
    web_json_num(j, NULL, read ? n->v : none);
    web_json_num(j, NULL, read ? num_dec(n->t_ms, 0) : none);
    web_json_num(j, NULL,
                 read ? num_dec(now.ms > n->read_at.ms ? now.ms - n->read_at.ms : 0, 0) : none);
    web_json_num(j, NULL, read ? num_dec(n->q, 0) : none);
    web_json_text(j, NULL, n->missing ? store_cause_text[n->cause] : NULL);
    web_json_close(j, ']');
}

/* The series from `first` on that are of one device, those that changed; how many there are. */
static uint32_t put_readings_of(struct web_json *j, struct web_live *l, uint32_t first, bool all,
                                struct mono now, size_t *put_n)
{
    struct store *s = l->web->store;
    uint32_t device = store_series_at(s, first)->device, i = first;
    bool open = false;
    for (; i < store_series_count(s) && store_series_at(s, i)->device == device; i++) {
        struct store_now n;
        if (!all && !l->seen[i].changed)
            continue;
        if (!open)
            web_json_open(j, store_device_at(s, device)->id, '[');
        open = true;
        store_board(s, i, 1, &n);
        put_value(j, store_series_at(s, i)->point, &n, now);
        ++*put_n;
    }
    if (open)
        web_json_close(j, ']');
    return i - first;
}

static void readings(struct viewer *v, struct buf *b, struct mono now)
{
    struct web_live *l = v->live;
    struct store *s = l->web->store;
    struct web_json j;
    size_t n = 0;
    if (v->none)
        return;
    begin(&j, b, l->web);
    web_json_open(&j, "devices", '{');
    for (uint32_t i = 0; i < store_series_count(s);) {
        uint32_t device = store_series_at(s, i)->device;
        bool wanted = v->all || strcmp(store_device_at(s, device)->id, v->device) == 0;
        if (wanted)
            i += put_readings_of(&j, l, i, v->fresh, now, &n);
        else
            i++;
    }
    web_json_close(&j, '}');
    bool good = end(&j);
    if (!good)
        drop(v);
    else if (n > 0)
        put(v, "readings", b, now);
}

/* ---- states --------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t h, const void *p, size_t n)
{
    const uint8_t *c = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ c[i]) * UINT64_C(1099511628211);
    return h;
}
#define HASH_BEGIN UINT64_C(14695981039346656037)

/* Whether it is another than before; remembers it. */
static bool is_news(uint64_t *was, uint64_t now)
{
    bool news = *was != now;
    *was = now;
    return news;
}

static bool put_devices(struct web_json *j, struct web_live *l, bool all)
{
    struct store *s = l->web->store;
    bool any = false;
    web_json_open(j, "devices", '[');
    for (uint32_t i = 0; i < store_device_count(s); i++) {
        struct store_health h;
        store_health_get(s, i, &h);
        uint64_t x = hash(HASH_BEGIN, &h.state, sizeof h.state);
        x = hash(x, h.text, strlen(h.text));
        if (!is_news(&l->device[i], hash(x, &h.since_ms, sizeof h.since_ms)) && !all)
            continue;
        any = true;
        web_json_open(j, NULL, '{');
        web_json_text(j, "id", store_device_at(s, i)->id);
        web_json_text(j, "state", web_state_text[h.state]);
        web_json_text(j, "text", h.text);
        web_json_int(j, "since_ms", h.since_ms);
        web_json_close(j, '}');
    }
    web_json_close(j, ']');
    return any;
}

static bool put_uplinks(struct web_json *j, struct web_live *l, bool all)
{
    struct web_uplink up[WEB_UPLINKS_MAX];
    size_t n = web_uplinks(l->web, up);
    bool any = false;
    web_json_open(j, "uplinks", '[');
    for (size_t i = 0; i < n; i++) {
        uint64_t x = hash(HASH_BEGIN, &up[i].online, sizeof up[i].online);
        x = hash(x, up[i].text, strlen(up[i].text));
        if (!is_news(&l->uplink[i], hash(x, &up[i].last_ok_ms, sizeof up[i].last_ok_ms)) && !all)
            continue;
        any = true;
        web_json_open(j, NULL, '{');
        web_json_text(j, "id", up[i].id);
        web_json_bool(j, "online", up[i].online);
        web_json_text(j, "text", up[i].text);
        web_json_int(j, "last_ok_ms", up[i].last_ok_ms);
        web_json_close(j, '}');
    }
    web_json_close(j, ']');
    return any;
}

static bool put_store(struct web_json *j, struct web_live *l)
{
    struct store_stats t;
    store_stats(l->web->store, &t);
    web_json_open(j, "store", '{');
    web_json_text(j, "fault", t.fault);
    web_json_int(j, "batches_unsent", t.batches_unsent);
    web_json_close(j, '}');
    uint64_t x = hash(HASH_BEGIN, t.fault, strlen(t.fault));
    return is_news(&l->store, hash(x, &t.batches_unsent, sizeof t.batches_unsent));
}

/* The same for all viewers; false: nothing changed. */
static bool states(struct web_live *l, struct buf *b, bool all)
{
    struct web_json j;
    begin(&j, b, l->web);
    bool any = put_devices(&j, l, all);
    any |= put_uplinks(&j, l, all);
    any |= put_store(&j, l);
    return end(&j) && (any || all);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void tell_all(struct web_live *l, const char *event, const struct buf *body, bool fresh,
                     struct mono now)
{
    for (size_t i = 0; i < VIEWERS_MAX; i++)
        if (l->viewer[i].used && l->viewer[i].fresh == fresh)
            put(&l->viewer[i], event, body, now);
}

/* What changed goes to those who were there; all of it to those who have just come. */
static void look(struct web_live *l)
{
    struct mono now = clk_mono(l->web->clk);
    struct buf b;
    bool any_fresh = false;
    buf_init(&b, QUEUE_MAX > STATES_MAX ? QUEUE_MAX : STATES_MAX);
    look_at_board(l);
    for (size_t i = 0; i < VIEWERS_MAX; i++)
        if (l->viewer[i].used && l->viewer[i].fresh) {
            any_fresh = true;
            hello(&l->viewer[i], &b, now);
        }
    if (states(l, &b, false))
        tell_all(l, "states", &b, false, now);
    if (any_fresh && states(l, &b, true))
        tell_all(l, "states", &b, true, now);
    for (size_t i = 0; i < VIEWERS_MAX; i++) {
        struct viewer *v = &l->viewer[i];
        if (!v->used)
            continue;
        readings(v, &b, now);
        v->fresh = false;
        if (now.ms - v->last.ms >= BEAT_MS)
            beat(v, &b, now);
        if (v->asleep && http_stream_gone(&v->stream)) /* no beat later: it has a place of few */
            drop(v);
        wake(v);
    }
    buf_done(&b);
}

static bool make_room(struct web_live *l)
{
    if (!l->seen)
        l->seen = calloc(store_series_count(l->web->store) + 1U, sizeof *l->seen);
    if (!l->device)
        l->device = calloc(store_device_count(l->web->store) + 1U, sizeof *l->device);
    return l->seen && l->device;
}

static void give_back(struct web_live *l)
{
    free(l->seen);
    free(l->device);
    l->seen = NULL;
    l->device = NULL;
}

static void live_main(void *live)
{
    struct web_live *l = live;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->watching == 0) { /* nobody: no time-out, and no memory */
            give_back(l);
            pthread_cond_wait(&l->wake, &l->lock);
            continue;
        }
        if (make_room(l))
            look(l);
        (void)thr_cond_wait(&l->wake, &l->lock, TICK_MS);
    }
    pthread_mutex_unlock(&l->lock);
}

/* ---- a viewer, on the server's thread ------------------------------------------------------- */

static int64_t fill(void *ctx, char *to, size_t max)
{
    struct viewer *v = ctx;
    if (!web_pass_holds(v->live->web, &v->pass)) /* asked once a beat, for that wakes him */
        return -1;
    pthread_mutex_lock(&v->live->lock);
    size_t n = v->queue.n - v->sent;
    n = n < max ? n : max;
    if (n > 0)
        memcpy(to, v->queue.p + v->sent, n);
    v->sent += n;
    if (n > 0 && v->sent == v->queue.n) { /* what a burst took is given back */
        buf_done(&v->queue);
        buf_init(&v->queue, QUEUE_MAX);
        v->sent = 0;
    }
    v->asleep = n == 0;
    bool over = v->dropped || v->live->stop;
    pthread_mutex_unlock(&v->live->lock);
    return over ? -1 : (int64_t)n;
}

static void closed(void *ctx)
{
    struct viewer *v = ctx;
    pthread_mutex_lock(&v->live->lock);
    v->live->watching--;
    buf_done(&v->queue);
    v->used = false;
    pthread_mutex_unlock(&v->live->lock);
}

static struct viewer *take(struct web_live *l, const char *device, const struct web_pass *pass)
{
    struct viewer *v = NULL;
    for (size_t i = 0; i < VIEWERS_MAX && !v; i++)
        if (!l->viewer[i].used)
            v = &l->viewer[i];
    if (!v || l->stop)
        return NULL;
    *v = (struct viewer){.stream = {.fill = fill, .closed = closed, .ctx = v},
                         .live = l,
                         .used = true,
                         .fresh = true,
                         .pass = *pass,
                         .all = device && strcmp(device, "all") == 0,
                         .none = !device};
    if (device)
        (void)strncpy(v->device, device, sizeof v->device - 1);
    buf_init(&v->queue, QUEUE_MAX);
    l->watching++;
    pthread_cond_signal(&l->wake);
    return v;
}

void web_api_live(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const char *device = http_query(q, "device");
    struct web_who who;
    if (!web_allows(w, q, &who, a))
        return;
    pthread_mutex_lock(&w->live->lock);
    struct viewer *v = take(w->live, device, &who.pass);
    pthread_mutex_unlock(&w->live->lock);
    if (!v) {
        web_refuse(a, WEB_NO_ROOM, "%d watch already: close a page, or try again later",
                   VIEWERS_MAX);
        http_answer_header(a, "Retry-After", "5");
        return;
    }
    a->status = 200;
    a->content_type = "text/event-stream";
    a->stream = &v->stream;
    http_answer_header(a, "Cache-Control", "no-store");
}

/* ---- the room's ----------------------------------------------------------------------------- */

enum st web_live_open(struct web_live **out, struct web *w, struct err *e)
{
    struct web_live *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l)
        return err_set(e, ST_MEMORY, "web: no memory");
    l->web = w;
    pthread_mutex_init(&l->lock, NULL);
    thr_cond_init(&l->wake);
    enum st st = thr_start(&l->thread, "live", live_main, l, e);
    if (st == ST_OK)
        *out = l;
    else
        web_live_close(l);
    return st;
}

void web_live_stop(struct web_live *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    thr_join(&l->thread);
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < VIEWERS_MAX; i++)
        if (l->viewer[i].used && l->viewer[i].asleep) {
            l->viewer[i].asleep = false;
            http_stream_wake(&l->viewer[i].stream);
        }
    pthread_mutex_unlock(&l->lock);
}

void web_live_close(struct web_live *l)
{
    if (!l)
        return;
    give_back(l);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
