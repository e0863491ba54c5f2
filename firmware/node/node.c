/* The loop's body. */
#include "firmware/node/node.h"

#include "sensors/node.h"

/* Parts that the watchdog wants to have seen moving. */
enum part { PART_TIME = 1, PART_LINE = 2, PART_CHIPS = 4, PART_MEMORY = 8, PARTS = 15 };

static void open_line(struct node *n)
{
    const struct config_line *as = &n->line.now;
    const struct port_board *b = n->board;
    struct port_line line = {as->speed * 100U, as->parity, as->stop_bits};
    struct frame_line f = {.baud = line.baud,
                           .bits = (uint8_t)(9U + (as->parity > 0) + as->stop_bits),
                           .t15_us = b->t15_us,
                           .t35_us = b->t35_us,
                           .by_content = b->by_content};
    n->slave.address = as->address;
    frame_open(&n->frame, &f, as->address);
    port_line_open(&line);
}

void node_start(struct node *n, const struct port_board *board)
{
    n->board = board;
    n->now_ms = n->second_ms = port_ms();
    n->reset_cause = port_reset_cause();
    port_serial(n->serial);
    n->firmware = NODE_FIRMWARE;
    measure_start(&n->measure, board->sensors, board->nsensors, &n->config.kept, &n->counters,
                  n->now_ms);
    n->hash = node_hash(n);
    uint32_t end = board->memory_bytes, page = board->memory_page;
    uint32_t at = record_place(&n->config.record, 0, end, page, CONFIG_ROOM, 2);
    (void)record_place(&n->counters.record, at, end, page,
                       sizeof(struct counters_kept) + RECORD_OVERHEAD, RECORD_SLOTS_MAX);
    config_start(&n->config, n->hash);
    counters_start(&n->counters, n->hash, n->reset_cause == NODE_RESET_WATCHDOG, n->now_ms);
    line_start(&n->line, &n->config.kept.line);
    open_line(n);
    port_watchdog_start();
    n->fed_ms = n->sending_ms = port_ms();
}

/* ---- the line ---------------------------------------------------------------------------------
 */

/* What ended is answered; not when the next frame has begun, for the answer would go into it, nor
 * while an answer is on its way. */
static void answer(struct node *n, bool overtaken)
{
    uint8_t *p;
    struct slave_map map = node_map(n);
    size_t size = frame_take(&n->frame, &p);
    if (size == 0 || ((overtaken || port_line_sending()) && p[0] != SLAVE_ALL))
        return;
    size = slave_answer(&n->slave, &map, p, size, n->now_ms, n->frame.byte);
    if (size > 0)
        port_line_send(n->frame.byte, size);
}

/* Whether anything came. */
static bool hear(struct node *n)
{
    uint8_t byte;
    uint32_t at_us, now_us = port_us(); /* before the bytes, so that none is missed before it */
    bool flaw;
    unsigned heard = 0;
    struct frame *f = &n->frame;
    while (heard < NODE_BYTES_A_TURN && port_line_get(&byte, &at_us, &flaw)) {
        heard++;
        if (frame_ended(f, at_us - f->char_us))
            answer(n, true);
        if (frame_put(f, byte, at_us, flaw))
            answer(n, false);
    }
    if (heard < NODE_BYTES_A_TURN && frame_ended(f, now_us - f->char_us))
        answer(n, false);
    return heard > 0;
}

static bool turn_line(struct node *n)
{
    bool heard = hear(n), sending = port_line_sending();
    if (!sending)
        n->sending_ms = n->now_ms;
    if (n->now_ms - n->sending_ms < NODE_SENDING_MS)
        n->moved |= PART_LINE;
    if (line_turn(&n->line, &n->config.kept.line, sending, n->now_ms))
        open_line(n);
    /* A silence within a tick must be measured; by content there is nothing to measure. */
    return heard || (frame_hearing(&n->frame) && !n->board->by_content);
}

/* ---- what else there is -----------------------------------------------------------------------
 */

static bool turn_memory(struct node *n)
{
    n->moved |= PART_MEMORY;
    counters_turn(&n->counters, n->now_ms, n->restarting);
    return record_turn(&n->config.record, n->now_ms) || record_turn(&n->counters.record, n->now_ms);
}

static bool turn_chips(struct node *n)
{
    n->moved |= PART_CHIPS;
    return measure_turn(&n->measure, n->now_ms);
}

/* One of the two, in turn; the other when the first had nothing to do. */
static bool turn_others(struct node *n)
{
    bool memory = n->memory_next;
    n->memory_next = !memory;
    if (memory)
        return turn_memory(n) || turn_chips(n);
    return turn_chips(n) || turn_memory(n);
}

/* Behind the answer, and when what is to be kept is kept. */
static void turn_restart(struct node *n)
{
    if (!n->restarting) {
        n->restart_ms = n->now_ms;
        n->restarting = n->line.restart;
        return;
    }
    bool kept =
        record_idle(&n->config.record) && record_idle(&n->counters.record) && !n->counters.moved;
    if (!port_line_sending() && (kept || n->now_ms - n->restart_ms >= NODE_RESTART_MS))
        port_restart();
}

static void turn_time(struct node *n)
{
    uint32_t now_ms = port_ms();
    if (now_ms != n->now_ms)
        n->moved |= PART_TIME;
    n->now_ms = now_ms;
    while (now_ms - n->second_ms >= 1000) {
        n->second_ms += 1000;
        n->uptime_s++;
    }
    if (n->moved == PARTS && now_ms - n->fed_ms >= NODE_FEED_MS) {
        port_watchdog_feed();
        n->fed_ms = now_ms;
        n->moved = 0;
    }
}

bool node_turn(struct node *n)
{
    turn_time(n);
    bool busy = turn_line(n);
    busy = turn_others(n) || busy;
    turn_restart(n);
    return busy || n->restarting;
}
