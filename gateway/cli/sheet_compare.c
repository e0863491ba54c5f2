/* What became of a sheet's figures since it was approved or submitted, and why. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/sheet.h"
#include "gateway/store/store.h"

/* ---- corrections that were sealed since ---------------------------------------------------------
 */

#define FIXES_MAX 16
struct fix {
    char id[STORE_CORRECTION_BYTES];
    int32_t from_day, to_day;
};
struct fixes {
    struct fix v[FIXES_MAX];
    size_t n;
};

/* The id is any CBOR; ours are texts. */
static void note_fix(struct fixes *f, const struct wire_entry *x)
{
    struct wire_reader r = {x->id.p, x->id.p, x->id.p + x->id.n};
    struct wire_item it;
    if (f->n == FIXES_MAX || wire_next(&r, &it, NULL) != ST_OK || it.type != WIRE_TEXT)
        return;
    struct fix *to = &f->v[f->n++];
    (void)snprintf(to->id, sizeof to->id, "%.*s", (int)it.span.n, (const char *)it.span.p);
    int64_t from = wire_day_of(x->at_ms), last = wire_day_of(x->to_ms - 1);
    to->from_day = from < INT32_MIN ? INT32_MIN : (int32_t)from;
    to->to_day = last > INT32_MAX ? INT32_MAX : (int32_t)last;
}

/* A later version's entry has more behind the digest. */
static bool begins(struct wire_span s, const char *text)
{
    return s.n >= strlen(text) && memcmp(s.p, text, strlen(text)) == 0;
}

/* *own: the sheet's own entry is in it: what was sealed before it is no news. */
static enum st look_at(struct fixes *f, const struct store_batch *row, const char *digest,
                       bool *own, struct err *e)
{
    struct wire_batch b;
    struct wire_control c;
    struct wire_entry x;
    struct buf cose;
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = wire_zstd_unpack(row->packed.p, row->packed.n, WIRE_BATCH_MAX, &cose, e);
    if (st == ST_OK)
        st = wire_batch_open(&b, cose.p, cose.n, e);
    if (st == ST_OK) {
        st = wire_control_open(&c, b.cose.payload.p, b.cose.payload.n, e);
        while (st == ST_OK && (st = wire_control_next(&c, &x, e)) == ST_OK)
            if (x.kind == WIRE_ENTRY_CORRECT)
                note_fix(f, &x);
            else if (x.kind == WIRE_ENTRY_CHANGE && begins(x.reason, digest))
                *own = true;
        wire_batch_done(&b);
    }
    buf_done(&cose);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Back to the sheet's own entry; where that has left the store, to the time of the act, by the
 * times of batches: a control batch has that of the window before it. */
#define LOOK_MAX 4096
static enum st fixes_since(struct fixes *f, struct store_reader *r, const char *digest,
                           int64_t since_ms, struct err *e)
{
    struct store_batch row = {.id = 0};
    enum st st = ST_OK;
    bool own = false;
    size_t later = 0;
    f->n = 0;
    for (int i = 0; r && !own && i < LOOK_MAX && st == ST_OK; i++) {
        st = store_control_before(r, row.id, &row, e);
        if (st == ST_OK)
            st = look_at(f, &row, digest, &own, e);
        later = row.to_ms >= since_ms ? f->n : later;
    }
    f->n = own ? f->n : later;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- days ---------------------------------------------------------------------------------------
 */

/* Revision of a day, -1: it has no figures. */
static int64_t revision_of(const struct report_row *x, int32_t day)
{
    for (size_t i = 0; i < x->nruns; i++)
        if (day >= x->runs[i].day && day - x->runs[i].day < x->runs[i].days)
            return x->runs[i].revision;
    return -1;
}

struct days {
    int32_t n, first, last;
};

static struct days again(const struct report_row *was, const struct report_row *now, int32_t from,
                         int32_t to)
{
    struct days d = {.n = 0};
    for (int32_t day = from; day <= to; day++) {
        if (revision_of(was, day) == revision_of(now, day))
            continue;
        d.first = d.n > 0 ? d.first : day;
        d.last = day;
        d.n++;
    }
    return d;
}

/* ---- why ----------------------------------------------------------------------------------------
 */

static bool same_number(struct num a, struct num b)
{
    char x[NUM_TEXT_BYTES], y[NUM_TEXT_BYTES];
    return strcmp(num_text(a, x), num_text(b, y)) == 0;
}

static bool same_target(const struct report_target *a, const struct report_target *b)
{
    return strcmp(a->op, b->op) == 0 && same_number(a->value, b->value) && a->year == b->year;
}

static bool same_row(const struct report_row *a, const struct report_row *b)
{
    return same_number(a->value, b->value) && strcmp(a->reason, b->reason) == 0 &&
           strcmp(a->numerator, b->numerator) == 0 && strcmp(a->denominator, b->denominator) == 0 &&
           a->due == b->due && a->good == b->good && same_target(&a->target, &b->target);
}

struct why {
    char text[SHEET_TEXT_BYTES];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void say(struct why *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (w->n > 0 && w->n < sizeof w->text)
        w->n += (size_t)snprintf(w->text + w->n, sizeof w->text - w->n, "; ");
    if (w->n < sizeof w->text) {
        int more = vsnprintf(w->text + w->n, sizeof w->text - w->n, fmt, args);
        w->n += more > 0 ? (size_t)more : 0;
    }
    va_end(args);
}

struct compare {
    struct report *was;
    const struct report *now;
    struct fixes fixes;
};

static void say_days(struct why *w, const struct compare *x, struct days d, enum report_language l)
{
    char from[REPORT_DATE_BYTES], to[REPORT_DATE_BYTES];
    (void)report_date(d.first, l, from);
    (void)report_date(d.last, l, to);
    if (l == REPORT_VI)
        say(w, "%" PRId32 " ngày được tính lại (%s – %s)", d.n, from, to);
    else
        say(w, "%" PRId32 " %s computed again (%s to %s)", d.n, d.n == 1 ? "day" : "days", from,
            to);
    for (size_t i = 0; i < x->fixes.n; i++)
        if (x->fixes.v[i].from_day <= d.last && x->fixes.v[i].to_day >= d.first)
            say(w, l == REPORT_VI ? "đính chính %s" : "correction %s", x->fixes.v[i].id);
}

static void why(const struct compare *x, const struct report_row *was, const struct report_row *now,
                enum report_language l, struct why *w)
{
    bool vi = l == REPORT_VI;
    *w = (struct why){.n = 0};
    if (!was) {
        say(w, "%s", vi ? "Không có trên phiếu" : "The sheet does not have it");
        return;
    }
    if (!now) {
        say(w, "%s", vi ? "Báo cáo không còn chỉ tiêu này" : "The report has it no more");
        return;
    }
    struct days d = again(was, now, x->was->period.from_day, x->was->until_day);
    if (d.n > 0)
        say_days(w, x, d, l);
    if (!same_target(&was->target, &now->target))
        say(w, "%s", vi ? "mục tiêu đã đổi" : "another target");
    if (strcmp(x->was->catalogue, x->now->catalogue) != 0)
        say(w, "%s", vi ? "danh mục chỉ tiêu đã đổi" : "another catalogue");
    if (w->n == 0)
        say(w, "%s", vi ? "không rõ" : "not known");
}

static bool put(struct compare *x, const struct report_row *was, const struct report_row *now)
{
    struct report *r = x->was;
    struct report_change *c = &r->changes[r->nchanges++];
    const struct report_row *either = was ? was : now;
    bool good = true;
    *c = (struct report_change){.id = report_text(r, either->id),
                                .instance = report_text(r, either->instance)};
    for (int l = 0; l < REPORT_LANGUAGES; l++) {
        char text[SHEET_TEXT_BYTES];
        struct why w;
        enum report_language in = (enum report_language)l;
        (void)snprintf(text, sizeof text, "%s%s%s", either->name[l], either->about[0] ? ", " : "",
                       either->about);
        c->name[l] = report_text(r, text);
        c->was[l] = report_text(r, was ? sheet_figure(was, in, text) : "–");
        c->now[l] = report_text(r, now ? sheet_figure(now, in, text) : "–");
        why(x, was, now, in, &w);
        c->why[l] = report_text(r, w.text);
        good = good && c->name[l] && c->was[l] && c->now[l] && c->why[l];
    }
    return good && c->id && c->instance;
}

static const struct report_row *find(const struct report *r, const struct report_row *x)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->rows[i].id, x->id) == 0 && strcmp(r->rows[i].instance, x->instance) == 0)
            return &r->rows[i];
    return NULL;
}

enum st sheet_compare(struct report *was, const struct report *now, struct store_reader *r,
                      struct err *e)
{
    struct compare x = {.was = was, .now = now};
    int64_t since = was->state == REPORT_SUBMITTED ? was->submitted.at_ms : was->approved.at_ms;
    bool good = true;
    ERR_TRY(fixes_since(&x.fixes, r, was->digest, since, e));
    was->nchanges = 0;
    was->changes = report_bytes(was, (was->n + now->n + 1) * sizeof *was->changes);
    if (!was->changes)
        return err_set(e, ST_MEMORY, "no memory for a report");
    for (size_t i = 0; good && i < was->n; i++) {
        const struct report_row *other = find(now, &was->rows[i]);
        if (!other || !same_row(&was->rows[i], other))
            good = put(&x, &was->rows[i], other);
    }
    for (size_t i = 0; good && i < now->n; i++)
        if (!find(was, &now->rows[i]))
            good = put(&x, NULL, &now->rows[i]);
    return good ? ST_OK : err_set(e, ST_MEMORY, "no memory for a report");
}
