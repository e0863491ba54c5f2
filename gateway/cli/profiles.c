/* fieldpost profiles: the models that it knows, and where each register map is from. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost profiles [--json] [PROFILE...]\n"
    "\n"
    "Shows the named profiles (installed ones, or files), or all that are installed: the model, "
    "what it\n"
    "is, what it measures, where its register map is from, and whether that was verified by a "
    "second\n"
    "source. Exit code 2 when one of them has mistakes.\n";

#define WHY_MAX_BYTES (256 * 1024)

static const char *verified(const struct collect_about *a)
{
    return a->verified ? "verified" : "unverified";
}

static const char *source(const struct collect_about *a)
{
    return a->source ? a->source : "it names no source";
}

static enum st note(const struct collect_about *a, void *arg)
{
    (void)arg;
    (void)fprintf(stderr, "profile %s: %s, %s: %s\n", a->name, a->model, verified(a), source(a));
    return ST_OK;
}

void cli_note_profiles(const struct collect *k)
{
    if (collect_used_tell(k, note, NULL) != ST_OK) {
        log_error("no memory to tell of the profiles");
    }
}

static enum st print(const struct collect_about *a, void *arg)
{
    (void)arg;
    (void)printf("%s: %s%s%s, %s\n   ", a->name, a->model, a->what ? ", " : "",
                 a->what ? a->what : "", verified(a));
    for (size_t i = 0; i < a->n; i++) {
        (void)printf(" %s", a->quantities[i]->key);
    }
    (void)printf("\n    %s\n", source(a));
    return ST_OK;
}

static enum st collect_json(const struct collect_about *a, void *arg)
{
    json_t *quantities = json_array();
    for (size_t i = 0; quantities && i < a->n; i++) {
        if (json_array_append_new(quantities, json_string(a->quantities[i]->key)) != 0) {
            json_decref(quantities);
            return ST_MEMORY;
        }
    }
    json_t *o =
        json_pack("{s:s, s:s, s:s?, s:o, s:b, s:s?}", "profile", a->name, "model", a->model, "what",
                  a->what, "quantities", quantities, "verified", a->verified, "source", a->source);
    return json_array_append_new(arg, o) == 0 ? ST_OK : ST_MEMORY;
}

static int show(char *const *names, size_t n, bool json)
{
    char dir[4096];
    struct buf why;
    json_t *all = json ? json_array() : NULL;
    buf_init(&why, WHY_MAX_BYTES);
    enum st st = json && !all ? ST_MEMORY
                              : collect_profiles_tell(cli_profile_dir(dir, sizeof(dir)), names, n,
                                                      json ? collect_json : print, all, &why);
    if (st != ST_MEMORY && all) {
        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
    json_decref(all);
    (void)fprintf(stderr, "%.*s", (int)why.n, why.n > 0 ? (const char *)why.p : "");
    if (st != ST_OK && why.n == 0) {
        log_error("fieldpost profiles: %s", err_name(st));
    }
    buf_done(&why);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("fieldpost profiles: standard output cannot be written");
        return CLI_FAILED;
    }
    return st == ST_OK ? CLI_DONE : st == ST_BAD || st == ST_NOT_FOUND ? CLI_USAGE : CLI_FAILED;
}

int cli_profiles(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool json = false;
    int code = CLI_DONE;
    optind = 0;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (o != 'j') {
            (void)cli_usage(o, usage, &code);
            return code;
        }
        json = true;
    }
    return show(argv + optind, (size_t)(argc - optind), json);
}
