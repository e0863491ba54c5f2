/* Records. */
#include "firmware/node/record.h"

#include "sensors/node.h"

#define HEAD 8U
#define CRC 4U

struct head {
    uint32_t seq;
    uint16_t kind, size;
};

uint32_t record_place(struct record *r, uint32_t base, uint32_t end, uint32_t page, uint32_t room,
                      unsigned most)
{
    uint32_t stride = page > 0 ? (room + page - 1) / page * page : room;
    uint32_t n = page > 0 && end > base ? (end - base) / stride : 0;
    if (n > most)
        n = most;
    if (n < 2)
        n = 0;
    r->base = base;
    r->stride = (uint16_t)stride;
    r->slots = r->newest = (uint16_t)n;
    r->chunk = (uint16_t)(page < RECORD_CHUNK ? page : RECORD_CHUNK);
    return base + n * stride;
}

static uint32_t address(const struct record *r, unsigned slot, uint32_t pos)
{
    return r->base + slot * (uint32_t)r->stride + pos;
}

static uint32_t number(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct head head_of(const uint8_t *p)
{
    return (struct head){number(p), (uint16_t)(p[4] | p[5] << 8), (uint16_t)(p[6] | p[7] << 8)};
}

/* ---- start ------------------------------------------------------------------------------------
 */

static bool read_now(uint32_t at, uint8_t *p, size_t n)
{
    uint32_t since = port_ms();
    enum st st = ST_BUSY;
    while (st == ST_BUSY && port_ms() - since < RECORD_PATIENCE_MS)
        st = port_memory_read(at, p, n);
    return st == ST_OK;
}

/* Whether the slot holds a whole record of this kind; copies its data when `to` is given. */
static bool read_slot(const struct record *r, unsigned slot, struct head *h, uint8_t *to)
{
    uint8_t chunk[RECORD_CHUNK];
    if (!read_now(address(r, slot, 0), chunk, HEAD))
        return false;
    *h = head_of(chunk);
    if (h->kind != r->kind || h->size > r->stride - RECORD_OVERHEAD)
        return false;
    uint32_t crc = node_crc32(0, chunk, HEAD);
    for (uint32_t pos = 0; pos < h->size; pos += r->chunk) {
        uint32_t n = h->size - pos < r->chunk ? h->size - pos : r->chunk;
        if (!read_now(address(r, slot, HEAD + pos), chunk, n))
            return false;
        crc = node_crc32(crc, chunk, n);
        for (uint32_t i = 0; to && i < n && pos + i < r->size; i++)
            to[pos + i] = chunk[i];
    }
    return read_now(address(r, slot, HEAD + h->size), chunk, CRC) && number(chunk) == crc;
}

bool record_load(struct record *r)
{
    struct head h;
    r->newest = r->slots;
    for (unsigned slot = 0; slot < r->slots; slot++) {
        if (read_slot(r, slot, &h, NULL) &&
            (r->newest == r->slots || (int32_t)(h.seq - r->seq) > 0)) {
            r->newest = (uint16_t)slot;
            r->seq = r->used = h.seq;
        }
    }
    bool read = false;
    for (unsigned tries = 0; r->newest < r->slots && !read && tries < RECORD_TRIES; tries++)
        read = read_slot(r, r->newest, &h, r->data);
    return read;
}

/* ---- a save -----------------------------------------------------------------------------------
 */

/* The next slot of the ring behind `slot`, never the newest record's. */
static uint16_t next_slot(const struct record *r, unsigned slot)
{
    slot = slot + 1 < r->slots ? slot + 1 : 0;
    if (slot == r->newest)
        slot = slot + 1 < r->slots ? slot + 1 : 0;
    return (uint16_t)slot;
}

static void begin(struct record *r, unsigned target, uint32_t now_ms)
{
    r->phase = RECORD_WRITING;
    r->dirty = false;
    r->target = (uint16_t)target;
    r->pos = 0;
    r->crc = 0;
    r->used++;
    r->moved_ms = now_ms;
}

void record_save(struct record *r)
{
    r->dirty = true;
    r->tries = 0;
    r->phase = RECORD_IDLE;
}

bool record_idle(const struct record *r)
{
    return r->slots == 0 || (r->phase == RECORD_IDLE && !r->dirty);
}

/* Byte `pos` of the record as it is to be written. */
static uint8_t byte_at(const struct record *r, uint32_t pos)
{
    if (pos < 4)
        return (uint8_t)(r->used >> 8 * pos);
    if (pos < 6)
        return (uint8_t)(r->kind >> 8 * (pos - 4));
    if (pos < HEAD)
        return (uint8_t)(r->size >> 8 * (pos - 6));
    if (pos < HEAD + r->size)
        return r->data[pos - HEAD];
    return (uint8_t)(r->crc >> 8 * (pos - HEAD - r->size));
}

/* This slot did not keep it: the next, or none for a while. */
static void fault(struct record *r, uint32_t now_ms)
{
    if (r->faults < UINT16_MAX)
        r->faults++;
    if (++r->tries < RECORD_TRIES) {
        begin(r, next_slot(r, r->target), now_ms);
        return;
    }
    r->phase = RECORD_IDLE;
    r->failed = r->dirty = true;
    r->tries = 0;
}

static enum st write_chunk(struct record *r)
{
    uint8_t chunk[RECORD_CHUNK];
    uint32_t total = r->size + RECORD_OVERHEAD, crc = r->crc, n = 0;
    for (; n < r->chunk && r->pos + n < total; n++) {
        uint32_t pos = r->pos + n;
        chunk[n] = byte_at(r, pos);
        if (pos < HEAD + r->size)
            r->crc = node_crc32(r->crc, &chunk[n], 1);
    }
    enum st st = port_memory_write(address(r, r->target, r->pos), chunk, n);
    if (st == ST_OK)
        r->pos = (uint16_t)(r->pos + n);
    else
        r->crc = crc;
    if (st == ST_OK && r->pos == total) {
        r->phase = RECORD_READING;
        r->pos = 0;
    }
    return st;
}

/* The whole slot must read as it was written; the CRC in r->crc is of the data that it still has.
 */
static enum st read_chunk(struct record *r)
{
    uint8_t chunk[RECORD_CHUNK];
    uint32_t total = r->size + RECORD_OVERHEAD, n = total - r->pos;
    if (n > r->chunk)
        n = r->chunk;
    enum st st = port_memory_read(address(r, r->target, r->pos), chunk, n);
    for (uint32_t i = 0; st == ST_OK && i < n; i++) {
        if (chunk[i] != byte_at(r, r->pos + i))
            st = ST_CORRUPT;
    }
    if (st == ST_OK)
        r->pos = (uint16_t)(r->pos + n);
    if (st == ST_OK && r->pos == total) {
        r->phase = RECORD_IDLE;
        r->failed = false;
        r->tries = 0;
        r->newest = r->target;
        r->seq = r->used;
    }
    return st;
}

bool record_turn(struct record *r, uint32_t now_ms)
{
    if (record_idle(r))
        return false;
    if (r->phase == RECORD_IDLE) {
        if (r->failed && now_ms - r->moved_ms < RECORD_AGAIN_MS)
            return false;
        begin(r, next_slot(r, r->failed ? r->target : r->newest), now_ms);
    }
    enum st st = r->phase == RECORD_WRITING ? write_chunk(r) : read_chunk(r);
    if (st == ST_OK)
        r->moved_ms = now_ms;
    else if (st != ST_BUSY || now_ms - r->moved_ms >= RECORD_PATIENCE_MS)
        fault(r, now_ms);
    return true;
}
