/* What a person asks of the gateway, in a file of its own: [1, id, who, when, entry]. */
#include "gateway/wire/wire_int.h"

#define VERSION 1

enum st wire_request_put(struct buf *out, const uint8_t id[WIRE_ID_BYTES], const char *who,
                         int64_t at_ms, const struct buf *entry)
{
    enum st st = wire_put_array(out, 5);

    if (!st)
        st = wire_put_uint(out, VERSION);
    if (!st)
        st = wire_put_bytes(out, id, WIRE_ID_BYTES);
    if (!st)
        st = wire_put_text(out, who);
    if (!st)
        st = wire_put_int(out, at_ms);
    return st ? st : buf_put(out, entry->p, entry->n);
}

enum st wire_request_open(struct wire_request *q, const void *p, size_t n, struct err *e)
{
    struct wire_reader r = wire_reader_of(p, n);
    struct wire_item it;
    enum st st = wire_expect_count(&r, WIRE_ARRAY, 5, e);

    memset(q, 0, sizeof(*q));
    if (!st)
        st = wire_expect(&r, WIRE_UINT, &it, e);
    if (!st && it.u != VERSION)
        return err_set(e, ST_BAD, "written by another version of fieldpost: ask again");
    if (!st)
        st = wire_expect_bytes(&r, q->id, sizeof(q->id), e);
    if (!st)
        st = wire_expect(&r, WIRE_TEXT, &it, e);
    q->who = it.span;
    if (!st && (it.span.n == 0 || it.span.n > WIRE_WHO_MAX))
        return err_set(e, ST_BAD, "an author of 1 to %d bytes is needed", WIRE_WHO_MAX);
    if (!st)
        st = wire_expect_int(&r, &q->at_ms, e);
    if (st)
        return st;
    q->entry = (struct wire_span){r.p, (size_t)(r.end - r.p)};
    struct wire_control c = {.r = r, .left = 1, .request = true};
    st = wire_control_next(&c, &q->x, e);
    if (!st && !wire_end(&c.r))
        return err_set(e, ST_BAD, "something stands behind the entry");
    if (!st && q->x.kind != WIRE_ENTRY_RETIRE && q->x.kind != WIRE_ENTRY_CORRECT &&
        q->x.kind != WIRE_ENTRY_MAINTAIN && q->x.kind != WIRE_ENTRY_SETUP &&
        q->x.kind != WIRE_ENTRY_ENTERED && q->x.kind != WIRE_ENTRY_CHANGE)
        return err_set(e, ST_BAD, "not an entry that a person may ask for");
    return st;
}
