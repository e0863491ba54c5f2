/* fieldpost alarm: how the alarms stand, and a person who knows of one. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost alarm [--config FILE] [--json]\n"
    "       fieldpost alarm ack ID [--config FILE] --by NAME\n"
    "\n"
    "Lists the alarms as they stood when they last changed. `ack` says that NAME knows of one "
    "that\n"
    "is raised: the gateway that runs takes it within seconds. Exit code 1 when it does not.\n";

#define TAKE_MS 15000

struct want {
    const char *path, *by, *id;
    bool json;
};

/* How it stood, as the store keeps it; *is: it does, as the gateway has looked at it once. */
static enum st kept_of(struct store_reader *r, const char *id, struct alarm_kept *out, bool *is,
                       struct err *e)
{
    char key[WIRE_SERIES_BYTES], text[STORE_NOTE_BYTES] = "";
    struct buf value;
    (void)snprintf(key, sizeof(key), ALARM_NOTE " %s", id);
    buf_init(&value, sizeof(text));
    enum st st = store_reader_meta(r, key, &value, e);
    if (st == ST_OK) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)value.n, (const char *)value.p);
    }
    buf_done(&value);
    *is = alarm_kept_read(text, out);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static const char *state_of(const struct alarm_kept *k, bool is)
{
    return is ? alarm_state_text[k->state] : "new";
}

static void print_text(const struct alarm_cfg *a, const struct alarm_kept *k, bool is)
{
    char at[CLK_TEXT_BYTES];
    (void)printf("%-16s %-12s", a->id, state_of(k, is));
    if (k->since_ms) {
        (void)printf(" since %s", clk_text(k->since_ms, at));
    }
    if (k->known_ms) {
        (void)printf(", known to %s at %s", k->by, clk_text(k->known_ms, at));
    }
    (void)printf("  %s\n", a->text.vi);
}

static json_t *json_of(const struct alarm_cfg *a, const struct alarm_kept *k, bool is)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s}", "id", a->id, "state", state_of(k, is), "series", a->series);
    if (o && k->since_ms) {
        (void)json_object_set_new(o, "since_ms", json_integer(k->since_ms));
    }
    if (o && k->known_ms) {
        (void)json_object_set_new(o, "acknowledged_ms", json_integer(k->known_ms));
        (void)json_object_set_new(o, "acknowledged_by", json_string(k->by));
    }
    return o;
}

static enum st list(const struct cli_config *c, bool json, struct err *e)
{
    struct store_reader *r = NULL;
    json_t *all = json_array();
    enum st st = all ? store_reader_open(&r, c->store.path, e) : err_set(e, ST_MEMORY, "no memory");
    for (size_t i = 0; i < c->alarms_cfg.n && st == ST_OK; i++) {
        const struct alarm_cfg *a = (const struct alarm_cfg *)c->alarms_cfg.v + i;
        struct alarm_kept k;
        bool is = false;
        st = kept_of(r, a->id, &k, &is, e);
        if (st == ST_OK && json && json_array_append_new(all, json_of(a, &k, is)) != 0) {
            st = err_set(e, ST_MEMORY, "no memory");
        } else if (st == ST_OK && !json) {
            print_text(a, &k, is);
        }
    }
    if (st == ST_OK && json && (json_dumpf(all, stdout, JSON_INDENT(2)) != 0 || puts("") < 0)) {
        st = err_set(e, ST_IO, "standard output cannot be written");
    }
    store_reader_close(r);
    json_decref(all);
    return st;
}

static enum st acknowledge(const struct cli_config *c, const struct want *w, struct err *e)
{
    struct store_reader *r = NULL;
    struct alarm_kept k = {.state = ALARM_QUIET};
    bool is = false;
    size_t i = 0;
    const struct alarm_cfg *a = c->alarms_cfg.v;
    while (i < c->alarms_cfg.n && strcmp(a[i].id, w->id) != 0) {
        i++;
    }
    if (i == c->alarms_cfg.n) {
        return err_set(e, ST_NOT_FOUND, "%s: there is no alarm %s", w->path, w->id);
    }
    enum st st = store_reader_open(&r, c->store.path, e);
    if (st == ST_OK) {
        st = kept_of(r, w->id, &k, &is, e);
    }
    store_reader_close(r);
    if (st == ST_OK && (k.since_ms == 0 || k.known_ms != 0)) {
        return err_set(e, ST_CONFLICT, "alarm %s is not raised, or acknowledged already", w->id);
    }
    return st == ST_OK ? alarms_ask(c->store.path, w->id, w->by, TAKE_MS, e) : st;
}

/* false: the usage was printed, and *code is set. */
static bool options_of(int argc, char **argv, struct want *w, int *code)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"by", required_argument, NULL, 'b'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int o;
    optind = 0;
    *w = (struct want){.path = CLI_DEFAULT_CONFIG};
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            w->path = optarg;
        } else if (o == 'b') {
            w->by = optarg;
        } else if (o == 'j') {
            w->json = true;
        } else {
            (void)cli_usage(o, usage, code);
            return false;
        }
    }
    bool ack = argc - optind == 2 && strcmp(argv[optind], "ack") == 0;
    if (ack) {
        w->id = argv[optind + 1];
    }
    if (ack ? !w->by || w->json : argc != optind || w->by) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    return true;
}

int cli_alarm(int argc, char **argv)
{
    struct want w;
    struct cli_config c = {0};
    struct err e = {.text = ""};
    int code = CLI_USAGE;
    if (!options_of(argc, argv, &w, &code)) {
        return code;
    }
    enum st st = cli_config_load(&c, w.path, &e);
    if (st != ST_OK) {
        if (cli_complain(c.cfg) == 0) {
            log_error("%s", e.text);
        }
        cli_config_done(&c);
        return CLI_USAGE;
    }
    st = w.id ? acknowledge(&c, &w, &e) : list(&c, w.json, &e);
    if (st != ST_OK) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return st == ST_OK ? CLI_DONE : st == ST_NOT_FOUND || st == ST_BAD ? CLI_USAGE : CLI_FAILED;
}
