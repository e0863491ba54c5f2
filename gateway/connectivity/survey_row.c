/* From the text of a survey app's file to rows of fields. */
#include "gateway/connectivity/survey_int.h"

#include <string.h>

static struct connectivity_text trimmed(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\r' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\r' || end[-1] == '\t'))
        end--;
    return (struct connectivity_text){p, (size_t)(end - p)};
}

/* One field; moves to what ended it. `last` is the last line that it may reach. */
static struct connectivity_text field(struct connectivity_rows *r, uint32_t last, bool *open)
{
    const char *from = r->p;
    while (from < r->end && *from == ' ')
        from++;
    if (from == r->end || *from != '"') {
        while (r->p < r->end && *r->p != r->between && *r->p != '\n')
            r->p++;
        return trimmed(from < r->p ? from : r->p, r->p);
    }
    const char *p = ++from;
    uint32_t first = r->line;
    while (p < r->end && r->line <= last && (*p != '"' || (p + 1 < r->end && p[1] == '"'))) {
        r->line += *p == '\n';
        p += *p == '"' ? 2 : 1;
    }
    *open = p >= r->end || r->line > last;
    const char *to = p < r->end ? p : r->end;
    for (r->p = to; r->p < r->end && *r->p != r->between && *r->p != '\n';)
        r->p++;
    /* what ended it on another line, with text behind it, was no end of a field */
    *open |= r->line > first && trimmed(to, r->p).n > 1;
    return trimmed(from, to);
}

bool connectivity_row_fits(struct connectivity_row *row, size_t columns)
{
    while (row->n > columns && row->field[row->n - 1].n == 0)
        row->n--;
    return row->n == columns && !row->crowded;
}

static void row_read(struct connectivity_rows *r, struct connectivity_row *out)
{
    *out = (struct connectivity_row){.line = r->line};
    while (!out->open) {
        struct connectivity_text t = field(r, out->line + CONNECTIVITY_ROW_LINES - 1, &out->open);
        if (out->n < CONNECTIVITY_ROW_FIELDS)
            out->field[out->n++] = t;
        else
            out->crowded |= t.n > 0;
        if (r->p == r->end)
            return;
        if (*r->p++ == '\n') {
            r->line++;
            return;
        }
    }
}

bool connectivity_row_next(struct connectivity_rows *r, size_t columns,
                           struct connectivity_row *out)
{
    const char *eol;
    for (;;) {
        if (r->p == r->end)
            return false;
        eol = memchr(r->p, '\n', (size_t)(r->end - r->p));
        if (*r->p != '#' && trimmed(r->p, eol ? eol : r->end).n > 0)
            break;
        r->p = eol ? eol + 1 : r->end;
        r->line++;
    }
    row_read(r, out);
    bool crossed = eol && r->p > eol + 1;
    out->open |= crossed && columns > 0 && !connectivity_row_fits(out, columns);
    if (out->open) { /* a stray quote costs its own line alone */
        r->p = eol ? eol + 1 : r->end;
        r->line = out->line + 1;
    }
    return true;
}
