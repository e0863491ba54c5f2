/* A sheet as one page of HTML: nothing is fetched, nothing runs; a table on paper and on a wide
 * screen, a card for each indicator on a phone. */
#include "gateway/cli/sheet.h"

#include <stdio.h>
#include <string.h>

#include "gateway/cli/qr.h"

static const char style[] =
    "@page{size:A4 landscape;margin:12mm 10mm}\n"
    "*{box-sizing:border-box}\n"
    "body{font:14px/1.4 \"DejaVu Sans\",\"Noto Sans\",Arial,sans-serif;color:#111;background:#fff;"
    "margin:0 auto;padding:16px;max-width:1180px}\n"
    "header{display:flex;gap:16px;justify-content:space-between;align-items:flex-start}\n"
    "h1{font-size:20px;margin:0 0 8px}h2{font-size:16px;margin:20px 0 8px}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 12px;margin:0}\n"
    "dt{color:#444}dd{margin:0;overflow-wrap:anywhere}\n"
    "figure{margin:0;width:132px;flex:none;text-align:center;font-size:10px;color:#444}\n"
    "figure svg{width:132px;height:132px;display:block}\n"
    "table{border-collapse:collapse;width:100%;margin-top:16px}\n"
    "th,td{border:1px solid #777;padding:5px 6px;text-align:left;vertical-align:top;"
    "overflow-wrap:break-word}\n"
    "th{background:#e8edf3}thead{display:table-header-group}tr{break-inside:avoid}\n"
    "td p{margin:0}.strong{font-weight:700}.small{font-size:11px;color:#444}"
    ".warning{color:#9a1c00}\n"
    ".value .strong{font-size:16px;white-space:nowrap}\n"
    ".state{display:inline-block;border:2px solid #111;padding:1px 8px;font-weight:700;"
    "margin-bottom:8px}\n"
    ".draft{border-color:#9a1c00;color:#9a1c00}\n"
    "footer{margin-top:16px;font-size:11px;color:#444;overflow-wrap:anywhere}\n"
    "@media screen and (max-width:760px){header{flex-direction:column}\n"
    "dl{grid-template-columns:1fr}dt{font-size:12px;margin-top:4px}\n"
    "table,tbody,tr,td{display:block;width:100%}thead{display:none}\n"
    "tr{border:1px solid #777;border-radius:6px;margin-bottom:12px;padding:8px}\n"
    "td{border:0;padding:3px 0}td:empty{display:none}\n"
    "td[data-name]::before{content:attr(data-name);display:block;font-size:11px;color:#444}\n"
    "td.number{display:none}}\n"
    "@media print{body{font-size:11px;padding:0;max-width:none}.small{font-size:9px}"
    "footer{font-size:9px}h1{font-size:17px}"
    "th{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

static enum st put(struct buf *out, const char *text)
{
    return buf_put(out, text, strlen(text));
}

/* Also for attributes between double quotes. */
static enum st put_text(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        const char *as = *p == '&'    ? "&amp;"
                         : *p == '<'  ? "&lt;"
                         : *p == '>'  ? "&gt;"
                         : *p == '"'  ? "&quot;"
                         : *p == '\'' ? "&#39;"
                                      : NULL;
        ERR_TRY(as ? put(out, as) : buf_put(out, p, 1));
    }
    return ST_OK;
}

static enum st put_element(struct buf *out, const char *name, const char *class, const char *text)
{
    ERR_TRY(buf_printf(out, "<%s%s%s%s>", name, class ? " class=\"" : "", class ? class : "",
                       class ? "\"" : ""));
    ERR_TRY(put_text(out, text));
    return buf_printf(out, "</%s>", name);
}

/* ---- the head ----------------------------------------------------------------------------------
 */

struct picture {
    struct buf *out;
    int side;
    bool begun;
};

static enum st dark(void *ctx, int x, int y)
{
    struct picture *p = ctx;
    if (!p->begun)
        ERR_TRY(buf_printf(p->out,
                           "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                           "shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR\">"
                           "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/><path d=\"",
                           p->side, p->side, p->side, p->side));
    p->begun = true;
    return buf_printf(p->out, "M%d %dh1v1h-1z", x, y);
}

static enum st put_head(struct buf *out, const struct report *r, enum report_language l,
                        struct err *e)
{
    static const char *const classes[REPORT_STATES] = {"state draft", "state", "state"};
    char text[SHEET_TEXT_BYTES];
    const char *name = NULL;
    struct picture p = {.out = out};
    ERR_TRY(buf_printf(out,
                       "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\">"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                       "style-src 'unsafe-inline'\">"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
                       l == REPORT_VI ? "vi" : "en"));
    (void)snprintf(text, sizeof text, "%s %s, %s", sheet_word(SHEET_TITLE, l), r->period.text,
                   r->territory_name[l]);
    ERR_TRY(put_element(out, "title", NULL, text));
    ERR_TRY(buf_printf(out, "<style>\n%s</style></head><body>\n<header><div>", style));
    ERR_TRY(put_element(out, "h1", NULL, sheet_word(SHEET_TITLE, l)));
    ERR_TRY(put_element(out, "div", classes[r->state], sheet_state(r->state, l)));
    ERR_TRY(put(out, "<dl>"));
    for (size_t i = 0; sheet_line(r, l, i, &name, text); i++) {
        if (!text[0])
            continue;
        ERR_TRY(put_element(out, "dt", NULL, name));
        ERR_TRY(put_element(out, "dd", NULL, text));
    }
    ERR_TRY(put(out, "</dl></div>\n<figure>"));
    ERR_TRY(qr_draw(sheet_qr(r, (char[SHEET_QR_BYTES]){""}), &p.side, dark, &p, e));
    ERR_TRY(put(out, "\"/></svg>"));
    ERR_TRY(put_element(out, "figcaption", NULL, sheet_word(SHEET_SCAN, l)));
    return put(out, "</figure></header>\n");
}

/* ---- the tables --------------------------------------------------------------------------------
 */

static enum st put_cell(struct buf *out, const struct report *r, size_t row, enum sheet_column c,
                        enum report_language l)
{
    static const char *const styles[] = {[SHEET_PLAIN] = NULL,
                                         [SHEET_STRONG] = "strong",
                                         [SHEET_SMALL] = "small",
                                         [SHEET_WARNING] = "warning"};
    static const char *const classes[SHEET_COLUMNS] = {
        [SHEET_NUMBER] = " class=\"number\"", [SHEET_VALUE] = " class=\"value\""};
    struct sheet_piece pieces[SHEET_PIECES];
    size_t n = sheet_cell(r, row, c, l, pieces);
    ERR_TRY(buf_printf(out, "<td%s", classes[c] ? classes[c] : ""));
    if (c != SHEET_INDICATOR && n > 0) {
        ERR_TRY(put(out, " data-name=\""));
        ERR_TRY(put_text(out, sheet_heading(c, l)));
        ERR_TRY(put(out, "\""));
    }
    ERR_TRY(put(out, ">"));
    for (size_t i = 0; i < n; i++)
        ERR_TRY(put_element(out, "p", styles[pieces[i].style], pieces[i].text));
    return put(out, "</td>");
}

static enum st put_rows(struct buf *out, const struct report *r, enum report_language l)
{
    ERR_TRY(put(out, "<table><thead><tr>"));
    for (int c = 0; c < SHEET_COLUMNS; c++)
        ERR_TRY(put_element(out, "th", NULL, sheet_heading((enum sheet_column)c, l)));
    ERR_TRY(put(out, "</tr></thead><tbody>\n"));
    for (size_t i = 0; i < r->n; i++) {
        ERR_TRY(put(out, "<tr>"));
        for (int c = 0; c < SHEET_COLUMNS; c++)
            ERR_TRY(put_cell(out, r, i, (enum sheet_column)c, l));
        ERR_TRY(put(out, "</tr>\n"));
    }
    return put(out, "</tbody></table>\n");
}

static enum st put_changes(struct buf *out, const struct report *r, enum report_language l)
{
    static const enum sheet_word heads[] = {SHEET_WAS, SHEET_NOW, SHEET_WHY};
    if (r->nchanges == 0)
        return ST_OK;
    ERR_TRY(put_element(out, "h2", NULL, sheet_changes(r, l)));
    ERR_TRY(put(out, "<table><thead><tr>"));
    ERR_TRY(put_element(out, "th", NULL, sheet_heading(SHEET_INDICATOR, l)));
    for (size_t i = 0; i < 3; i++)
        ERR_TRY(put_element(out, "th", NULL, sheet_word(heads[i], l)));
    ERR_TRY(put(out, "</tr></thead><tbody>\n"));
    for (size_t k = 0; k < r->nchanges; k++) {
        const struct report_change *c = &r->changes[k];
        const char *const texts[] = {c->was[l], c->now[l], c->why[l]};
        ERR_TRY(put(out, "<tr>"));
        ERR_TRY(put_element(out, "td", "strong", c->name[l]));
        for (size_t i = 0; i < 3; i++) {
            ERR_TRY(put(out, "<td data-name=\""));
            ERR_TRY(put_text(out, sheet_word(heads[i], l)));
            ERR_TRY(put(out, "\">"));
            ERR_TRY(put_text(out, texts[i]));
            ERR_TRY(put(out, "</td>"));
        }
        ERR_TRY(put(out, "</tr>\n"));
    }
    return put(out, "</tbody></table>\n");
}

static enum st put_page(struct buf *out, const struct report *r, enum report_language l,
                        struct err *e)
{
    char when[64], text[SHEET_TEXT_BYTES];
    ERR_TRY(put_head(out, r, l, e));
    ERR_TRY(put(out, "<main>\n"));
    ERR_TRY(put_changes(out, r, l));
    ERR_TRY(put_rows(out, r, l));
    ERR_TRY(put(out, "</main>\n"));
    (void)snprintf(text, sizeof text, "%s: %s · %s: %s", sheet_word(SHEET_MADE, l),
                   sheet_time(r->made_ms, l, when), sheet_word(SHEET_CATALOGUE, l), r->catalogue);
    ERR_TRY(put_element(out, "footer", NULL, text));
    return put(out, "\n</body></html>\n");
}

enum st sheet_html(struct buf *out, const struct report *r, enum report_language l, struct err *e)
{
    enum st st = put_page(out, r, l, e);
    return st == ST_OK ? st : err_set(e, st, "the report is too large for a page");
}
