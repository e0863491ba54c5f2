/* fieldpost indicators: the catalogue, and what each figure is computed from. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost indicators [--config FILE] [--json] [ID]\n"
    "\n"
    "Lists the indicators that are installed: what each is, in which unit, how far it is to be\n"
    "trusted, how often there is a value, and which series it is computed from. With an ID all "
    "that\n"
    "the catalogue says of it: formula, targets, who owns it.\n"
    "\n"
    "--config  the catalogue of this configuration: with its own files and its numbers; and what "
    "of\n"
    "          it is computed there, or why not: which input no series fits.\n"
    "--json    the same for machines.\n"
    "\n"
    "Exit code 2 when a file of the catalogue has mistakes.\n";

#define COMPLAINTS_MAX_BYTES (256 * 1024)

struct asked {
    const char *config, *id;
    bool json;
};

/* ---- for people ----------------------------------------------------------------------------- */

static void put_line(const char *key, const char *value)
{
    if (value) {
        (void)printf("    %s: %s\n", key, value);
    }
}

/* What of it is computed at this site, and if nothing, why. */
static void put_fed(const struct indicator_about *a)
{
    (void)printf("    %s", a->nfed > 0 ? "computed as" : "not computed: ");
    for (size_t i = 0; i < a->nfed; i++) {
        (void)printf("%s %s", i > 0 ? "," : "", a->fed[i]);
    }
    if (a->nfed == 0 && !a->used) {
        (void)printf("%s", a->off ? "it is off, and `use` does not name it" : "not in `use`");
    }
    bool told = a->nfed > 0 || !a->used, any = false;
    for (size_t i = 0; i < a->ninputs; i++) {
        const struct indicator_about_input *in = &a->inputs[i];
        any = any || in->matches;
        if (!in->matches && !in->optional && a->nfed == 0 && a->used) {
            (void)printf("%s%s", told ? ", " : "no series fits ", in->id);
            told = true;
        }
    }
    if (!told && any) {
        (void)printf("no %s has them all: give their devices a place", a->by);
    } else if (!told) {
        (void)printf("no series fits any of these");
    }
    (void)putchar('\n');
}

static enum st list(const struct indicator_about *a, void *arg)
{
    const struct asked *asked = arg;
    (void)printf("%s: %s | %s\n    %s%s%s, %s", a->id, a->vi, a->en, a->quantity,
                 a->unit ? ", " : "", a->unit ? a->unit : "", a->label);
    if (a->ninputs > 0) {
        (void)printf("; every %s, by %s%s", a->period, a->by, a->off ? "; off" : "");
    }
    (void)putchar('\n');
    for (size_t i = 0; i < a->ninputs; i++) {
        (void)printf("    %s%s: %s\n", a->inputs[i].id, a->inputs[i].optional ? " (optional)" : "",
                     a->inputs[i].wants);
    }
    if (a->ninputs == 0) {
        put_line("no value", a->reason_vi);
    } else if (asked->config) {
        put_fed(a);
    }
    return ST_OK;
}

static enum st details(const struct indicator_about *a, void *arg)
{
    (void)list(a, arg);
    put_line("vi", a->sentence_vi);
    put_line("en", a->sentence_en);
    put_line("formula", a->formula);
    put_line("numerator", a->numerator);
    put_line("denominator", a->denominator);
    if (a->numerator) {
        put_line("factor", a->factor);
    }
    for (size_t i = 0; i < a->nparams; i++) {
        (void)printf("    param %s: %s\n", a->params[i].id, a->params[i].value);
    }
    if (a->ninputs > 0) {
        (void)printf("    completeness: %lld percent\n    longer periods: %s\n",
                     (long long)a->completeness, a->longer);
    }
    for (size_t i = 0; i < a->ntargets; i++) {
        const struct indicator_about_target *t = &a->targets[i];
        (void)printf("    target: %s %lld %s %s (%s)%s%s\n", t->territory, (long long)t->year,
                     t->op, t->value, t->source, t->note ? ": " : "", t->note ? t->note : "");
    }
    if (a->norm) {
        (void)printf("    limit: %s, %s, %s\n", a->norm, a->parameter, a->window);
    }
    put_line("owner", a->owner_unit);
    put_line("person", a->owner_person);
    if (a->type) {
        (void)printf("    smart data model: %s.%s\n", a->type, a->attribute);
    }
    put_line("file", a->path);
    return ST_OK;
}

/* ---- for machines --------------------------------------------------------------------------- */

static json_t *inputs_json(const struct indicator_about *a, bool site)
{
    json_t *all = json_array();
    for (size_t i = 0; i < a->ninputs; i++) {
        const struct indicator_about_input *in = &a->inputs[i];
        json_t *o = json_pack("{s:s, s:s, s:b}", "id", in->id, "wants", in->wants, "optional",
                              in->optional);
        if (site) {
            (void)json_object_set_new(o, "matches", json_boolean(in->matches));
        }
        (void)json_array_append_new(all, o);
    }
    return all;
}

static json_t *fed_json(const struct indicator_about *a)
{
    json_t *all = json_array();
    for (size_t i = 0; i < a->nfed; i++) {
        (void)json_array_append_new(all, json_string(a->fed[i]));
    }
    return all;
}

static json_t *params_json(const struct indicator_about *a)
{
    json_t *all = json_object();
    for (size_t i = 0; i < a->nparams; i++) {
        (void)json_object_set_new(all, a->params[i].id, json_string(a->params[i].value));
    }
    return all;
}

static json_t *targets_json(const struct indicator_about *a)
{
    json_t *all = json_array();
    for (size_t i = 0; i < a->ntargets; i++) {
        const struct indicator_about_target *t = &a->targets[i];
        (void)json_array_append_new(all, json_pack("{s:s, s:I, s:s, s:s, s:s, s:s?}", "territory",
                                                   t->territory, "year", (json_int_t)t->year, "op",
                                                   t->op, "value", t->value, "source", t->source,
                                                   "note", t->note));
    }
    return all;
}

/* NULL where the first text is: JSON's null. */
static json_t *pair_json(const char *key1, const char *text1, const char *key2, const char *text2)
{
    return text1 ? json_pack("{s:s, s:s?}", key1, text1, key2, text2) : json_null();
}

struct telling {
    const struct asked *asked;
    json_t *all;
};

static enum st collect_json(const struct indicator_about *a, void *arg)
{
    const struct telling *t = arg;
    json_t *limit = a->norm ? json_pack("{s:s, s:s, s:s}", "norm", a->norm, "parameter",
                                        a->parameter, "window", a->window)
                            : json_null();
    json_t *o = json_pack(
        "{s:s, s:o, s:s, s:s?, s:s, s:o, s:s, s:s, s:s, s:I, s:b, s:o, s:o, s:s?, s:s?, s:s?, s:s,"
        " s:o, s:o, s:o, s:o, s:o, s:s}",
        "id", a->id, "name", pair_json("vi", a->vi, "en", a->en), "quantity", a->quantity, "unit",
        a->unit, "label", a->label, "sentence",
        pair_json("vi", a->sentence_vi, "en", a->sentence_en), "period", a->period, "longer",
        a->longer, "by", a->by, "completeness", (json_int_t)a->completeness, "off", a->off,
        "inputs", inputs_json(a, t->asked->config != NULL), "params", params_json(a), "formula",
        a->formula, "numerator", a->numerator, "denominator", a->denominator, "factor", a->factor,
        "reason", pair_json("vi", a->reason_vi, "en", a->reason_en), "targets", targets_json(a),
        "limit", limit, "owner",
        a->owner_unit || a->owner_person
            ? json_pack("{s:s?, s:s?}", "unit", a->owner_unit, "person", a->owner_person)
            : json_null(),
        "model", pair_json("type", a->type, "attribute", a->attribute), "file", a->path);
    if (o && t->asked->config && json_object_set_new(o, "fed", fed_json(a)) != 0) {
        json_decref(o);
        return ST_MEMORY;
    }
    return json_array_append_new(t->all, o) == 0 ? ST_OK : ST_MEMORY;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int show(const struct indicators *x, const struct store *s, struct asked *a)
{
    struct telling t = {.asked = a, .all = a->json ? json_array() : NULL};
    const char *near = NULL;
    enum st st = a->json ? indicators_tell(x, s, a->id, collect_json, &t, &near)
                         : indicators_tell(x, s, a->id, a->id ? details : list, a, &near);
    if (st == ST_OK && a->json) {
        (void)json_dumpf(t.all, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
    json_decref(t.all);
    if (st == ST_NOT_FOUND) {
        (void)fprintf(stderr, "fieldpost indicators: unknown indicator \"%s\"%s%s%s\n", a->id,
                      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return CLI_USAGE;
    }
    if (st != ST_OK) {
        log_error("fieldpost indicators: %s", err_name(st));
        return CLI_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("fieldpost indicators: standard output cannot be written");
        return CLI_FAILED;
    }
    return CLI_DONE;
}

static int of_installed(struct asked *a)
{
    struct indicators *x = NULL;
    struct buf complaints;
    struct err e = {0};
    buf_init(&complaints, COMPLAINTS_MAX_BYTES);
    enum st st = indicators_installed(&x, &complaints, &e);
    (void)fprintf(stderr, "%.*s", (int)complaints.n,
                  complaints.n > 0 ? (const char *)complaints.p : "");
    if (st != ST_OK && complaints.n == 0) {
        log_error("%s", e.text);
    }
    int code = st == ST_OK || st == ST_BAD ? show(x, NULL, a) : CLI_FAILED;
    code = code == CLI_DONE && st == ST_BAD ? CLI_USAGE : code;
    buf_done(&complaints);
    indicators_close(x);
    return code;
}

/* ---- what feeds nothing --------------------------------------------------------------------- */

struct noting {
    const struct cli_config *c;
    const char *path;
};

/* 0: it is none of `devices`. */
static int line_of(const struct cli_config *c, const char *id)
{
    const struct cfg_items *d = &c->collect.devices;
    for (size_t i = 0; i < d->n; i++) {
        const void *item = (const char *)d->v + i * collect_device_table.struct_size;
        if (strcmp(*(char *const *)item, id) == 0) { /* cfg.h: its first member */
            return cfg_line(c->cfg, item);
        }
    }
    return 0;
}

static void note(const struct indicator_unfed *u, void *arg)
{
    const struct noting *n = arg;
    int line = line_of(n->c, u->device);
    char at[16] = "";
    if (line > 0) {
        (void)snprintf(at, sizeof(at), ":%d", line);
    }
    (void)fprintf(stderr, "%s%s: warning: %s: %s\n", n->path, at, u->device, u->why);
}

void cli_note_unfed(const struct cli_config *c, const struct store *s, const char *path)
{
    struct noting n = {c, path};
    indicators_unfed(c->indicators_room, s, note, &n);
}

/* With all series that it configures, in a store without a file. */
static int of_site(struct asked *a)
{
    struct cli_config c;
    struct store *s = NULL;
    struct err e = {0};
    enum st st = cli_config_load(&c, a->config, &e);
    if (st == ST_OK) {
        st = cli_config_declared(&c, &s, &e);
    }
    int n = cli_complain(c.cfg), code = st == ST_MEMORY ? CLI_FAILED : CLI_USAGE;
    if (st != ST_OK && n == 0) {
        log_error("%s", e.text);
    }
    if (st == ST_OK && n == 0 && cfg_line(c.cfg, &c.indicator) == 0) {
        (void)fprintf(stderr, "%s: has no section `indicator`: nothing is computed\n", a->config);
        code = CLI_DONE;
    } else if (st == ST_OK && n == 0) {
        code = show(c.indicators_room, s, a);
        if (!a->id && code == CLI_DONE) {
            cli_note_unfed(&c, s, a->config);
        }
    }
    store_close(s);
    cli_config_done(&c);
    return code;
}

int cli_indicators(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct asked a = {0};
    int code = CLI_DONE;
    optind = 0;
    for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (o == 'c') {
            a.config = optarg;
        } else if (o == 'j') {
            a.json = true;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (argc - optind > 1) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    a.id = argv[optind];
    return a.config ? of_site(&a) : of_installed(&a);
}
