/* A sheet as a workbook: what people read, and on a second sheet every column of the CSV. Texts are
 * written as texts, so none is ever a formula. */
#include "gateway/cli/sheet.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xlsxwriter.h>

#include "gateway/cli/qr.h"
#include "gateway/cli/sheet_lib.h"

#define LIBRARY "libxlsxwriter.so." LXW_SOVERSION
#define CALLS(X)                                                                                   \
    X(workbook_new)                                                                                \
    X(workbook_close)                                                                              \
    X(workbook_set_properties)                                                                     \
    X(workbook_add_worksheet)                                                                      \
    X(workbook_add_format)                                                                         \
    X(format_set_bold)                                                                             \
    X(format_set_text_wrap)                                                                        \
    X(format_set_align)                                                                            \
    X(format_set_num_format)                                                                       \
    X(format_set_border)                                                                           \
    X(format_set_bg_color)                                                                         \
    X(format_set_font_color)                                                                       \
    X(format_set_font_size)                                                                        \
    X(worksheet_write_string)                                                                      \
    X(worksheet_write_number)                                                                      \
    X(worksheet_set_column)                                                                        \
    X(worksheet_set_landscape)                                                                     \
    X(worksheet_set_paper)                                                                         \
    X(worksheet_fit_to_pages)                                                                      \
    X(worksheet_repeat_rows)                                                                       \
    X(worksheet_freeze_panes)                                                                      \
    X(worksheet_insert_image_buffer)                                                               \
    X(lxw_strerror)
struct lib {
    CALLS(SHEET_CALL)
};
#define SYMBOL(name) {LIBRARY, #name, offsetof(struct lib, name)},
static const struct sheet_symbol symbols[] = {CALLS(SYMBOL){NULL, NULL, 0}};

#define A4 9
#define PIXELS 3 /* of a module */

enum look { LOOK_TITLE, LOOK_NAME, LOOK_TEXT, LOOK_HEAD, LOOK_CELL, LOOK_WARNING, LOOKS };
#define DECIMALS 10
struct book {
    struct lib x;
    lxw_workbook *book;
    lxw_worksheet *sheet;
    lxw_format *look[LOOKS], *number[DECIMALS];
    const struct report *r;
    enum report_language l;
    lxw_error bad; /* the first that went wrong */
    struct buf picture;
    int side;
};

static void text(struct book *b, lxw_row_t row, unsigned column, const char *value, enum look look)
{
    lxw_error bad =
        b->x.worksheet_write_string(b->sheet, row, (lxw_col_t)column, value, b->look[look]);
    b->bad = b->bad == LXW_NO_ERROR ? bad : b->bad;
}

static void number(struct book *b, lxw_row_t row, unsigned column, struct num v, int decimals)
{
    lxw_format *format = b->number[decimals < 0          ? 0
                                   : decimals < DECIMALS ? decimals
                                                         : DECIMALS - 1];
    lxw_error bad =
        b->x.worksheet_write_number(b->sheet, row, (lxw_col_t)column, num_double(v), format);
    b->bad = b->bad == LXW_NO_ERROR ? bad : b->bad;
}

/* ---- formats -----------------------------------------------------------------------------------
 */

static bool make_formats(struct book *b)
{
    static const struct {
        bool bold, framed, filled, warning;
        double size;
    } looks[LOOKS] = {[LOOK_TITLE] = {.bold = true, .size = 16},
                      [LOOK_NAME] = {.bold = true, .size = 10},
                      [LOOK_TEXT] = {.size = 10},
                      [LOOK_HEAD] = {.bold = true, .framed = true, .filled = true, .size = 10},
                      [LOOK_CELL] = {.framed = true, .size = 10},
                      [LOOK_WARNING] = {.framed = true, .warning = true, .size = 10}};
    for (int i = 0; i < LOOKS; i++) {
        lxw_format *f = b->look[i] = b->x.workbook_add_format(b->book);
        if (!f)
            return false;
        b->x.format_set_font_size(f, looks[i].size);
        b->x.format_set_align(f, LXW_ALIGN_VERTICAL_TOP);
        if (looks[i].bold)
            b->x.format_set_bold(f);
        if (looks[i].framed) {
            b->x.format_set_border(f, LXW_BORDER_THIN);
            b->x.format_set_text_wrap(f);
        }
        if (looks[i].filled)
            b->x.format_set_bg_color(f, 0xe8edf3);
        if (looks[i].warning)
            b->x.format_set_font_color(f, 0x9a1c00);
    }
    for (int i = 0; i < DECIMALS; i++) {
        static const char zeros[] = "0.0000000000";
        char form[sizeof zeros];
        lxw_format *f = b->number[i] = b->x.workbook_add_format(b->book);
        if (!f)
            return false;
        (void)snprintf(form, sizeof form, "%.*s", i > 0 ? i + 2 : 1, zeros);
        b->x.format_set_num_format(f, form); /* the reader's own decimal sign shows */
        b->x.format_set_border(f, LXW_BORDER_THIN);
        b->x.format_set_align(f, LXW_ALIGN_VERTICAL_TOP);
    }
    return true;
}

/* ---- the picture -------------------------------------------------------------------------------
 */

static void put_le(uint8_t *at, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

#define BMP_HEAD 62 /* file header, BITMAPINFOHEADER, two colours */

static size_t stride(int side)
{
    return (size_t)(side * PIXELS + 31) / 32 * 4;
}

/* A bitmap of one bit a pixel: colour 0 is white. */
static enum st picture_begin(struct book *b)
{
    static const uint8_t zeros[256] = {0};
    size_t size = BMP_HEAD + stride(b->side) * (size_t)(b->side * PIXELS);
    for (size_t n = 0; n < size; n += sizeof zeros)
        ERR_TRY(buf_put(&b->picture, zeros, size - n < sizeof zeros ? size - n : sizeof zeros));
    uint8_t *p = b->picture.p;
    p[0] = 'B';
    p[1] = 'M';
    put_le(p + 2, (uint32_t)size, 4);
    put_le(p + 10, BMP_HEAD, 4);
    put_le(p + 14, 40, 4);
    put_le(p + 18, (uint32_t)(b->side * PIXELS), 4);
    put_le(p + 22, (uint32_t)(b->side * PIXELS), 4);
    put_le(p + 26, 1, 2);
    put_le(p + 28, 1, 2);
    put_le(p + 54, 0xffffff, 4);
    return ST_OK;
}

static enum st dark(void *ctx, int x, int y)
{
    struct book *b = ctx;
    if (b->picture.n == 0)
        ERR_TRY(picture_begin(b));
    for (int i = 0; i < PIXELS; i++) {
        size_t line = (size_t)(b->side * PIXELS - 1 - (y * PIXELS + i)); /* the lowest first */
        for (int k = 0; k < PIXELS; k++) {
            size_t at = (size_t)x * PIXELS + (size_t)k;
            b->picture.p[BMP_HEAD + line * stride(b->side) + at / 8] |= (uint8_t)(0x80 >> at % 8);
        }
    }
    return ST_OK;
}

/* ---- the sheets --------------------------------------------------------------------------------
 */

static bool is_warning(const struct sheet_piece *pieces, size_t n)
{
    return n > 0 && pieces[0].style == SHEET_WARNING;
}

static void put_cell(struct book *b, lxw_row_t row, size_t i, enum sheet_column c)
{
    struct sheet_piece pieces[SHEET_PIECES];
    char all[SHEET_PIECES * (sizeof pieces[0].text + 1)] = "";
    const struct report_row *x = &b->r->rows[i];
    struct num v = c == SHEET_VALUE      ? x->value
                   : c == SHEET_DISTANCE ? x->target.distance
                                         : (struct num){.kind = NUM_NONE};
    if (v.kind != NUM_NONE) {
        number(b, row, c, v, x->decimals);
        return;
    }
    size_t n = sheet_cell(b->r, i, c, b->l, pieces), used = 0;
    for (size_t k = 0; k < n; k++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", k > 0 ? "\n" : "",
                                 pieces[k].text);
    text(b, row, c, all, is_warning(pieces, n) ? LOOK_WARNING : LOOK_CELL);
}

static lxw_row_t put_changes(struct book *b, lxw_row_t row)
{
    static const enum sheet_word heads[] = {SHEET_WAS, SHEET_NOW, SHEET_WHY};
    static const enum sheet_column columns[] = {SHEET_VALUE, SHEET_TARGET, SHEET_OWNER};
    if (b->r->nchanges == 0)
        return row;
    text(b, row, SHEET_INDICATOR, sheet_changes(b->r, b->l), LOOK_HEAD);
    for (size_t k = 0; k < 3; k++)
        text(b, row, columns[k], sheet_word(heads[k], b->l), LOOK_HEAD);
    for (size_t i = 0; i < b->r->nchanges; i++) {
        const struct report_change *c = &b->r->changes[i];
        const char *const texts[] = {c->was[b->l], c->now[b->l], c->why[b->l]};
        text(b, ++row, SHEET_INDICATOR, c->name[b->l], LOOK_CELL);
        for (size_t k = 0; k < 3; k++)
            text(b, row, columns[k], texts[k], LOOK_CELL);
    }
    return row + 2;
}

static enum st put_people(struct book *b, struct err *e)
{
    static const double widths[SHEET_COLUMNS] = {5, 48, 11, 16, 20, 14, 16, 30};
    char line[SHEET_TEXT_BYTES];
    const char *name = NULL;
    lxw_row_t row = 0;
    for (unsigned c = 0; c < SHEET_COLUMNS; c++)
        (void)b->x.worksheet_set_column(b->sheet, (lxw_col_t)c, (lxw_col_t)c, widths[c], NULL);
    text(b, row++, SHEET_INDICATOR, sheet_word(SHEET_TITLE, b->l), LOOK_TITLE);
    for (size_t i = 0; sheet_line(b->r, b->l, i, &name, line); i++) {
        if (!line[0])
            continue;
        text(b, row, SHEET_INDICATOR, name, LOOK_NAME);
        text(b, row++, SHEET_UNIT, line, LOOK_TEXT);
    }
    ERR_TRY(qr_draw(sheet_qr(b->r, (char[SHEET_QR_BYTES]){""}), &b->side, dark, b, e));
    lxw_error bad =
        b->x.worksheet_insert_image_buffer(b->sheet, 0, SHEET_OWNER, b->picture.p, b->picture.n);
    b->bad = b->bad == LXW_NO_ERROR ? bad : b->bad;
    row = put_changes(b, row + 1);
    for (unsigned c = 0; c < SHEET_COLUMNS; c++)
        text(b, row, c, sheet_heading((enum sheet_column)c, b->l), LOOK_HEAD);
    (void)b->x.worksheet_repeat_rows(b->sheet, row, row);
    for (size_t i = 0; i < b->r->n; i++)
        for (unsigned c = 0; c < SHEET_COLUMNS; c++)
            put_cell(b, row + 1 + (lxw_row_t)i, i, (enum sheet_column)c);
    b->x.worksheet_set_landscape(b->sheet);
    b->x.worksheet_set_paper(b->sheet, A4);
    b->x.worksheet_fit_to_pages(b->sheet, 1, 0);
    return ST_OK;
}

/* A number that a binary64 has exactly enough: up to 15 digits. Others are told as texts. */
static bool is_number(const char *t, struct num *v)
{
    return strlen(t) <= 16 && num_parse(t, v);
}

static void put_details(struct book *b)
{
    char buf[NUM_TEXT_BYTES];
    unsigned c = 0;
    for (const struct sheet_field *f = sheet_fields; f->name; f++, c++) {
        text(b, 0, c, f->name, LOOK_HEAD);
        for (size_t i = 0; i < b->r->n; i++) {
            const char *t = f->text(b->r, &b->r->rows[i], buf, sizeof buf);
            lxw_row_t row = (lxw_row_t)i + 1;
            struct num v;
            if (f->kind == SHEET_FIGURE && is_number(t, &v)) {
                const char *dot = strchr(t, '.');
                number(b, row, c, v, dot ? (int)strlen(dot + 1) : 0);
            } else {
                text(b, row, c, t, LOOK_TEXT);
            }
        }
    }
    b->x.worksheet_freeze_panes(b->sheet, 1, 0);
}

static enum st put_all(struct book *b, struct err *e)
{
    lxw_doc_properties about = {.title = (char *)(uintptr_t)sheet_word(SHEET_TITLE, b->l),
                                .subject = (char *)(uintptr_t)b->r->period.text,
                                .comments = (char *)(uintptr_t)b->r->digest,
                                .created = (time_t)(b->r->made_ms / 1000)};
    if (b->x.workbook_set_properties(b->book, &about) != LXW_NO_ERROR || !make_formats(b))
        return err_set(e, ST_MEMORY, "no memory for a workbook");
    b->sheet = b->x.workbook_add_worksheet(b->book, b->r->period.text);
    if (!b->sheet)
        return err_set(e, ST_MEMORY, "no memory for a workbook");
    ERR_TRY(put_people(b, e));
    b->sheet = b->x.workbook_add_worksheet(b->book, sheet_word(SHEET_ALL_COLUMNS, b->l));
    if (!b->sheet)
        return err_set(e, ST_MEMORY, "no memory for a workbook");
    put_details(b);
    return ST_OK;
}

/* ---- the file ----------------------------------------------------------------------------------
 */

static enum st read_back(int fd, struct buf *out, struct err *e)
{
    uint8_t part[4096];
    ssize_t got;
    enum st st = ST_OK;
    for (off_t at = 0; st == ST_OK && (got = pread(fd, part, sizeof part, at)) > 0; at += got)
        st = buf_put(out, part, (size_t)got);
    return st == ST_OK ? st : err_set(e, st, "the report is too large for a workbook");
}

/* The library writes into a file alone: one in memory. */
static enum st make(struct book *b, int fd, struct err *e)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    b->book = b->x.workbook_new(path);
    if (!b->book)
        return err_set(e, ST_MEMORY, "no memory for a workbook");
    enum st st = put_all(b, e);
    lxw_error closed = b->x.workbook_close(b->book); /* frees it, also after a failure */
    if (st == ST_OK && (b->bad != LXW_NO_ERROR || closed != LXW_NO_ERROR))
        st = err_set(e, ST_IO, "the workbook: %s",
                     b->x.lxw_strerror(b->bad != LXW_NO_ERROR ? b->bad : closed));
    return st;
}

enum st sheet_xlsx(struct buf *out, const struct report *r, enum report_language l, struct err *e)
{
    struct book b = {.r = r, .l = l, .bad = LXW_NO_ERROR};
    ERR_TRY(sheet_lib_open(symbols, "libxlsxwriter" LXW_SOVERSION, &b.x, e));
    int fd = memfd_create("sheet", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(e, ST_IO, "no file in memory for the workbook");
    buf_init(&b.picture, (size_t)1024 * 1024);
    enum st st = make(&b, fd, e);
    if (st == ST_OK)
        st = read_back(fd, out, e);
    buf_done(&b.picture);
    (void)close(fd);
    return st;
}
