/* What a node hears on its line, with times and flaws: framer, slave and registers. It answers what
 * is a request to it, as the rules say it here once more, and nothing else; a write that is refused
 * changes nothing; nothing is read or written out of bounds.
 *
 * The first byte says how it listens (bit 0: by content); then, for each byte that is heard, two:
 * the byte and what comes before it (bits 0 to 5: silence in eighths of a character, 63: a long
 * one; bit 7: a flaw).
 */
// uses: firmware_fake
// seeds: tests/fuzz/corpus/slave/*
#include <string.h>

#include "sensors/node.h"
#include "tests/firmware/fake.h"
#include "tests/fuzz/fuzz.h"

#define HEARD_MAX 1200U
#define LONG_US 60000U /* longer than any silence that ends a frame */

static const struct sensor_output weather[] = {
    {60, -2, false, -4000, 12500},
    {61, -2, false, 0, 10000},
};
static const struct sensor_output water[] = {{137, -2, true, 0, INT32_MAX}};

static void new_node(bool by_content)
{
    fake_new();
    (void)fake_add(weather, 2);
    (void)fake_add(water, 1);
    fake.board.by_content = by_content;
    fake.board.t35_us = by_content ? 50000 : 1750;
    demand(fake_boot());
    fake.turn_us = 600;
}

static bool is_whole(const uint8_t *p, size_t n)
{
    return n >= 4 && n <= 256 && fake_crc(p, n - 2) == (p[n - 2] | p[n - 1] << 8);
}

/* Whether the bytes heard end with a request that may be answered: by silence all of them are it,
 * by content their tail. */
static bool is_due(const uint8_t *p, size_t n, uint8_t me, bool by_content)
{
    for (size_t k = by_content ? 4 : n; k <= n && k <= 256; k++) {
        const uint8_t *q = p + n - k;
        if (q[0] == me && q[1] < 0x80 && is_whole(q, k))
            return true;
        if (k == n)
            break;
    }
    return false;
}

/* What the node shows but for what time and requests change. */
struct shown {
    struct config_kept kept;
    struct config_line line;
    uint8_t address; /* that it answers at */
    bool calibrating[LIMITS_SENSORS];
};

static struct shown shown(const struct node *n)
{
    struct shown s = {.address = n->slave.address};
    s.kept = n->config.kept;
    s.line = *line_shown(&n->line);
    for (unsigned i = 0; i < n->measure.nsensors; i++)
        s.calibrating[i] = n->measure.sensor[i].calibrating;
    return s;
}

static bool is_as(const struct shown *before)
{
    struct shown now = shown(&fake.node);
    return memcmp(&now, before, sizeof now) == 0;
}

/* One answer that came: of the right form, to what was asked. */
static void check_answer(const uint8_t *heard, size_t n, bool by_content,
                         const struct shown *before)
{
    demand(fake.nsent >= 5 && fake.nsent <= 256 && is_whole(fake.sent, fake.nsent));
    demand(fake.sent[0] == before->address);
    demand(is_due(heard, n, before->address, by_content));
    bool refused = fake.sent[1] & 0x80;
    if (refused) {
        demand(fake.nsent == 5 && fake.sent[2] >= 1 && fake.sent[2] <= 4);
        demand(is_as(before));
    }
    if (fake.sent[1] == 3 || fake.sent[1] == 4)
        demand(fake.nsent == 5U + fake.sent[2] && is_as(before));
    /* an address on trial, and a request to it */
    PLANT(before->address == 18 && fake.sent[1] == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t heard[HEARD_MAX];
    size_t nheard = 0;
    uint64_t last_at = 0;
    if (n < 3 || n > 1 + 2 * HEARD_MAX)
        return 0;
    bool by_content = data[0] & 1;
    new_node(by_content);
    for (size_t i = 1; i + 1 < n; i += 2) {
        unsigned how = data[i + 1], char_us = fake.node.frame.char_us;
        uint32_t gap = (how & 63U) == 63 ? LONG_US : (how & 63U) * char_us / 8;
        bool last = i + 3 >= n;
        unsigned sends = fake.sends;
        struct shown before = shown(&fake.node);
        fake_say(&data[i], 1, gap);
        fake.queue[fake.put - 1].flaw = how & 0x80;
        uint64_t at = fake.queue[fake.put - 1].at_us;
        if (!by_content && at - char_us - last_at >= fake.node.frame.t35_us)
            nheard = 0;
        heard[nheard++] = data[i];
        last_at = at; /* the loop may have been away for longer than the silence was to be */
        unsigned next = last ? 63U : data[i + 3] & 63U;
        uint32_t quiet = next == 63 ? LONG_US : next * char_us / 8;
        fake.us = at > fake.us ? at : fake.us;
        if (!fake_run(quiet > 0 ? quiet : 20))
            return 0; /* it restarted: it was told to */
        if (fake.sends > sends) {
            check_answer(heard, nheard, by_content, &before);
            nheard = by_content ? 0 : nheard;
            fake.sending_us = 0;
        }
        if (nheard == HEARD_MAX)
            break;
    }
    return 0;
}

/* Frames with a right sum are hardly ever made by chance. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    static const uint8_t requests[][17] = {
        {6, 1, 3, 0, 75, 0, 19},
        {6, 1, 4, 0, 96, 0, 19},
        {6, 1, 6, 0, 117, 0, 18},
        {6, 1, 6, 0, 121, 0, 1},
        {15, 1, 16, 0, 168, 0, 4, 8, 0, 0, 3, 232, 0, 0, 0, 1},
        {9, 1, 16, 0, 139, 0, 1, 2, 0, 90},
        {5, 1, 43, 14, 1, 0},
        {6, 1, 5, 0, 1, 0xFF, 0},
        {5, 2, 3, 2, 1, 3},
    };
    n = LLVMFuzzerMutate(data, n, max);
    if (n < 1 || seed % 4 == 0)
        return n;
    uint8_t frame[20];
    const uint8_t *from = requests[seed / 4 % (sizeof requests / sizeof *requests)];
    size_t size = from[0];
    memcpy(frame, from + 1, size);
    if (seed >> 8 & 1 && frame[0] == 1) /* to the address that a trial may have given */
        frame[0] = 18;
    if (seed % 4 == 1)
        frame[seed / 64 % size] = (uint8_t)(seed >> 16);
    uint16_t crc = fake_crc(frame, size);
    frame[size++] = (uint8_t)crc;
    frame[size++] = (uint8_t)(crc >> 8);
    n |= 1;
    if (n + 2 * size > max)
        return n > max ? max : n;
    for (size_t i = 0; i < size; i++) {
        data[n++] = frame[i];
        data[n++] = i == 0 ? 63 : 0;
    }
    return n;
}
