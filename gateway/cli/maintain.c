/* fieldpost maintain: what people did to a sensor or a meter. */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/request.h"

static const char usage[] =
    "usage: fieldpost maintain [--config FILE] SERIES|DEVICE/* calibration --from T [--to T]\n"
    "       fieldpost maintain [--config FILE] SERIES|DEVICE/* calibration --to T\n"
    "       fieldpost maintain [--config FILE] SERIES|DEVICE/* swap --from T\n"
    "                          old_serial=TEXT new_serial=TEXT\n"
    "       fieldpost maintain [--config FILE] SERIES meter --from T last=NUMBER first=NUMBER\n"
    "                          [old_serial=TEXT new_serial=TEXT]\n"
    "       each with [--by AUTHOR] [KEY=TEXT...]\n"
    "\n"
    "Notes in the signed chain that a sensor was being calibrated (its readings bear the flag 8\n"
    "then; without --to until a second call with --to alone ends it), that it was changed, or "
    "that\n"
    "a meter was changed: the old one ended at `last` and the new one began at `first`, so that "
    "what\n"
    "is counted goes on. The same again with the same --from takes the place of the first; with\n"
    "--to equal to --from a calibration never was.\n";

#define KEYS_MAX 16
#define TEXT_MAX 256

struct pair {
    const char *value;
    char key[32];
};
struct maintain {
    const char *target, *from, *to, *by;
    enum wire_work work;
    struct pair pair[KEYS_MAX + 1];
    size_t n;
};

static const struct work {
    const char *name;
    bool device, ends; /* takes DEVICE/STAR; takes --to */
    const char *needs[2], *numbers[2];
} works[] = {[WIRE_CALIBRATION] = {"calibration", true, true, {NULL}, {NULL}},
             [WIRE_SWAP] = {"swap", true, false, {"old_serial", "new_serial"}, {NULL}},
             [WIRE_METER] = {"meter", false, false, {"last", "first"}, {"last", "first"}}};
#define WORKS (sizeof(works) / sizeof(works[0]))

static const struct pair *find(const struct maintain *x, const char *key)
{
    for (size_t i = 0; i < x->n; i++) {
        if (strcmp(x->pair[i].key, key) == 0) {
            return &x->pair[i];
        }
    }
    return NULL;
}

static bool is_number(const struct work *w, const char *key)
{
    for (size_t i = 0; i < 2; i++) {
        if (w->numbers[i] && strcmp(w->numbers[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static bool say(const char *what, const char *why)
{
    (void)fprintf(stderr, "fieldpost maintain: \"%s\": %s\n", what, why);
    return false;
}

static bool add_pair(struct maintain *x, const char *text)
{
    const char *eq = strchr(text, '=');
    size_t n = eq ? (size_t)(eq - text) : 0;
    struct pair *p = &x->pair[x->n];
    if (n == 0 || n >= sizeof(p->key) || strlen(eq + 1) == 0 || strlen(eq + 1) > TEXT_MAX) {
        return say(text, "KEY=VALUE, such as new_serial=A-1207");
    }
    for (size_t i = 0; i < n; i++) {
        if (!islower((unsigned char)text[i]) && text[i] != '_') {
            return say(text, "a key has small letters and _");
        }
    }
    if (x->n == KEYS_MAX) {
        return say(text, "too many keys");
    }
    memcpy(p->key, text, n);
    p->key[n] = '\0';
    p->value = eq + 1;
    if (find(x, p->key)) {
        return say(text, "said twice");
    }
    x->n++;
    return true;
}

/* In the order of the encoding: the shorter key first. */
static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    size_t n = strlen(x->key), m = strlen(y->key);
    return n != m ? (n < m ? -1 : 1) : strcmp(x->key, y->key);
}

static enum st put_map(struct maintain *x, struct buf *map, struct err *e)
{
    const struct work *w = &works[x->work];
    qsort(x->pair, x->n, sizeof(x->pair[0]), by_key);
    enum st st = wire_put_map(map, x->n);
    for (size_t i = 0; st == ST_OK && i < x->n; i++) {
        struct num v;
        const struct pair *p = &x->pair[i];
        st = wire_put_text(map, p->key);
        if (st == ST_OK && !is_number(w, p->key)) {
            st = wire_put_text(map, p->value);
        } else if (st == ST_OK) {
            st = num_parse(p->value, &v) && v.kind == NUM_DEC
                     ? wire_put_exact(map, v)
                     : err_set(e, ST_BAD, "%s=%s: a number such as 10432.7", p->key, p->value);
        }
    }
    return st;
}

/* The begin of the calibration that --to alone ends. */
static enum st find_open(const struct cli_config *c, const char *target, int64_t *from_ms,
                         struct err *e)
{
    struct store_reader *r = NULL;
    struct store_said s;
    enum st st = store_reader_open(&r, c->store.path, e);
    if (st == ST_OK) {
        st = store_calibration_open(r, target, &s, e);
    }
    store_reader_close(r);
    if (st == ST_OK) {
        *from_ms = s.from_ms;
    }
    return st == ST_NOT_FOUND
               ? err_set(e, st, "no calibration of %s is open: say --from as well", target)
               : st;
}

static enum st encode(const struct cli_config *c, struct maintain *x, int64_t from_ms,
                      const int64_t *to_ms, struct buf *entry, struct err *e)
{
    struct buf map;
    if (!x->from) {
        ERR_TRY(find_open(c, x->target, &from_ms, e));
    }
    buf_init(&map, WIRE_REQUEST_MAX);
    enum st st = put_map(x, &map, e);
    const struct wire_span bytes = {map.p, map.n};
    if (st == ST_OK &&
        wire_put_maintain(entry, x->target, from_ms, to_ms, x->work, &bytes) != ST_OK) {
        st = err_set(e, ST_BAD, "%s: device/point or device/*, and --to not before --from",
                     x->target);
    }
    buf_done(&map);
    return st;
}

static int ask(const struct cli_config *c, const void *arg)
{
    struct maintain x = *(const struct maintain *)arg;
    struct request q;
    struct buf entry;
    struct err e = {0};
    int64_t from_ms = 0, to_ms = 0;
    int code = CLI_USAGE;
    if ((x.from && !request_time("maintain", x.from, &from_ms)) ||
        (x.to && !request_time("maintain", x.to, &to_ms))) {
        return CLI_USAGE;
    }
    buf_init(&entry, WIRE_REQUEST_MAX);
    enum st st = request_open(&q, x.by, &e);
    if (st == ST_OK) {
        x.pair[x.n] = (struct pair){.value = q.who, .key = "by"};
        x.n++;
        st = encode(c, &x, from_ms, x.to ? &to_ms : NULL, &entry, &e);
    }
    if (st == ST_OK) {
        code = request_send(&q, c, &entry);
    } else {
        log_error("%s", e.text);
    }
    buf_done(&entry);
    return code;
}

/* SERIES, the work and its pairs. */
static bool parse_words(struct maintain *x, int n, char **v)
{
    size_t k = 0;
    while (n > 1 && k < WORKS && strcmp(v[1], works[k].name) != 0) {
        k++;
    }
    if (n < 2 || k == WORKS) {
        return say(n < 2 ? "" : v[1], "SERIES, then calibration, swap or meter");
    }
    const struct work *w = &works[k];
    x->target = v[0];
    x->work = (enum wire_work)k;
    for (int i = 2; i < n; i++) {
        if (!add_pair(x, v[i])) {
            return false;
        }
    }
    size_t length = strlen(x->target);
    if (!w->device && length > 0 && x->target[length - 1] == '*') {
        return say(x->target, "a meter is one series, device/point");
    }
    if (find(x, "by")) {
        return say("by", "say --by");
    }
    if ((x->to && !w->ends) || (!x->from && !x->to)) {
        return say(w->name, w->ends ? "--from T, or --to T" : "--from T, and no --to");
    }
    for (size_t i = 0; i < 2; i++) {
        if (w->needs[i] && !find(x, w->needs[i])) {
            (void)fprintf(stderr, "fieldpost maintain: %s needs %s=...\n", w->name, w->needs[i]);
            return false;
        }
    }
    return true;
}

int cli_maintain(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"from", required_argument, NULL, 'a'},
        {"to", required_argument, NULL, 'z'},     {"by", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},         {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    struct maintain x = {.n = 0};
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (o) {
        case 'c':
            path = optarg;
            break;
        case 'a':
            x.from = optarg;
            break;
        case 'z':
            x.to = optarg;
            break;
        case 'b':
            x.by = optarg;
            break;
        default:
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (!parse_words(&x, argc - optind, argv + optind)) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    return request_run(path, ask, &x);
}
