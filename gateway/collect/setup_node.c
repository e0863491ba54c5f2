/* One of our nodes is set up: where its registers are is found by asking it. What is written to
 * LINE is kept aside until TRY; then the node is at its new place for a minute, in which KEEP has
 * to find it there, or it goes back to what it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/node_int.h"
#include "gateway/collect/setup_int.h"

#define TRIES 3
#define CODE(speed)                                                                                \
    {                                                                                              \
        .code = (speed) / 100, .baud = (speed)                                                     \
    }
static struct collect_setup_code speeds[] = {CODE(1200),  CODE(2400),  CODE(4800),  CODE(9600),
                                             CODE(19200), CODE(38400), CODE(57600), CODE(115200)};
static struct collect_setup_code parities[] = {{.code = 0, .parity = 'N', .stop_bits = 1},
                                               {.code = 1, .parity = 'E', .stop_bits = 1},
                                               {.code = 2, .parity = 'O', .stop_bits = 1}};
static int64_t marks[] = {NODE_MARK};

static void lay(struct collect_setup *s, unsigned line)
{
    struct collect_setup_place *p = s->place;
    const struct collect_setup_place word = {
        .function = 6, .type = COLLECT_TYPE_u16, .given = true};
    p[COLLECT_SETUP_PARITY] = p[COLLECT_SETUP_BAUD] = p[COLLECT_SETUP_UNIT] = word;
    p[COLLECT_SETUP_SAVE] = word;
    p[COLLECT_SETUP_PARITY].address = line + NODE_LINE_parity;
    p[COLLECT_SETUP_PARITY].codes =
        (struct cfg_items){parities, sizeof parities / sizeof *parities};
    p[COLLECT_SETUP_BAUD].address = line + NODE_LINE_speed;
    p[COLLECT_SETUP_BAUD].codes = (struct cfg_items){speeds, sizeof speeds / sizeof *speeds};
    p[COLLECT_SETUP_UNIT].address = line + NODE_LINE_address;
    p[COLLECT_SETUP_SAVE].address = line + NODE_LINE_command;
    p[COLLECT_SETUP_SAVE].value = num_dec(NODE_COMMAND_TRY, 0);
    p[COLLECT_SETUP_IDENTITY] = (struct collect_setup_place){
        .function = 3, .type = COLLECT_TYPE_u32, .values = {marks, 1}, .given = true};
    s->start = (struct collect_setup_start){.function = 6,
                                            .address = line + NODE_LINE_command,
                                            .value = NODE_COMMAND_KEEP,
                                            .given = true};
}

enum st collect_setup_node(struct collect_profile *p)
{
    static char model[] = "sensor node", mark[] = "mark";
    *p = (struct collect_profile){.model = model,
                                  .learned = true,
                                  .joined = true,
                                  .points = calloc(1, sizeof *p->points),
                                  .n = 1,
                                  .setup = calloc(1, sizeof *p->setup)};
    if (!p->points || !p->setup)
        return ST_MEMORY;
    p->points[0] = (struct collect_point){.name = mark, .function = 3, .type = COLLECT_TYPE_u32};
    lay(p->setup, 0);
    return ST_OK;
}

/* Reads one part of its chain. */
static enum st hear(struct collect_setup_job *j, struct collect_node_walk *w, struct err *e)
{
    struct collect_setup_answer a;
    uint8_t pdu[5];
    uint16_t address, count;
    (void)collect_node_walk_next(w, &address, &count);
    size_t n = collect_setup_read(3, address, count, pdu);
    for (int i = 0; i < TRIES; i++) {
        ERR_TRY(collect_setup_go(j, &j->at, e)); /* a stop */
        enum collect_heard_what h = collect_setup_ask(&j->line, j->at.unit, pdu, n, false, &a);
        if (h == COLLECT_HEARD_LOST)
            return collect_setup_lost(j, e);
        bool whole = h == COLLECT_HEARD_ONE && a.n == 2 + 2U * count;
        if (whole || h == COLLECT_HEARD_REFUSAL) {
            collect_node_walk_heard(w, whole ? a.pdu + 2 : NULL);
            return ST_OK;
        }
    }
    return err_set(e, ST_CONFLICT,
                   "it does not answer when its blocks are read: two nodes of one "
                   "unit number, or a bad line");
}

static enum st walk(struct collect_setup_job *j, struct collect_node_walk *w, struct err *e)
{
    uint16_t address, count;
    collect_node_walk_begin(w);
    while (collect_node_walk_next(w, &address, &count))
        ERR_TRY(hear(j, w, e));
    return w->state == COLLECT_NODE_DONE ? ST_OK : err_set(e, ST_CONFLICT, "%s", w->why);
}

enum st collect_setup_node_find(struct collect_setup_job *j, struct err *e)
{
    struct collect_node_walk *w = malloc(sizeof *w);
    struct collect_node_block line = {.length = 0}, identity = {.length = 0};
    enum st st = w ? walk(j, w, e) : err_set(e, ST_MEMORY, "no memory for a walk");
    for (size_t i = st == ST_OK ? w->n : 0; i-- > 0;) {
        line = w->blocks[i].id == NODE_LINE ? w->blocks[i] : line;
        identity = w->blocks[i].id == NODE_IDENTITY ? w->blocks[i] : identity;
    }
    free(w);
    if (st == ST_OK && line.length <= NODE_LINE_command)
        st = err_set(e, ST_BAD, "its block LINE is not there, or too short: it cannot be set up");
    if (st != ST_OK)
        return st;
    lay(j->node->setup, line.address);
    j->node->points[0] = (struct collect_point){.name = j->node->points[0].name,
                                                .identity = COLLECT_SERIAL,
                                                .function = 3,
                                                .address = identity.address + NODE_IDENTITY_serial,
                                                .type = COLLECT_TYPE_string,
                                                .count = NODE_IDENTITY_serial_COUNT};
    return collect_setup_find(j, e); /* by its serial number now: it is one alone */
}
