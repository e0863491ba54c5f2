/* The cells that serve, as ModemManager's GetCellInfo tells them: aa{sv}, one dictionary a cell
 * (libmm-glib: MMCellInfoLte, MMCellInfoNr5g; 1.20 and later). Codes are hexadecimal text. */
#include <string.h>

#include "gateway/connectivity/bus_int.h"

#define bus connectivity_bus
#define CELLS_MAX 64 /* neighbours come, too */
/* MMCellType */
#define CELL_LTE 5
#define CELL_NR 6

struct cell {
    uint32_t type, earfcn, nrarfcn;
    int serving;
    struct num tac, ci;
};

static struct num code_of(const char *text, size_t digits)
{
    const struct connectivity_field f = {.p = text, .n = strlen(text)};
    return connectivity_field_hex(&f, digits);
}

static void text_take(struct cell *c, const char *key, const char *v)
{
    if (strcmp(key, "tac") == 0)
        c->tac = code_of(v, CONNECTIVITY_TAC_DIGITS);
    else if (strcmp(key, "ci") == 0)
        c->ci = code_of(v, CONNECTIVITY_CELL_DIGITS);
}

static void number_take(struct cell *c, const char *key, uint32_t v)
{
    if (strcmp(key, "cell-type") == 0)
        c->type = v;
    else if (strcmp(key, "earfcn") == 0)
        c->earfcn = v;
    else if (strcmp(key, "nrarfcn") == 0)
        c->nrarfcn = v;
}

static int entry_read(sd_bus_message *m, struct cell *c)
{
    const char *key = NULL, *type = NULL, *text = NULL;
    uint32_t u = 0;
    int flag = 0;
    char kind;
    int rc = bus.message_read_basic(m, 's', &key);
    if (rc >= 0)
        rc = bus.message_peek_type(m, &kind, &type);
    if (rc < 0 || !type || type[0] == '\0' || type[1] != '\0' || !strchr("sub", type[0]))
        return rc < 0 ? rc : bus.message_skip(m, "v");
    char of = type[0];
    rc = bus.message_enter_container(m, 'v', type);
    if (rc >= 0 && of == 's' && (rc = bus.message_read_basic(m, 's', &text)) >= 0)
        text_take(c, key, text);
    else if (rc >= 0 && of == 'u' && (rc = bus.message_read_basic(m, 'u', &u)) >= 0)
        number_take(c, key, u);
    else if (rc >= 0 && of == 'b' && (rc = bus.message_read_basic(m, 'b', &flag)) >= 0 &&
             strcmp(key, "serving") == 0)
        c->serving = flag;
    return rc < 0 ? rc : bus.message_exit_container(m);
}

/* The first cell that serves in its technology; others are neighbours, or carriers beside. */
static void cell_take(const struct cell *c, struct connectivity_radio *r)
{
    struct connectivity_leg *leg = c->type == CELL_NR ? &r->nr : &r->lte;
    uint32_t arfcn = c->type == CELL_NR ? c->nrarfcn : c->earfcn;
    int64_t band = 0;
    if (!c->serving || (c->type != CELL_LTE && c->type != CELL_NR) || leg->arfcn.kind != NUM_NONE ||
        leg->cell.kind != NUM_NONE)
        return;
    leg->tac = c->tac;
    leg->cell = c->ci;
    leg->mhz = c->type == CELL_NR ? connectivity_nr_mhz(arfcn) : connectivity_lte_mhz(arfcn, &band);
    if (leg->mhz.kind != NUM_NONE && arfcn > 0)
        leg->arfcn = num_dec(arfcn, 0);
    else
        leg->mhz = (struct num){.kind = NUM_NONE};
    if (band > 0 && leg->mhz.kind != NUM_NONE)
        leg->band = num_dec(band, 0);
}

static int cells_read(sd_bus_message *m, struct connectivity_radio *r)
{
    int rc = bus.message_enter_container(m, 'a', "a{sv}");
    for (size_t i = 0; i < CELLS_MAX && rc >= 0; i++) {
        struct cell c = {.serving = 0};
        rc = bus.message_enter_container(m, 'a', "{sv}");
        if (rc <= 0)
            return rc;
        while (rc >= 0 && (rc = bus.message_enter_container(m, 'e', "sv")) > 0) {
            rc = entry_read(m, &c);
            if (rc >= 0)
                rc = bus.message_exit_container(m);
        }
        if (rc >= 0)
            rc = bus.message_exit_container(m);
        if (rc >= 0)
            cell_take(&c, r);
    }
    return rc;
}

void connectivity_manager_cells(sd_bus *b, const char *modem, struct connectivity_radio *r)
{
    const struct connectivity_bus_call q = {
        .path = modem, .interface = CONNECTIVITY_MM_SERVICE ".Modem", .method = "GetCellInfo"};
    sd_bus_message *reply = NULL;
    struct err e;
    /* refused: a modem by AT, of which ModemManager knows no cells; what came before a fault stays
     */
    if (connectivity_bus_ask(b, &q, &reply, &e) == ST_OK)
        (void)cells_read(reply, r);
    bus.message_unref(reply);
}
