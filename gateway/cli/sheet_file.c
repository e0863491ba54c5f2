/* The file of a sheet: what it says, who approved and submitted it, and what it takes the place of.
 * The same sheet is always the same bytes: one that would be written otherwise than it stands there
 * is damaged. */
#include "gateway/cli/sheet_keep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD "fieldpost sheet 1\n"
#define ACTS 2
static const char *const act_text[ACTS] = {"approved", "submitted"};

/* "approved MS WHO\n" at *at; false: it is none. */
static bool read_act(struct report *r, const char **at, const char *word, struct report_act *out)
{
    size_t n = strlen(word);
    char who[SHEET_WHO_MAX + 1], ms[32];
    const char *end = strchr(*at, '\n');
    struct num v;
    if (strncmp(*at, word, n) != 0 || (*at)[n] != ' ' || !end)
        return false;
    const char *number = *at + n + 1, *name = memchr(number, ' ', (size_t)(end - number));
    if (!name || name - number >= (ptrdiff_t)sizeof ms || end - name - 1 > SHEET_WHO_MAX ||
        end - name < 2)
        return false;
    (void)snprintf(ms, sizeof ms, "%.*s", (int)(name - number), number);
    (void)snprintf(who, sizeof who, "%.*s", (int)(end - name - 1), name + 1);
    *at = end + 1;
    if (!num_parse(ms, &v) || v.kind != NUM_DEC || v.exp != 0)
        return false;
    out->at_ms = v.i;
    out->who = report_text(r, who);
    return out->who != NULL;
}

/* "version N DIGEST WHY\n" at *at, or nothing of the first; false: something else. */
static bool read_version(struct report *r, const char **at)
{
    static const char word[] = "version ";
    char number[8], digest[2 * WIRE_HASH_BYTES + 1], why[SHEET_WHY_MAX + 1];
    const char *end = strchr(*at, '\n');
    struct num v;
    r->version = 1;
    if (strncmp(*at, word, strlen(word)) != 0 || !end)
        return true;
    const char *from = *at + strlen(word), *old = memchr(from, ' ', (size_t)(end - from));
    ptrdiff_t n = old ? old++ - from : 0, left = old ? end - old - (ptrdiff_t)sizeof digest : 0;
    if (n == 0 || n >= (ptrdiff_t)sizeof number || left < 1 || left > SHEET_WHY_MAX)
        return false;
    const char *reason = old + sizeof digest;
    (void)snprintf(number, sizeof number, "%.*s", (int)n, from);
    (void)snprintf(digest, sizeof digest, "%s", old);
    (void)snprintf(why, sizeof why, "%.*s", (int)left, reason);
    *at = end + 1;
    if (!num_parse(number, &v) || v.kind != NUM_DEC || v.exp != 0 || v.i < 2 ||
        v.i > SHEET_VERSIONS)
        return false;
    r->version = (unsigned)v.i;
    r->replaces = report_text(r, digest);
    r->reason = report_text(r, why);
    return r->replaces && r->reason;
}

static enum st parse(struct report *out, const char *text, struct err *e)
{
    struct report_act acts[ACTS] = {{.who = ""}, {.who = ""}};
    const char *body = strstr(text, "\n\n");
    size_t got = 0;
    if (strncmp(text, HEAD, strlen(HEAD)) != 0 || !body)
        return err_set(e, ST_CORRUPT, "not a sheet as fieldpost writes it");
    ERR_TRY(sheet_read(out, body + 2, e));
    const char *at = strchr(text + strlen(HEAD), '\n') + 1; /* behind the digest; body has an end */
    bool good = read_version(out, &at);
    while (good && got < ACTS && read_act(out, &at, act_text[got], &acts[got]))
        got++;
    if (got == 0)
        return err_set(e, ST_CORRUPT, "a sheet that nobody approved");
    out->approved = acts[0];
    out->submitted = acts[1];
    out->state = got == ACTS ? REPORT_SUBMITTED : REPORT_APPROVED;
    return ST_OK;
}

enum st sheet_file_write(struct buf *out, const struct report *r, struct err *e)
{
    const struct report_act *const acts[ACTS] = {&r->approved, &r->submitted};
    enum st st = buf_printf(out, HEAD "%s\n", r->digest);
    if (st == ST_OK && r->version > 1)
        st = buf_printf(out, "version %u %s %s\n", r->version, r->replaces, r->reason);
    for (int i = 0; st == ST_OK && i < ACTS && i < (int)r->state; i++)
        st = buf_printf(out, "%s %" PRId64 " %s\n", act_text[i], acts[i]->at_ms, acts[i]->who);
    if (st == ST_OK)
        st = buf_put(out, "\n", 1);
    if (st == ST_OK)
        st = buf_put(out, r->content.p, r->content.n);
    return st == ST_OK ? st : err_set(e, st, "the sheet does not fit into its file");
}

enum st sheet_file_read(struct report *out, const char *text, size_t n, struct err *e)
{
    struct buf again;
    report_init(out);
    if (strlen(text) != n)
        return err_set(e, ST_CORRUPT, "not a sheet as fieldpost writes it");
    ERR_TRY(parse(out, text, e));
    buf_init(&again, SHEET_FILE_MAX);
    enum st st = sheet_file_write(&again, out, e);
    if (st == ST_OK && (again.n != n || memcmp(again.p, text, n) != 0))
        st = err_set(e, ST_CORRUPT, "a sheet that is not what was approved");
    buf_done(&again);
    return st;
}
