/* From the words of a command line or a form to the entry that the chain is to have: the one place
 * that knows which words belong together. */
#include "gateway/store/store_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD(of, which, ...)                                                                       \
    {                                                                                              \
        .name = #of, .offset = offsetof(struct store_ask, of), .kinds = (which), __VA_ARGS__       \
    }
#define CORRECT (1U << STORE_CORRECT)
#define MAINTAIN (1U << STORE_MAINTAIN)
#define RETIRE (1U << STORE_RETIRE)
#define ENTER (1U << STORE_ENTER)
const struct store_ask_word store_ask_words[] = {WORD(series, CORRECT | MAINTAIN | RETIRE | ENTER),
                                                 WORD(from, CORRECT | MAINTAIN, .number = true),
                                                 WORD(to, CORRECT | MAINTAIN, .number = true),
                                                 WORD(at, RETIRE | ENTER, .number = true),
                                                 WORD(change, CORRECT),
                                                 WORD(scale, CORRECT, .number = true),
                                                 WORD(offset, CORRECT, .number = true),
                                                 WORD(target, CORRECT),
                                                 WORD(id, CORRECT),
                                                 WORD(undo, CORRECT),
                                                 WORD(work, MAINTAIN),
                                                 WORD(reason, CORRECT | RETIRE),
                                                 WORD(value, ENTER, .number = true),
                                                 WORD(unit, ENTER),
                                                 WORD(note, ENTER),
                                                 WORD(force, ENTER, .flag = true),
                                                 WORD(by, CORRECT | MAINTAIN | RETIRE | ENTER),
                                                 {.name = NULL}};

const struct store_ask_word *store_ask_word_of(enum store_ask_kind kind, const char *name)
{
    for (const struct store_ask_word *w = store_ask_words; w->name; w++)
        if ((w->kinds >> kind & 1) && strcmp(w->name, name) == 0)
            return w;
    return NULL;
}

const char **store_ask_at(struct store_ask *a, const struct store_ask_word *w)
{
    return (const char **)(void *)((char *)a + w->offset);
}

static const char *said(const struct store_ask *a, const struct store_ask_word *w)
{
    return *(const char *const *)(const void *)((const char *)a + w->offset);
}

#define UNREADABLE "the store cannot be read now: try again"

/* ---- which words belong together ---- */

#define NEED_MAX 4
struct form {
    const char *need[NEED_MAX + 1], *may[NEED_MAX + 1]; /* beside `by` */
};

static bool is_in(const char *const *list, const char *word)
{
    while (*list && strcmp(*list, word) != 0)
        list++;
    return *list != NULL;
}

/* All of `need` and `also`, none but these and `may`. */
static enum st fits(const struct store_ask *a, const struct form *f, const struct form *also,
                    const char *what, struct err *e)
{
    for (const struct store_ask_word *w = store_ask_words; w->name; w++) {
        const char *text = said(a, w);
        bool needed = is_in(f->need, w->name) || (also && is_in(also->need, w->name));
        bool may = is_in(f->may, w->name) || (also && is_in(also->may, w->name));
        if (needed && (!text || !text[0]))
            return err_set(e, ST_BAD, "%s: %s is needed", what, w->name);
        if (text && !needed && !may && strcmp(w->name, "by") != 0)
            return err_set(e, ST_BAD, "%s: %s does not belong there", what, w->name);
    }
    return ST_OK;
}

static enum st time_of(const char *name, const char *text, int64_t *ms, struct err *e)
{
    return clk_parse(text, ms)
               ? ST_OK
               : err_set(e, ST_BAD, "%s: \"%s\" is not a time such as 2026-11-22T03:05:10Z", name,
                         text);
}

static enum st decimal_of(const char *name, const char *text, struct num *v, struct err *e)
{
    return num_parse(text, v) && v->kind == NUM_DEC
               ? ST_OK
               : err_set(e, ST_BAD, "%s: \"%s\" is not a decimal number such as -0.5", name, text);
}

/* ---- correct ---- */

static const struct form undone = {{"undo", "reason"}, {NULL}};
static const struct form corrected = {{"series", "from", "to"}, {"id"}};
static const struct form changes[WIRE_CHANGES] = {
    [WIRE_INVALIDATE] = {{"change", "reason"}, {NULL}},
    [WIRE_RESCALE] = {{"change", "reason", "scale"}, {"offset"}},
    [WIRE_REASSIGN] = {{"change", "reason", "target"}, {NULL}}};

/* Its place among the words; where the list ends when it is none of them, or NULL. */
static size_t place_of(const char *const *words, const char *word)
{
    size_t i = 0;
    while (words[i] && (!word || strcmp(words[i], word) != 0))
        i++;
    return i;
}

static enum st fix_of(const struct store_ask *a, struct wire_fix *f, struct err *e)
{
    size_t k = place_of(wire_changes, a->change);
    if (k == WIRE_CHANGES)
        return err_set(e, ST_BAD, "change: invalidate, rescale or reassign is needed");
    ERR_TRY(fits(a, &corrected, &changes[k], wire_changes[k], e));
    *f = (struct wire_fix){.what = (enum wire_change)k, .offset = num_dec(0, 0)};
    if (a->scale)
        ERR_TRY(decimal_of("scale", a->scale, &f->scale, e));
    if (a->offset)
        ERR_TRY(decimal_of("offset", a->offset, &f->offset, e));
    if (a->target &&
        snprintf(f->target, sizeof f->target, "%s", a->target) >= (int)sizeof f->target)
        return err_set(e, ST_BAD, "target: a series is device/point");
    return ST_OK;
}

/* The correction that was a mistake is replaced by one that changes nothing. */
static enum st undo(const struct store_ask *a, struct store_reader *r, struct store_said *s,
                    struct wire_fix *f, struct err *e)
{
    ERR_TRY(fits(a, &undone, NULL, "undo", e));
    *f = (struct wire_fix){.what = WIRE_RESCALE, .scale = num_dec(1, 0), .offset = num_dec(0, 0)};
    if (!r)
        return err_set(e, ST_IO, UNREADABLE);
    enum st st = store_correction_find(r, a->undo, s, e);
    return st == ST_NOT_FOUND
               ? err_set(e, st, "no correction %s is in force here: see the answer that had its id",
                         a->undo)
               : st;
}

static enum st put_correct(struct store_request *q, const struct store_ask *a,
                           struct store_reader *r, struct buf *entry, struct err *e)
{
    struct store_said s = {.from_ms = 0};
    struct wire_fix f;
    const char *id = a->undo ? a->undo : a->id ? a->id : q->hex;
    if (a->undo) {
        ERR_TRY(undo(a, r, &s, &f, e));
    } else {
        ERR_TRY(fix_of(a, &f, e));
        ERR_TRY(time_of("from", a->from, &s.from_ms, e));
        ERR_TRY(time_of("to", a->to, &s.to_ms, e));
        if (snprintf(s.series, sizeof s.series, "%s", a->series) >= (int)sizeof s.series)
            s.series[0] = '\0'; /* no series has such a name */
    }
    int n = snprintf(q->correction, sizeof q->correction, "%s", id);
    if (n <= 0 || (size_t)n >= sizeof q->correction)
        return err_set(e, ST_BAD, "id: 1 to %zu bytes", sizeof q->correction - 1);
    enum st st = wire_put_correct(entry, id, s.series, s.from_ms, s.to_ms, &f, a->reason, q->who);
    return st == ST_BAD
               ? err_set(e, st, "series and target are device/point, and from lies before to")
               : st;
}

/* ---- maintain ---- */

static const struct work {
    struct form form;
    bool device;            /* takes device/STAR */
    const char *details[2]; /* needed */
    bool numbers;           /* they are */
} works[WIRE_WORKS] = {
    [WIRE_CALIBRATION] = {{{"series", "work"}, {"from", "to"}}, true, {NULL}, false},
    [WIRE_SWAP] = {{{"series", "work", "from"}, {NULL}}, true, {"old_serial", "new_serial"}, false},
    [WIRE_METER] = {{{"series", "work", "from"}, {NULL}}, false, {"last", "first"}, true}};
#define DETAIL_MAX 256
#define DETAIL_KEY_MAX 31

static enum st is_detail(const struct store_ask_detail *d, struct err *e)
{
    size_t n = strlen(d->key), v = strlen(d->value);
    size_t good = strspn(d->key, "abcdefghijklmnopqrstuvwxyz_");
    if (n == 0 || n > DETAIL_KEY_MAX || good != n)
        return err_set(e, ST_BAD, "\"%.40s\": a key has 1 to %d small letters and _", d->key,
                       DETAIL_KEY_MAX);
    if (v == 0 || v > DETAIL_MAX)
        return err_set(e, ST_BAD, "%s: a text of 1 to %d bytes", d->key, DETAIL_MAX);
    return strcmp(d->key, "by") == 0 ? err_set(e, ST_BAD, "by: is no detail") : ST_OK;
}

/* In the order of the encoding: the shorter key first. */
static int by_key(const void *a, const void *b)
{
    const struct store_ask_detail *x = a, *y = b;
    size_t n = strlen(x->key), m = strlen(y->key);
    return n != m ? (n < m ? -1 : 1) : strcmp(x->key, y->key);
}

static bool is_needed(const struct work *w, const char *key)
{
    for (size_t i = 0; i < 2; i++)
        if (w->details[i] && strcmp(w->details[i], key) == 0)
            return true;
    return false;
}

static enum st put_detail(struct buf *map, const struct work *w, const struct store_ask_detail *d,
                          struct err *e)
{
    struct num v;
    ERR_TRY(wire_put_text(map, d->key));
    if (!w->numbers || !is_needed(w, d->key))
        return wire_put_text(map, d->value);
    ERR_TRY(decimal_of(d->key, d->value, &v, e));
    return wire_put_exact(map, v);
}

/* The details and who says so. */
static enum st put_map(const struct store_request *q, const struct store_ask *a,
                       const struct work *w, struct buf *map, struct err *e)
{
    struct store_ask_detail d[STORE_ASK_DETAILS + 1];
    size_t n = a->details, needed = 0;
    for (size_t i = 0; i < n; i++) {
        d[i] = a->detail[i];
        ERR_TRY(is_detail(&d[i], e));
        needed += is_needed(w, d[i].key);
    }
    d[n++] = (struct store_ask_detail){"by", q->who};
    qsort(d, n, sizeof *d, by_key);
    for (size_t i = 1; i < n; i++)
        if (strcmp(d[i].key, d[i - 1].key) == 0)
            return err_set(e, ST_BAD, "%s: said twice", d[i].key);
    if (w->details[0] && needed != 2)
        return err_set(e, ST_BAD, "%s: %s and %s are needed", a->work, w->details[0],
                       w->details[1]);
    enum st st = wire_put_map(map, n);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = put_detail(map, w, &d[i], e);
    return st;
}

/* The begin of the calibration that `to` alone ends. */
static enum st find_open(struct store_reader *r, const char *series, int64_t *from_ms,
                         struct err *e)
{
    struct store_said s;
    if (!r)
        return err_set(e, ST_IO, UNREADABLE);
    enum st st = store_calibration_open(r, series, &s, e);
    if (st == ST_OK)
        *from_ms = s.from_ms;
    return st == ST_NOT_FOUND
               ? err_set(e, ST_BAD, "no calibration of %s is open: say from as well", series)
               : st;
}

static enum st put_maintain(struct store_request *q, const struct store_ask *a,
                            struct store_reader *r, struct buf *entry, struct err *e)
{
    int64_t from_ms = 0, to_ms = 0;
    struct buf map;
    size_t k = place_of(wire_works, a->work);
    if (k == WIRE_WORKS)
        return err_set(e, ST_BAD, "work: calibration, swap or meter is needed");
    const struct work *w = &works[k];
    ERR_TRY(fits(a, &w->form, NULL, a->work, e));
    if (!w->device && strchr(a->series, '*'))
        return err_set(e, ST_BAD, "%s: a %s is one series, device/point", a->series, a->work);
    if (!a->from && !a->to)
        return err_set(e, ST_BAD, "%s: from or to is needed", a->work);
    if (a->from)
        ERR_TRY(time_of("from", a->from, &from_ms, e));
    if (a->to)
        ERR_TRY(time_of("to", a->to, &to_ms, e));
    if (!a->from)
        ERR_TRY(find_open(r, a->series, &from_ms, e));
    buf_init(&map, WIRE_REQUEST_MAX);
    enum st st = put_map(q, a, w, &map, e);
    const struct wire_span bytes = {map.p, map.n};
    if (st == ST_OK) {
        st = wire_put_maintain(entry, a->series, from_ms, a->to ? &to_ms : NULL, (enum wire_work)k,
                               &bytes);
        if (st == ST_BAD)
            st = err_set(e, st, "series is device/point or device/*, and to is not before from");
    }
    buf_done(&map);
    return st;
}

/* ---- retire ---- */

static const struct form retired = {{"series", "reason"}, {"at"}};

static enum st put_retire(struct store_request *q, const struct store_ask *a,
                          struct store_reader *r, struct buf *entry, struct err *e)
{
    int64_t at_ms = q->at_ms;
    (void)r;
    ERR_TRY(fits(a, &retired, NULL, "retire", e));
    if (a->at)
        ERR_TRY(time_of("at", a->at, &at_ms, e));
    enum st st = wire_put_array(entry, 4); /* wire_put_retire is for the chain: one series */
    st = st == ST_OK ? wire_put_text(entry, "retire") : st;
    st = st == ST_OK ? wire_put_text(entry, a->series) : st;
    st = st == ST_OK ? wire_put_int(entry, at_ms) : st;
    return st == ST_OK ? wire_put_text(entry, a->reason) : st;
}

/* ---- enter ---- */

static const struct form entered = {{"series", "value"}, {"unit", "at", "note", "force"}};

static enum st put_text_or_null(struct buf *entry, const char *text)
{
    return text ? wire_put_text(entry, text) : wire_put_null(entry);
}

static enum st put_enter(struct store_request *q, const struct store_ask *a, struct store_reader *r,
                         struct buf *entry, struct err *e)
{
    int64_t at_ms = q->at_ms;
    struct num v;
    (void)r;
    ERR_TRY(fits(a, &entered, NULL, "enter", e));
    if ((a->unit && !a->unit[0]) || (a->note && !a->note[0]))
        return err_set(e, ST_BAD, "enter: a unit or note that is empty: leave it out");
    if (a->force && strcmp(a->force, "true") != 0 && strcmp(a->force, "false") != 0)
        return err_set(e, ST_BAD, "force: true or false");
    ERR_TRY(decimal_of("value", a->value, &v, e));
    if (a->at)
        ERR_TRY(time_of("at", a->at, &at_ms, e));
    bool force = a->force && strcmp(a->force, "true") == 0;
    enum st st = wire_put_array(entry, 7); /* wire_put_entered is for the chain */
    st = st == ST_OK ? wire_put_text(entry, "entered") : st;
    st = st == ST_OK ? wire_put_text(entry, a->series) : st;
    st = st == ST_OK ? wire_put_int(entry, at_ms) : st;
    st = st == ST_OK ? wire_put_exact(entry, v) : st;
    st = st == ST_OK ? put_text_or_null(entry, a->unit) : st;
    st = st == ST_OK ? put_text_or_null(entry, a->note) : st;
    return st == ST_OK ? wire_put_uint(entry, force) : st;
}

/* ---- the request ---- */

/* A fresh id and who asks; the entry is to come. */
static enum st begin(struct store_request *q, const char *who, int64_t at_ms, struct err *e)
{
    *q = (struct store_request){.at_ms = at_ms};
    buf_init(&q->bytes, WIRE_REQUEST_MAX);
    if (snprintf(q->who, sizeof q->who, "%s", who) >= (int)sizeof q->who || !who[0])
        return err_set(e, ST_BAD, "by: a name of 1 to %d bytes", WIRE_WHO_MAX);
    ERR_TRY(wire_random(q->id, sizeof q->id, e));
    wire_hex(q->id, sizeof q->id, q->hex);
    return ST_OK;
}

/* st: of putting the entry, which is freed here. */
static enum st finish(struct store_request *q, enum st st, struct buf *entry, struct err *e)
{
    if (st == ST_OK)
        st = wire_request_put(&q->bytes, q->id, q->who, q->at_ms, entry);
    if (st == ST_FULL)
        st = err_set(e, ST_BAD, "what is asked for is longer than %d bytes", WIRE_REQUEST_MAX);
    if (st == ST_MEMORY)
        st = err_set(e, st, "no memory for what is asked");
    buf_done(entry);
    return st == ST_OK ? wire_request_open(&q->open, q->bytes.p, q->bytes.n, e) : st;
}

enum st store_request_make(struct store_request *q, const struct store_ask *a, const char *who,
                           int64_t at_ms, struct store_reader *r, struct err *e)
{
    static enum st (*const put[STORE_ASK_KINDS])(struct store_request *, const struct store_ask *,
                                                 struct store_reader *, struct buf *,
                                                 struct err *) = {[STORE_CORRECT] = put_correct,
                                                                  [STORE_MAINTAIN] = put_maintain,
                                                                  [STORE_RETIRE] = put_retire,
                                                                  [STORE_ENTER] = put_enter};
    struct buf entry;
    ERR_TRY(begin(q, who, at_ms, e));
    buf_init(&entry, WIRE_REQUEST_MAX);
    return finish(q, put[a->kind](q, a, r, &entry, e), &entry, e);
}

enum st store_request_change(struct store_request *q, const struct store_change *a,
                             const uint8_t id[WIRE_ID_BYTES], struct err *e)
{
    struct buf entry;
    ERR_TRY(begin(q, a->author, a->at_ms, e));
    memcpy(q->id, id, sizeof q->id);
    wire_hex(q->id, sizeof q->id, q->hex);
    buf_init(&entry, WIRE_REQUEST_MAX);
    enum st st =
        wire_put_change(&entry, a->at_ms, a->what, a->about[0] ? a->about : NULL, a->now, q->who);
    return finish(q, st, &entry, e);
}

enum st store_request_setup(struct store_request *q, const char *what, const char *who,
                            int64_t at_ms, struct err *e)
{
    struct buf entry;
    ERR_TRY(begin(q, who, at_ms, e));
    buf_init(&entry, WIRE_REQUEST_MAX);
    return finish(q, wire_put_setup(&entry, at_ms, what, q->who), &entry, e);
}

void store_request_free(struct store_request *q)
{
    buf_done(&q->bytes);
}
