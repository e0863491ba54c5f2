/* fieldpost correct: readings that were wrong. What is sealed stays; an entry says what to make of
 * it, and readers do. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/request.h"

static const char usage[] =
    "usage: fieldpost correct [--config FILE] SERIES --from T --to T --reason TEXT [--by AUTHOR]\n"
    "                         --invalidate | --rescale SCALE[,OFFSET] | --reassign SERIES\n"
    "                         [--id ID]\n"
    "       fieldpost correct [--config FILE] --undo ID --reason TEXT [--by AUTHOR]\n"
    "\n"
    "Says in the signed chain what is wrong with readings of SERIES from T on and before T. What\n"
    "is sealed never changes: exports, charts and the city show what the correction makes of it,\n"
    "and raw exports what was sealed.\n"
    "\n"
    "  --invalidate           they say nothing: left out\n"
    "  --rescale SCALE[,OFFSET]  the value is value x SCALE + OFFSET\n"
    "  --reassign SERIES      they were measured by that series, of the same quantity\n"
    "  --id ID                this one takes the place of that correction\n"
    "  --undo ID              that correction was a mistake: as if it had never been\n"
    "  --reason TEXT          why; the city reads it\n"
    "  --by AUTHOR            who says so; your user name is taken when this is left out\n";

struct correct {
    const char *series, *from, *to, *reason, *by, *id, *undo;
    const char *rescale;
    struct wire_fix fix;
    int changes; /* how many were asked for; must be 1 */
};

static bool parse_rescale(const char *text, struct wire_fix *f)
{
    char scale[64];
    const char *comma = strchr(text, ',');
    size_t n = comma ? (size_t)(comma - text) : strlen(text);
    f->what = WIRE_RESCALE;
    f->offset = num_dec(0, 0);
    if (n >= sizeof(scale)) {
        return false;
    }
    memcpy(scale, text, n);
    scale[n] = '\0';
    return num_parse(scale, &f->scale) && f->scale.kind == NUM_DEC &&
           (!comma || (num_parse(comma + 1, &f->offset) && f->offset.kind == NUM_DEC));
}

/* The correction that was a mistake is replaced by one that changes nothing. */
static enum st find_undone(const struct cli_config *c, const char *id, struct store_said *was,
                           struct err *e)
{
    struct store_reader *r = NULL;
    enum st st = store_reader_open(&r, c->store.path, e);
    if (st == ST_OK) {
        st = store_correction_find(r, id, was, e);
    }
    store_reader_close(r);
    return st == ST_NOT_FOUND
               ? err_set(e, st,
                         "no correction %s is in force here: fieldpost correct printed its id", id)
               : st;
}

static int send(const struct cli_config *c, const struct correct *x, const struct store_said *s,
                const struct wire_fix *f)
{
    struct request q;
    struct buf entry;
    struct err e = {0};
    int code = CLI_USAGE;
    buf_init(&entry, WIRE_REQUEST_MAX);
    enum st st = request_open(&q, x->by, &e);
    const char *id = x->undo ? x->undo : x->id ? x->id : q.hex;
    if (st == ST_OK && wire_put_correct(&entry, id, s->series, s->from_ms, s->to_ms, f, x->reason,
                                        q.who) != ST_OK) {
        st = err_set(&e, ST_BAD,
                     "SERIES is device/point, --from lies before --to, --reason is a text");
    }
    if (st == ST_OK) {
        (void)printf("correction: %s\n", id);
        code = request_send(&q, c, &entry);
    } else {
        log_error("%s", e.text);
    }
    buf_done(&entry);
    return code;
}

static int ask(const struct cli_config *c, const void *arg)
{
    const struct correct *x = arg;
    struct store_said s = {.from_ms = 0};
    struct wire_fix same = {.what = WIRE_RESCALE, .scale = num_dec(1, 0), .offset = num_dec(0, 0)};
    struct err e = {0};
    if (x->undo) {
        if (find_undone(c, x->undo, &s, &e) != ST_OK) {
            log_error("%s", e.text);
            return CLI_FAILED;
        }
        return send(c, x, &s, &same);
    }
    if (!request_time("correct", x->from, &s.from_ms) ||
        !request_time("correct", x->to, &s.to_ms)) {
        return CLI_USAGE;
    }
    if (snprintf(s.series, sizeof(s.series), "%s", x->series) >= (int)sizeof(s.series)) {
        s.series[0] = '\0'; /* no series has such a name */
    }
    return send(c, x, &s, &x->fix);
}

static bool parse_change(int o, const char *arg, struct correct *x)
{
    bool good = true;
    x->changes++;
    if (o == 'i') {
        x->fix.what = WIRE_INVALIDATE;
    } else if (o == 's') {
        good = parse_rescale(arg, &x->fix);
    } else {
        x->fix.what = WIRE_REASSIGN;
        good =
            snprintf(x->fix.target, sizeof(x->fix.target), "%s", arg) < (int)sizeof(x->fix.target);
    }
    if (!good) {
        (void)fprintf(stderr, "fieldpost correct: \"%s\": %s\n", arg,
                      o == 's' ? "a scale and, behind a comma, an offset, such as 0.1 or 1,-0.5"
                               : "a series is device/point");
    }
    return good;
}

static bool is_whole(const struct correct *x, int left)
{
    bool reason = x->reason && x->reason[0];
    return x->undo ? reason && left == 0 && !x->from && !x->to && !x->id && x->changes == 0
                   : reason && left == 1 && x->from && x->to && x->changes == 1;
}

int cli_correct(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"from", required_argument, NULL, 'a'},
        {"to", required_argument, NULL, 'z'},      {"invalidate", no_argument, NULL, 'i'},
        {"rescale", required_argument, NULL, 's'}, {"reassign", required_argument, NULL, 'n'},
        {"reason", required_argument, NULL, 'r'},  {"by", required_argument, NULL, 'b'},
        {"id", required_argument, NULL, 'd'},      {"undo", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},          {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    struct correct x = {.changes = 0};
    const struct {
        int o;
        const char **to;
    } texts[] = {{'c', &path}, {'a', &x.from}, {'z', &x.to},  {'r', &x.reason},
                 {'b', &x.by}, {'d', &x.id},   {'u', &x.undo}};
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        size_t i = 0, n = sizeof(texts) / sizeof(texts[0]);
        while (i < n && texts[i].o != o) {
            i++;
        }
        if (i < n) {
            *texts[i].to = optarg;
        } else if (o == 'h' || o == '?') {
            (void)cli_usage(o, usage, &code);
            return code;
        } else if (!parse_change(o, optarg ? optarg : "", &x)) {
            return CLI_USAGE;
        }
    }
    if (!is_whole(&x, argc - optind)) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    x.series = argv[optind];
    return request_run(path, ask, &x);
}
