/* A sheet as PDF, A4 lying, drawn by cairo with text by pango. */
#include "gateway/cli/sheet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cairo-pdf.h>
#include <pango/pangocairo.h>

#include "gateway/cli/qr.h"
#include "gateway/cli/sheet_lib.h"

#define CAIRO_CALLS(X)                                                                             \
    X(cairo_pdf_surface_create_for_stream)                                                         \
    X(cairo_pdf_surface_set_metadata)                                                              \
    X(cairo_surface_finish)                                                                        \
    X(cairo_surface_destroy)                                                                       \
    X(cairo_surface_status)                                                                        \
    X(cairo_create)                                                                                \
    X(cairo_destroy)                                                                               \
    X(cairo_status)                                                                                \
    X(cairo_status_to_string)                                                                      \
    X(cairo_show_page)                                                                             \
    X(cairo_move_to)                                                                               \
    X(cairo_rectangle)                                                                             \
    X(cairo_fill)                                                                                  \
    X(cairo_stroke)                                                                                \
    X(cairo_set_line_width)                                                                        \
    X(cairo_set_source_rgb)
#define PANGO_CALLS(X)                                                                             \
    X(pango_layout_set_text)                                                                       \
    X(pango_layout_set_width)                                                                      \
    X(pango_layout_set_wrap)                                                                       \
    X(pango_layout_set_font_description)                                                           \
    X(pango_layout_get_size)                                                                       \
    X(pango_layout_get_unknown_glyphs_count)                                                       \
    X(pango_font_description_from_string)                                                          \
    X(pango_font_description_free)
#define PANGOCAIRO_CALLS(X)                                                                        \
    X(pango_cairo_create_layout)                                                                   \
    X(pango_cairo_show_layout)
#define GOBJECT_CALLS(X) X(g_object_unref)
struct lib {
    CAIRO_CALLS(SHEET_CALL)
    PANGO_CALLS(SHEET_CALL)
    PANGOCAIRO_CALLS(SHEET_CALL)
    GOBJECT_CALLS(SHEET_CALL)
};
#define CAIRO_SYMBOL(name) {"libcairo.so.2", #name, offsetof(struct lib, name)},
#define PANGO_SYMBOL(name) {"libpango-1.0.so.0", #name, offsetof(struct lib, name)},
#define PANGOCAIRO_SYMBOL(name) {"libpangocairo-1.0.so.0", #name, offsetof(struct lib, name)},
#define GOBJECT_SYMBOL(name) {"libgobject-2.0.so.0", #name, offsetof(struct lib, name)},
static const struct sheet_symbol symbols[] = {CAIRO_CALLS(CAIRO_SYMBOL) PANGO_CALLS(
    PANGO_SYMBOL) PANGOCAIRO_CALLS(PANGOCAIRO_SYMBOL) GOBJECT_CALLS(GOBJECT_SYMBOL){NULL, NULL, 0}};

/* In points. */
#define PAGE_W 841.89
#define PAGE_H 595.28
#define MARGIN 34.0
#define BOTTOM (PAGE_H - MARGIN - 14.0) /* above the foot */
#define PAD 3.0
#define QR_SIDE 96.0
#define FAMILY "DejaVu Sans, Noto Sans, Liberation Sans, Sans"
/* All letters of Vietnamese that are not ASCII, and the signs that a sheet has. */
#define LETTERS                                                                                                                                                                           \
    "ÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬĐÈÉẺẼẸÊỀẾỂỄỆÌÍỈĨỊÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢÙÚỦŨỤƯỪỨỬỮỰỲÝỶỸỴ" \
    "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ≤≥≠−µ³²°→"

enum look { LOOK_TITLE, LOOK_STATE, LOOK_PLAIN, LOOK_STRONG, LOOK_SMALL, LOOK_WARNING, LOOKS };
static const struct {
    const char *font;
    double red, green, blue;
} looks[LOOKS] = {[LOOK_TITLE] = {FAMILY " Bold 15", 0, 0, 0},
                  [LOOK_STATE] = {FAMILY " Bold 11", 0, 0, 0},
                  [LOOK_PLAIN] = {FAMILY " 8", 0, 0, 0},
                  [LOOK_STRONG] = {FAMILY " Bold 8", 0, 0, 0},
                  [LOOK_SMALL] = {FAMILY " 6.5", 0.25, 0.25, 0.25},
                  [LOOK_WARNING] = {FAMILY " 8", 0.6, 0.11, 0}};
static const enum look look_of[] = {[SHEET_PLAIN] = LOOK_PLAIN,
                                    [SHEET_STRONG] = LOOK_STRONG,
                                    [SHEET_SMALL] = LOOK_SMALL,
                                    [SHEET_WARNING] = LOOK_WARNING};
static const double widths[SHEET_COLUMNS] = {26, 250, 52, 98, 84, 72, 84, 107};

struct pdf {
    struct lib x;
    cairo_surface_t *surface;
    cairo_t *c;
    PangoLayout *layout;
    PangoFontDescription *font[LOOKS];
    const struct report *r;
    enum report_language l;
    struct buf *out;
    enum st st;
    double y;
    unsigned page, pages; /* pages 0: they are being counted */
    int side;             /* of the QR code, in modules */
};

static cairo_status_t take(void *ctx, const unsigned char *p, unsigned n)
{
    struct pdf *d = ctx;
    if (d->pages > 0 && d->st == ST_OK)
        d->st = buf_put(d->out, p, n);
    return d->st == ST_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* ---- text --------------------------------------------------------------------------------------
 */

/* Draws it, or with draw false measures it alone. Its height. */
static double text(struct pdf *d, double x, double y, double width, enum look look, const char *t,
                   bool draw)
{
    int w = 0, h = 0;
    d->x.pango_layout_set_font_description(d->layout, d->font[look]);
    d->x.pango_layout_set_width(d->layout, (int)(width * PANGO_SCALE));
    d->x.pango_layout_set_text(d->layout, t, -1);
    d->x.pango_layout_get_size(d->layout, &w, &h);
    if (draw) {
        d->x.cairo_set_source_rgb(d->c, looks[look].red, looks[look].green, looks[look].blue);
        d->x.cairo_move_to(d->c, x, y);
        d->x.pango_cairo_show_layout(d->c, d->layout);
    }
    return (double)h / PANGO_SCALE;
}

static void box(struct pdf *d, double x, double y, double w, double h, bool filled)
{
    if (filled) {
        d->x.cairo_set_source_rgb(d->c, 0.91, 0.93, 0.95);
        d->x.cairo_rectangle(d->c, x, y, w, h);
        d->x.cairo_fill(d->c);
    }
    d->x.cairo_set_source_rgb(d->c, 0.45, 0.45, 0.45);
    d->x.cairo_set_line_width(d->c, 0.5);
    d->x.cairo_rectangle(d->c, x, y, w, h);
    d->x.cairo_stroke(d->c);
}

/* ---- pages -------------------------------------------------------------------------------------
 */

static void end_page(struct pdf *d)
{
    char foot[SHEET_TEXT_BYTES], when[64];
    (void)snprintf(foot, sizeof foot, "%s %u/%u · %s %s · %s %s · %s", sheet_word(SHEET_PAGE, d->l),
                   d->page, d->pages, d->r->period.text, d->r->territory_name[d->l],
                   sheet_word(SHEET_MADE, d->l), sheet_time(d->r->made_ms, d->l, when),
                   d->r->digest);
    (void)text(d, MARGIN, PAGE_H - MARGIN - 8, PAGE_W - 2 * MARGIN, LOOK_SMALL, foot, true);
    d->x.cairo_show_page(d->c);
    d->page++;
    d->y = MARGIN;
}

/* ---- the head ----------------------------------------------------------------------------------
 */

static enum st dark(void *ctx, int x, int y)
{
    struct pdf *d = ctx;
    double unit = QR_SIDE / d->side;
    d->x.cairo_rectangle(d->c, PAGE_W - MARGIN - QR_SIDE + x * unit, MARGIN + y * unit, unit, unit);
    return ST_OK;
}

static enum st put_head(struct pdf *d, struct err *e)
{
    char line[SHEET_TEXT_BYTES];
    const char *name = NULL;
    double width = PAGE_W - 2 * MARGIN - QR_SIDE - 12, names = 136;
    d->y += text(d, MARGIN, d->y, width, LOOK_TITLE, sheet_word(SHEET_TITLE, d->l), true) + 2;
    d->y += text(d, MARGIN, d->y, width, LOOK_STATE, sheet_state(d->r->state, d->l), true) + 4;
    for (size_t i = 0; sheet_line(d->r, d->l, i, &name, line); i++) {
        if (!line[0])
            continue;
        double a = text(d, MARGIN, d->y, names, LOOK_PLAIN, name, true);
        double b = text(d, MARGIN + names, d->y, width - names, LOOK_STRONG, line, true);
        d->y += fmax(a, b) + 1.5;
    }
    ERR_TRY(qr_draw(sheet_qr(d->r, (char[SHEET_QR_BYTES]){""}), &d->side, dark, d, e));
    d->x.cairo_set_source_rgb(d->c, 0, 0, 0);
    d->x.cairo_fill(d->c);
    double under = MARGIN + QR_SIDE;
    under += text(d, PAGE_W - MARGIN - QR_SIDE, under, QR_SIDE, LOOK_SMALL,
                  sheet_word(SHEET_SCAN, d->l), true);
    d->y = fmax(d->y, under) + 8;
    return ST_OK;
}

/* ---- tables ------------------------------------------------------------------------------------
 */

/* One line of a table: each cell some pieces. */
#define CELLS_MAX SHEET_COLUMNS
struct cell {
    double width;
    size_t n;
    struct sheet_piece *piece;
};

static double cell_height(struct pdf *d, double x, double y, const struct cell *c, bool draw)
{
    double h = PAD;
    for (size_t i = 0; i < c->n; i++)
        h += text(d, x + PAD, y + h, c->width - 2 * PAD, look_of[c->piece[i].style],
                  c->piece[i].text, draw);
    return h + PAD;
}

static double line_height(struct pdf *d, const struct cell *cells, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, cell_height(d, 0, 0, &cells[i], false));
    return most;
}

static void put_line(struct pdf *d, const struct cell *cells, size_t n, bool head)
{
    double x = MARGIN, h = line_height(d, cells, n);
    for (size_t i = 0; i < n; i++) {
        box(d, x, d->y, cells[i].width, h, head);
        (void)cell_height(d, x, d->y, &cells[i], true);
        x += cells[i].width;
    }
    d->y += h;
}

static void heading(struct sheet_piece *p, const char *t)
{
    p->style = SHEET_STRONG;
    (void)snprintf(p->text, sizeof p->text, "%s", t);
}

/* The cells of a line of the table: row SIZE_MAX: its head. */
typedef void cells_of(struct pdf *d, size_t row, struct cell *cells);

static void row_cells(struct pdf *d, size_t row, struct cell *cells)
{
    for (int c = 0; c < SHEET_COLUMNS; c++) {
        cells[c].width = widths[c];
        cells[c].n = 1;
        if (row == SIZE_MAX)
            heading(cells[c].piece, sheet_heading((enum sheet_column)c, d->l));
        else
            cells[c].n = sheet_cell(d->r, row, (enum sheet_column)c, d->l, cells[c].piece);
    }
}

#define CHANGE_CELLS 4
static void change_cells(struct pdf *d, size_t row, struct cell *cells)
{
    static const double wide[CHANGE_CELLS] = {250, 130, 130, 263};
    const struct report_change *c = row < d->r->nchanges ? &d->r->changes[row] : NULL;
    const char *const texts[CHANGE_CELLS] = {c ? c->name[d->l]
                                               : sheet_heading(SHEET_INDICATOR, d->l),
                                             c ? c->was[d->l] : sheet_word(SHEET_WAS, d->l),
                                             c ? c->now[d->l] : sheet_word(SHEET_NOW, d->l),
                                             c ? c->why[d->l] : sheet_word(SHEET_WHY, d->l)};
    for (int i = 0; i < CHANGE_CELLS; i++) {
        cells[i].width = wide[i];
        cells[i].n = 1;
        heading(cells[i].piece, texts[i]);
        cells[i].piece->style = c && i > 0 ? SHEET_PLAIN : SHEET_STRONG;
    }
}

/* A line that does not fit goes to the next page, below the head once more. */
static void put_table(struct pdf *d, size_t rows, cells_of *of, size_t columns,
                      struct sheet_piece *pieces)
{
    struct cell cells[CELLS_MAX];
    for (size_t i = 0; i < CELLS_MAX; i++)
        cells[i] = (struct cell){.piece = pieces + i * SHEET_PIECES};
    bool head = false;
    for (size_t i = 0; i < rows; i++) {
        of(d, SIZE_MAX, cells);
        double top = line_height(d, cells, columns);
        of(d, i, cells);
        double h = line_height(d, cells, columns);
        if (d->y + h + (head ? 0 : top) > BOTTOM && d->y > MARGIN) {
            end_page(d);
            head = false;
        }
        if (!head) {
            of(d, SIZE_MAX, cells);
            put_line(d, cells, columns, true);
            of(d, i, cells);
        }
        head = true;
        put_line(d, cells, columns, false);
    }
}

static enum st put_all(struct pdf *d, struct sheet_piece *pieces, struct err *e)
{
    d->page = 1;
    d->y = MARGIN;
    ERR_TRY(put_head(d, e));
    if (d->r->nchanges > 0) {
        d->y += text(d, MARGIN, d->y, PAGE_W - 2 * MARGIN, LOOK_STATE, sheet_changes(d->r, d->l),
                     true) +
                2;
        put_table(d, d->r->nchanges, change_cells, CHANGE_CELLS, pieces);
        d->y += 8;
    }
    put_table(d, d->r->n, row_cells, SHEET_COLUMNS, pieces);
    end_page(d);
    return ST_OK;
}

/* ---- the file ----------------------------------------------------------------------------------
 */

static enum st check_font(struct pdf *d, struct err *e)
{
    (void)text(d, 0, 0, PAGE_W, LOOK_PLAIN, LETTERS, false);
    int unknown = d->x.pango_layout_get_unknown_glyphs_count(d->layout);
    return unknown == 0 ? ST_OK
                        : err_set(e, ST_UNSUPPORTED,
                                  "no font here has the letters of Vietnamese (%d are missing): "
                                  "install the package fonts-dejavu-core",
                                  unknown);
}

static void describe(struct pdf *d)
{
    char made[CLK_TEXT_BYTES], second[CLK_TEXT_BYTES], title[SHEET_TEXT_BYTES];
    (void)snprintf(title, sizeof title, "%s %s, %s", sheet_word(SHEET_TITLE, d->l),
                   d->r->period.text, d->r->territory_name[d->l]);
    d->x.cairo_pdf_surface_set_metadata(d->surface, CAIRO_PDF_METADATA_TITLE, title);
    d->x.cairo_pdf_surface_set_metadata(d->surface, CAIRO_PDF_METADATA_SUBJECT, d->r->digest);
    (void)snprintf(second, sizeof second, "%.19sZ", clk_text(d->r->made_ms, made));
    d->x.cairo_pdf_surface_set_metadata(d->surface, CAIRO_PDF_METADATA_CREATE_DATE, second);
}

static enum st draw(struct pdf *d, struct sheet_piece *pieces, struct err *e)
{
    d->st = ST_OK;
    d->surface = d->x.cairo_pdf_surface_create_for_stream(take, d, PAGE_W, PAGE_H);
    d->c = d->x.cairo_create(d->surface);
    d->layout = d->x.pango_cairo_create_layout(d->c);
    d->x.pango_layout_set_wrap(d->layout, PANGO_WRAP_WORD_CHAR);
    describe(d);
    enum st st = check_font(d, e);
    if (st == ST_OK)
        st = put_all(d, pieces, e);
    cairo_status_t drawn = d->x.cairo_status(d->c);
    d->x.g_object_unref(d->layout);
    d->x.cairo_destroy(d->c);
    d->x.cairo_surface_finish(d->surface);
    cairo_status_t written = d->x.cairo_surface_status(d->surface);
    d->x.cairo_surface_destroy(d->surface);
    if (st == ST_OK && d->st != ST_OK)
        st = err_set(e, d->st, "the report is too large for a PDF");
    cairo_status_t bad = drawn != CAIRO_STATUS_SUCCESS ? drawn : written;
    if (st == ST_OK && bad != CAIRO_STATUS_SUCCESS)
        st = err_set(e, ST_IO, "the PDF: %s", d->x.cairo_status_to_string(bad));
    return st;
}

/* Twice: the first time only counts the pages. */
enum st sheet_pdf(struct buf *out, const struct report *r, enum report_language l, struct err *e)
{
    struct pdf d = {.r = r, .l = l, .out = out};
    ERR_TRY(sheet_lib_open(symbols, "libpangocairo-1.0-0", &d.x, e));
    struct sheet_piece *pieces = calloc((size_t)CELLS_MAX * SHEET_PIECES, sizeof *pieces);
    if (!pieces)
        return err_set(e, ST_MEMORY, "no memory for a PDF");
    for (int i = 0; i < LOOKS; i++)
        d.font[i] = d.x.pango_font_description_from_string(looks[i].font);
    enum st st = draw(&d, pieces, e);
    d.pages = d.page - 1;
    if (st == ST_OK)
        st = draw(&d, pieces, e);
    for (int i = 0; i < LOOKS; i++)
        d.x.pango_font_description_free(d.font[i]);
    free(pieces);
    return st;
}
