/* Norms: tables of breakpoints and limits with the dates on which they are valid, one YAML file
 * each (gateway/doc/indicator.md, 7). */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "gateway/indicator/indicator_int.h"

#define TEXT(k, m)                                                                                 \
    .key = k, .kind = CFG_STRING, .offset = offsetof(struct indicator_text, m), .required = true
static const struct cfg_field text_fields[] = {{TEXT("vi", vi), .help = "in Vietnamese"},
                                               {TEXT("en", en), .help = "in English"},
                                               {.key = NULL}};
const struct cfg_table indicator_text_table = {sizeof(struct indicator_text), text_fields};

#define COLUMN(k, m) .key = k, .offset = offsetof(struct indicator_column, m)
static const struct cfg_field column_fields[] = {
    {COLUMN("unit", unit), .kind = CFG_STRING, .help = "of its breakpoints; absent: a bare number"},
    {COLUMN("at", bp), .kind = CFG_STRINGS,
     .help = "the breakpoint of each index, rising; \"-\": none from there on"},
    {.key = NULL}};
static const struct cfg_table column_table = {sizeof(struct indicator_column), column_fields};

static const char *const windows[] = {"1h", "8h", "24h", "year"};
#define WINDOWS (sizeof windows / sizeof *windows)

#define LIMIT(k, m) .key = k, .offset = offsetof(struct indicator_limit, m)
static const struct cfg_field limit_fields[] = {
    {LIMIT("parameter", parameter), .kind = CFG_ID, .required = true, .help = "what is limited"},
    {LIMIT("window", window), .kind = CFG_STRING, .required = true,
     .help = "of the mean that is limited: 1h, 8h, 24h or year"},
    {LIMIT("unit", unit), .kind = CFG_STRING, .help = "of the value; absent: a bare number"},
    {LIMIT("value", value), .kind = CFG_DECIMAL, .required = true, .help = "the limit"},
    {LIMIT("from", from), .kind = CFG_STRING, .help = "first day on which it is valid"},
    {LIMIT("until", until), .kind = CFG_STRING, .help = "last day on which it is valid"},
    {LIMIT("source", source), .kind = CFG_STRING, .help = "where it is from; absent: the norm's"},
    {.key = NULL}};
static const struct cfg_table limit_table = {sizeof(struct indicator_limit), limit_fields};

#define NORM(k, m) .key = k, .offset = offsetof(struct indicator_norm, m)
static const struct cfg_field norm_fields[] = {
    {NORM("id", id), .kind = CFG_ID, .required = true, .help = "the name of the file"},
    {NORM("name", name), .kind = CFG_STRUCT, .sub = &indicator_text_table, .required = true,
     .help = "what people call it, in both languages"},
    {NORM("source", source), .kind = CFG_STRING, .required = true,
     .help = "where the numbers are from"},
    {NORM("index", index), .kind = CFG_STRINGS, .help = "the index values of the table"},
    {NORM("columns", column), .kind = CFG_MAP, .sub = &column_table,
     .help = "breakpoints, one for each index value"},
    {NORM("limits", limit), .kind = CFG_LIST, .sub = &limit_table,
     .help = "limits, and when they are valid"},
    {.key = NULL}};
const struct cfg_table indicator_norm_table = {sizeof(struct indicator_norm), norm_fields};

/* ---- dates ---------------------------------------------------------------------------------- */

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Howard Hinnant, "chrono-compatible low-level date algorithms": days_from_civil. */
bool indicator_date_parse(const char *text, int32_t *day)
{
    static const char form[] = "dddd-dd-dd";
    int part[3] = {0}, k = 0;
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == '-' ? text[i] != '-' : text[i] < '0' || text[i] > '9')
            return false;
        if (form[i] == '-')
            k++;
        else
            part[k] = part[k] * 10 + (text[i] - '0');
    }
    if (part[0] < 1970 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > days_of(part[0], part[1]))
        return false;
    int y = part[0] - (part[1] <= 2), era = y / 400, of_era = y % 400;
    int of_year = (153 * ((part[1] + 9) % 12) + 2) / 5 + part[2] - 1;
    *day = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return true;
}

/* ---- checks --------------------------------------------------------------------------------- */

static void check_rising(struct cfg *c, const struct indicator_column *col, size_t want)
{
    struct num before = {.kind = NUM_NONE};
    size_t given = 0;
    for (size_t i = 0; i < col->bp.n; i++) {
        struct num v;
        if (strcmp(col->bp.v[i], "-") == 0)
            continue;
        if (!num_parse(col->bp.v[i], &v)) {
            cfg_complain(c, &col->bp.v[i], "%s: \"%s\" is not a decimal number", col->id,
                         col->bp.v[i]);
            return;
        }
        if (i != given)
            cfg_complain(c, &col->bp.v[i], "%s: a breakpoint behind \"-\"", col->id);
        if (before.kind != NUM_NONE && num_cmp(before, v) >= 0)
            cfg_complain(c, &col->bp.v[i], "%s: the breakpoint %s is not above the one before",
                         col->id, col->bp.v[i]);
        before = v;
        given++;
    }
    if (col->bp.n != want)
        cfg_complain(c, col, "%s: %zu breakpoints for %zu index values", col->id, col->bp.n, want);
    else if (given < 2)
        cfg_complain(c, col, "%s: a table needs two breakpoints at least", col->id);
}

static void check_table(struct cfg *c, const struct indicator_norm *n)
{
    const struct indicator_column *col = n->column.v;
    for (size_t i = 0; i < n->index.n; i++) {
        struct num v;
        if (!num_parse(n->index.v[i], &v))
            cfg_complain(c, &n->index.v[i], "index: \"%s\" is not a decimal number", n->index.v[i]);
    }
    if ((n->index.n > 0) != (n->column.n > 0))
        cfg_complain(c, n->index.n > 0 ? (const void *)&n->index : &n->column,
                     "index and columns are given together, or neither");
    for (size_t i = 0; i < n->column.n; i++)
        check_rising(c, &col[i], n->index.n);
}

static bool read_date(struct cfg *c, char *const *text, int32_t *day)
{
    if (!*text || indicator_date_parse(*text, day))
        return true;
    cfg_complain(c, text, "\"%s\" is not a date: write it as 2026-01-31", *text);
    return false;
}

static bool known_window(const char *w)
{
    for (size_t i = 0; i < WINDOWS; i++)
        if (strcmp(windows[i], w) == 0)
            return true;
    return false;
}

static void check_limit(struct cfg *c, const struct indicator_norm *n, struct indicator_limit *l)
{
    l->from_day = INT32_MIN;
    l->until_day = INT32_MAX;
    bool dated = read_date(c, &l->from, &l->from_day) && read_date(c, &l->until, &l->until_day);
    if (!known_window(l->window))
        cfg_complain(c, &l->window, "unknown window \"%s\": 1h, 8h, 24h or year", l->window);
    if (!dated) { /* never valid: its days would only bring complaints that are not true */
        l->from_day = INT32_MAX;
        l->until_day = INT32_MIN;
    } else if (l->until_day < l->from_day)
        cfg_complain(c, &l->until, "%s %s: it ends on %s, before it begins on %s", l->parameter,
                     l->window, l->until, l->from);
    const struct indicator_limit *all = n->limit.v;
    for (const struct indicator_limit *o = all; o < l; o++)
        if (strcmp(o->parameter, l->parameter) == 0 && strcmp(o->window, l->window) == 0 &&
            o->from_day <= l->until_day && l->from_day <= o->until_day)
            cfg_complain(c, &l->parameter, "%s %s: valid on the same days as the limit of line %d",
                         l->parameter, l->window, cfg_line(c, &o->parameter));
}

void indicator_norm_check(struct indicator_file *f)
{
    struct indicator_norm *n = &f->norm;
    check_table(f->cfg, n);
    struct indicator_limit *limit = n->limit.v;
    for (size_t i = 0; i < n->limit.n; i++)
        check_limit(f->cfg, n, &limit[i]);
}

const struct indicator_limit *indicator_limit_on(const struct indicator_norm *n,
                                                 const char *parameter, const char *window,
                                                 int32_t day)
{
    const struct indicator_limit *l = n->limit.v;
    for (size_t i = 0; i < n->limit.n; i++)
        if (strcmp(l[i].parameter, parameter) == 0 && strcmp(l[i].window, window) == 0 &&
            l[i].from_day <= day && day <= l[i].until_day)
            return &l[i];
    return NULL;
}
